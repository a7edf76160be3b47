"""Weightings: how the losses of a training step are combined into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from kselect.config import TEXT_SOURCES, WEIGHTINGS
from kselect.config.knowledge import kind_of
from kselect.errors import KselectError, unknown
from kselect.models.heads import Answer

HIDDEN = ("hidden", "hidden-cls", "hidden-cosine")
"""The kinds of knowledge that compare hidden states."""


class Weighting(nn.Module):
    """The weighted sum of the losses, each multiplied by its scale.

    A subclass may weight each example differently, or have parameters, which are trained with the student's.
    """

    def forward(
        self, losses: Tensor, weights: Tensor, scales: Tensor, selected: tuple[str, ...], answer: Answer
    ) -> Tensor:
        """Return the loss of each example, `[B]`.

        Args:
            losses: of each example for each selected kind of knowledge, `[B, k]`, before scale and weight.
            weights: the selection's weights, `[k]`.
            scales: factor on each loss, `[k]`.
            selected: names of the k selected kinds.
            answer: the student's answer.
        """
        return losses @ (weights * scales)


class DynamicWeighting(Weighting):
    """Weights each example by uncertainty: logits where the student is confident, hidden states where it is not.

    The loss is `gold + (1 - u) logits + u hidden`, each multiplied by its weight and scale, where `hidden` is any kind
    in `HIDDEN`. u is the entropy of the student's prediction divided by log K, without gradient; for labelled words, a
    mean over words. Other kinds of knowledge are weighted only by the selection.

    Source: "Dynamic Knowledge Distillation for Pre-trained Language Models" (Li et al., 2021).
    """

    def forward(
        self, losses: Tensor, weights: Tensor, scales: Tensor, selected: tuple[str, ...], answer: Answer
    ) -> Tensor:
        """Return the loss of each example, `[B]`; see `Weighting`."""
        u = answer.choices.uncertainty
        shares = {"logits": 1 - u, **dict.fromkeys(HIDDEN, u)}
        by_example = torch.stack([shares.get(kind_of(name), torch.ones_like(u)) for name in selected], dim=1)
        return (losses * by_example) @ (weights * scales)


class UncertaintyWeighting(Weighting):
    """Weights each kind of knowledge by a learned variance: `sum_i weight_i (exp(-s_i) scale_i loss_i + s_i / 2)`.

    s_i is the logarithm of the variance, initially 0. The selection weights the whole term: if it weighted only the
    loss, s_i would compensate for it, since s_i converges to log(2 scale_i loss_i), at which every loss counts one
    half.

    Adam changes a parameter by about the learning rate per step, which in fine-tuning is too small for a variance to
    adapt within tens of thousands of steps. Therefore s is `PACE` times its parameter, with the gradient of s:
    variances take steps of `PACE` times the learning rate, without a larger share of the gradient's norm.

    Source: "Multi-Task Learning Using Uncertainty to Weigh Losses" (Kendall, Gal and Cipolla, 2018), in the form for
    classification; the form for regression halves the loss, which shifts s_i by log 2.
    """

    PACE = 100.0

    def __init__(self, names: Sequence[str]) -> None:
        """Learn a variance for each of the kinds of knowledge `names`."""
        super().__init__()
        self.names = tuple(names)
        self.paced = nn.Parameter(torch.zeros(len(self.names)))

    @property
    def log_variances(self) -> Tensor:
        """Logarithm of each variance, `[k]`, in the order of the names."""
        return self.paced + (self.PACE - 1) * self.paced.detach()

    def forward(
        self, losses: Tensor, weights: Tensor, scales: Tensor, selected: tuple[str, ...], answer: Answer
    ) -> Tensor:
        """Return the loss of each example, `[B]`, which may be negative; see `Weighting`."""
        by_name = dict(zip(self.names, self.log_variances, strict=True))
        s = torch.stack([by_name[name] for name in selected])
        return losses @ (weights * scales * torch.exp(-s)) + weights @ s / 2


def make_weighting(
    kind: Literal["selection", "dynamic", "uncertainty"], names: Sequence[str], regression: bool
) -> Weighting:
    """Create the weighting of a run.

    Raises:
        KselectError: an unknown weighting; dynamic weighting of a regression, or without the kinds that it weights.
    """
    if kind not in WEIGHTINGS:
        raise unknown("weighting", kind, WEIGHTINGS)
    if kind == "uncertainty":
        return UncertaintyWeighting(names)
    if kind == "selection":
        return Weighting()
    if regression:
        raise KselectError(
            "weighting dynamic reads the entropy of the student's prediction, which a regression does not have: leave "
            "it out, or use another agent than dynamic-kd.",
            setting="weighting",
        )
    kinds = {kind_of(name) for name in names}
    missing = [kind for kind in ("gold", "logits") if kind not in kinds]
    if not kinds.intersection(HIDDEN):
        missing.append("hidden")
    if missing:
        raise KselectError(
            f"weighting dynamic weights gold, logits and hidden, but {', '.join(missing)} is not on offer: add it to "
            f"knowledge ({', '.join(names)}), or use another weighting.",
            setting="weighting",
        )
    return DynamicWeighting()


def selection_weights(selection: ArrayLike, names: Sequence[str]) -> NDArray[np.float32]:
    """Normalise a selection to weights of the kinds of knowledge that sum to 1; those of further texts stay.

    Adam is invariant to a common factor, so that only ratios of weights matter. Selecting nothing means gold labels or,
    if they are not on offer, equal weights.

    Args:
        selection: weights in [0, 1], `[k]`, or `[n, k]` for n steps.
        names: names of what is selected, kinds of knowledge first, then those in `kselect.config.TEXT_SOURCES`.

    Raises:
        ValueError: a selection of another shape, or outside [0, 1].

    >>> selection_weights([1, 0, 1], ["gold", "logits", "hidden"]).tolist()
    [0.5, 0.0, 0.5]
    """
    chosen = np.asarray(selection, dtype=np.float32)
    shaped = chosen.ndim in (1, 2) and chosen.shape[-1] == len(names)
    if not shaped or not ((chosen >= 0) & (chosen <= 1)).all():
        raise ValueError(f"A selection is {len(names)} numbers in [0, 1] ({', '.join(names)}), not {chosen}.")
    kinds = [name for name in names if name not in TEXT_SOURCES]
    default = np.array([name == "gold" or "gold" not in kinds for name in kinds], dtype=np.float32)
    of_kinds, of_sources = np.split(chosen, [len(kinds)], axis=-1)
    of_kinds = np.where(of_kinds.any(axis=-1, keepdims=True), of_kinds, default)
    return np.concatenate([of_kinds / of_kinds.sum(axis=-1, keepdims=True), of_sources], axis=-1)


def step_weights(selection: ArrayLike, names: Sequence[str], steps: int) -> NDArray[np.float32]:
    """Return the normalised weights of so many steps, `[1, k]` where they are the same in all, or `[steps, k]`.

    Raises:
        ValueError: see `selection_weights`; or a selection of another number of steps.
    """
    weights = np.atleast_2d(selection_weights(selection, names))
    if len(weights) not in (1, steps):
        raise ValueError(f"A selection for each step has {steps} rows, not {len(weights)}.")
    return weights
