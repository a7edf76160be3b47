"""Whether the labels of a classifier that does not name them stand in a task's order."""

from __future__ import annotations

import logging
from dataclasses import dataclass
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
SWAPPED = 0.05  # of all answers, from which another order is one, and not two rare classes taken for each other


@dataclass(frozen=True)
class Order:
    """The order of K labels in which answers are right most often, and how often they are so in either order.

    Half of the examples choose the order, the others judge it.
    """

    meant: tuple[int, ...]
    """Which label each answer stands for in that order."""
    judged: int
    """Answers that judge."""
    right: float
    """Share of them that is right in the order as it is, in [0, 1]."""
    right_as_meant: float
    """Share that is right in the other order."""
    clear: bool
    """Whether that order is meant: more are right there, by 3 standard errors (McNemar's test) and 5 % of all.

    What is gained in the answers of one example counts as one gain, as words of a sentence are not independent.
    """


def best_order(
    answers: NDArray[np.int64], gold: NDArray[np.int64], labels: int, examples: NDArray[np.int64] | None = None
) -> Order:
    """Find the order of `labels` labels that suits answers `[N]` best.

    Args:
        answers: label ids as they are named, `[N]`.
        gold: label ids, `[N]`.
        labels: how many there are.
        examples: which example each answer is of, two of them at least, `[N]`; by default each is of its own.
    """
    _, owner = np.unique(np.arange(len(answers)) if examples is None else examples, return_inverse=True)
    judges = owner % 2 == 1
    table = np.zeros((labels, labels))
    np.add.at(table, (answers[~judges], gold[~judges]), 1)
    _, best = linear_sum_assignment(table, maximize=True)
    here, there = answers[judges] == gold[judges], best[answers[judges]] == gold[judges]
    gains = np.bincount(owner[judges], weights=there.astype(float) - here)  # of each example, which are independent
    gained = gains.sum()
    clear = bool(gained > CLEAR * np.sqrt((gains**2).sum()) and gained >= SWAPPED * len(here))
    return Order(tuple(best.tolist()), len(here), float(here.mean()), float(there.mean()), clear)


def check_order(
    model: PreTrainedModel, labels: tuple[str, ...], examples: EncodedSplit | None, path: str | Path
) -> None:
    """Tell that the order of unnamed labels is assumed, and refuse it where `examples` clearly belie it.

    Raises:
        UserError: the other order is clearly meant, see `Order`.
    """
    _tell(f"{path} does not name its labels: they are taken to be {', '.join(labels)}, in this order.")
    if examples is None or len(examples) < 2:
        return
    order = best_order(_answers(model, examples), examples.labels, len(labels))
    if order.clear:
        raise UserError(
            f"{path} does not name its labels, and of {order.judged} reward examples is right on "
            f"{order.right_as_meant:.0%} if they are {', '.join(labels[label] for label in order.meant)}, on "
            f"{order.right:.0%} if {', '.join(labels)}: name them as id2label in its config.json."
        )


@torch.no_grad()
def _answers(model: PreTrainedModel, examples: EncodedSplit) -> NDArray[np.int64]:
    model.eval()
    parts = np.array_split(np.arange(len(examples)), -(-len(examples) // BATCH))
    return np.concatenate([forward(model, examples.batch(part), Needs()).logits.argmax(-1).numpy() for part in parts])


@cache
def _tell(line: str) -> None:
    logging.getLogger(__name__).warning(line)
