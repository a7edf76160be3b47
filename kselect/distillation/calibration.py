"""Calibration: its error, and losses after the best temperature or, in a regression, the best linear function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.errors import KselectError
from kselect.models.heads import Answer, Classes, Score, ScoreAnswer
from kselect.models.heads.tagger import Tagger

CALIBRATED = (Classes.name, Score.name, Tagger.name)
"""Heads whose loss one temperature, or one line, rescales."""
COLDEST, HOTTEST = 0.05, 20.0
"""Range of temperatures."""
BINS = 15


def check_calibrated(head: str) -> None:
    """Refuse heads whose answers are no softmax over one set of classes, which a single temperature would rescale."""
    if head not in CALIBRATED:
        raise KselectError(
            f"The reward calibrated-loss is for the heads {', '.join(CALIBRATED)}, and the student's is {head}: give "
            "loss or metric.",
            setting="reward",
        )


@dataclass(frozen=True)
class Positions:
    """Predictions at P positions: one for a text, one for each labelled word of a sentence.

    Attributes:
        scores: of K classes, `[P, K]` in float32 on the CPU; predicted scores of a regression, `[P, 1]`.
        gold: label ids or scores, `[P]`.
        rows: which example each position belongs to, `[P]`.
    """

    scores: Tensor
    gold: Tensor
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, answer: Answer, labels: Tensor, rows: NDArray[np.int64]) -> Positions:
        """Return the positions of a batch whose examples are `rows [B]`."""
        if isinstance(answer, ScoreAnswer):
            return cls(answer.scores[:, None].cpu(), labels.float().cpu(), rows)
        choices, gold = answer.choices, answer.right_choices(labels)
        known = (gold >= 0) & choices.mask
        examples = np.broadcast_to(rows[:, None], known.shape)[known.cpu().numpy()]
        return cls(choices.scores[known].cpu(), gold[known].cpu(), examples)


def calibrated_losses(batches: Sequence[Positions], count: int) -> NDArray[np.float64]:
    """Return the loss of each of `count` examples, a mean over its positions, `[count]`; 0 where it has none.

    The temperature minimises the mean of these losses; it is searched for in [0.05, 20].
    """
    scores = torch.cat([batch.scores for batch in batches]).double()
    gold = torch.cat([batch.gold for batch in batches])
    rows = np.concatenate([batch.rows for batch in batches])
    weights = 1 / np.bincount(rows, minlength=count)[rows]
    if gold.is_floating_point():
        losses = _rescaled_errors(scores[:, 0].numpy(), gold.double().numpy())
    else:
        losses = _tempered_losses(scores, gold, weights)
    return np.asarray(np.bincount(rows, weights=weights * losses, minlength=count), dtype=np.float64)


def _tempered_losses(scores: Tensor, gold: Tensor, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.optimize import minimize_scalar

    def losses(inverse_temperature: float) -> NDArray[np.float64]:
        return torch.nn.functional.cross_entropy(scores * inverse_temperature, gold, reduction="none").numpy()

    # In the inverse temperature the loss is convex, so that a bounded search finds its minimum.
    bounds = 1 / HOTTEST, 1 / COLDEST
    best = minimize_scalar(lambda beta: float(weights @ losses(beta)), bounds=bounds, method="bounded")
    return losses(float(best.x))


def _rescaled_errors(predicted: NDArray[np.float64], gold: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared errors of the least-squares line from predicted to gold scores."""
    columns = np.stack([np.ones_like(predicted), predicted], axis=1)
    (line, *_) = np.linalg.lstsq(columns, gold, rcond=None)
    return np.asarray((gold - columns @ line) ** 2)


def calibration_error(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = BINS, adaptive: bool = False
) -> float:
    """Return the expected calibration error, in [0, 1].

    It is the mean over bins, weighted by their sizes, of |accuracy - mean confidence|. Bins are equal parts of (0, 1],
    each with its upper end (Guo et al. 2017, eq. 3), or `adaptive`: parts of equal size in the order of confidence
    (Nguyen and O'Connor 2015).

    Args:
        confidence: Probability of each prediction, `[N]`.
        correct: Whether each prediction is correct, `[N]`.
        bins: Number of bins.
        adaptive: Whether bins have equal sizes.
    """
    gap = correct - confidence
    if adaptive:
        parts = np.array_split(gap[np.argsort(confidence, kind="stable")], min(bins, len(gap)))
        return float(sum(abs(part.sum()) for part in parts) / len(gap))
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(bin_of, weights=gap, minlength=bins)).sum() / len(gap))
