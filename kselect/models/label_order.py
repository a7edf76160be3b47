"""Whether the labels of a classifier that does not name them stand in a task's order."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from transformers import PreTrainedModel

from kselect.errors import UserError
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.tasks.encoding import EncodedSplit

BATCH = 20
CLEAR = 3.0  # standard errors


def check_order(
    model: PreTrainedModel, labels: tuple[str, ...], examples: EncodedSplit | None, path: str | Path
) -> None:
    """Tell that the order of unnamed labels is assumed, and refuse it where `examples` clearly belie it.

    Half of the examples choose the order in which the model is right most often, the others judge it.

    Raises:
        UserError: more answers are right in the other order, by 3 standard errors (McNemar's test).
    """
    _tell(f"{path} does not name its labels: they are taken to be {', '.join(labels)}, in this order.")
    if examples is None:
        return
    answers, gold = _answers(model, examples), examples.labels
    table = np.zeros((len(labels), len(labels)))
    np.add.at(table, (answers[::2], gold[::2]), 1)
    _, best = linear_sum_assignment(table, maximize=True)
    here, there = answers[1::2] == gold[1::2], best[answers[1::2]] == gold[1::2]
    gained, lost = (there & ~here).sum(), (here & ~there).sum()
    if gained - lost > CLEAR * np.sqrt(gained + lost):
        raise UserError(
            f"{path} does not name its labels, and of {len(here)} reward examples is right on {there.mean():.0%} if "
            f"they are {', '.join(labels[label] for label in best)}, on {here.mean():.0%} if {', '.join(labels)}: "
            f"name them as id2label in its config.json."
        )


@torch.no_grad()
def _answers(model: PreTrainedModel, examples: EncodedSplit) -> NDArray[np.int64]:
    model.eval()
    parts = np.array_split(np.arange(len(examples)), -(-len(examples) // BATCH))
    return np.concatenate([forward(model, examples.batch(part), Needs()).logits.argmax(-1).numpy() for part in parts])


@cache
def _tell(line: str) -> None:
    logging.getLogger(__name__).warning(line)
