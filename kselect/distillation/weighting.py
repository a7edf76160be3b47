"""How the losses of a training step become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from kselect.config import WEIGHTINGS
from kselect.errors import KselectError, unknown
from kselect.models.heads import Answer


class Weighting(nn.Module):
    """The plain way: the sum of the losses, each times its scale and its weight.

    A subclass may weigh each example by itself, or have parameters, which are learned with the student's.
    """

    def forward(
        self, losses: Tensor, weights: Tensor, scales: Tensor, selected: tuple[str, ...], answer: Answer
    ) -> Tensor:
        """Return the loss of each example, `[B]`.

        Args:
            losses: of each example in each knowledge selected, `[B, k]`, without scale or weight.
            weights: the selection's, of each knowledge, `[k]`.
            scales: factor on each knowledge's loss, `[k]`.
            selected: names of the knowledge selected, `k` of them.
            answer: the student's.
        """
        return losses @ (weights * scales)


HIDDEN = ("hidden", "hidden-cls", "hidden-cosine")
"""The kinds of knowledge that compare hidden states."""


class DynamicWeighting(Weighting):
    """Each example by itself: logits where the student is sure, hidden states where it is not.

    `gold + (1 - u) logits + u hidden`, each times its weight and scale, with u the entropy of the student's prediction
    over log K, a mean over words where it is made of words, from which no gradient flows (Li et al., 2021, "Dynamic
    Knowledge Distillation for Pre-trained Language Models"). `hidden` stands for all kinds in `HIDDEN`. Other knowledge
    is weighed by the selection alone.
    """

    def forward(
        self, losses: Tensor, weights: Tensor, scales: Tensor, selected: tuple[str, ...], answer: Answer
    ) -> Tensor:
        """Return the loss of each example, `[B]`; see `Weighting`."""
        u = answer.choices.uncertainty
        shares = {"logits": 1 - u, **dict.fromkeys(HIDDEN, u)}
        by_example = torch.stack([shares.get(name, torch.ones_like(u)) for name in selected], dim=1)
        return (losses * by_example) @ (weights * scales)


class UncertaintyWeighting(Weighting):
    """Each knowledge by a variance that is learned: `sum_i weight_i (exp(-s_i) scale_i loss_i + s_i / 2)`.

    s_i is the logarithm of the variance, 0 at the start (Kendall, Gal and Cipolla, 2018, "Multi-Task Learning Using
    Uncertainty to Weigh Losses", in the form that they give for classification; the one for regression has half the
    loss, which shifts s_i by log 2). The selection weighs the whole term: on the loss alone it would be undone by s_i,
    which settles at log(2 scale_i loss_i) and makes every loss count a half.

    An optimiser such as Adam moves a parameter by about the learning rate a step, and that of fine-tuning would leave a
    variance where it is for tens of thousands of steps. So s is `PACE` times its parameter, and the gradient is that
    along s: the variances take steps of `PACE` times the learning rate, and weigh no more in the gradient's norm.
    """

    PACE = 100.0

    def __init__(self, names: Sequence[str]) -> None:
        """Learn a variance for each of the knowledge `names`."""
        super().__init__()
        self.names = tuple(names)
        self.paced = nn.Parameter(torch.zeros(len(self.names)))

    @property
    def log_variances(self) -> Tensor:
        """The logarithm of each knowledge's variance, `[k]`, in the order of the names."""
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
    """Make the weighting of a run over the knowledge `names`.

    Raises:
        KselectError: an unknown kind; dynamic weighting of a regression, or without the knowledge that it weighs.
    """
    if kind not in WEIGHTINGS:
        raise unknown("weighting", kind, WEIGHTINGS)
    if kind == "uncertainty":
        return UncertaintyWeighting(names)
    if kind == "selection":
        return Weighting()
    if regression:
        raise KselectError(
            "weighting dynamic reads the entropy of the student's prediction, which a regression does not have: "
            "leave it out, or take another agent than dynamic-kd."
        )
    missing = [name for name in ("gold", "logits") if name not in names]
    if not set(HIDDEN) & set(names):
        missing.append("hidden")
    if missing:
        raise KselectError(
            f"weighting dynamic weighs gold, logits and hidden, and {', '.join(missing)} is not on offer: "
            f"add it to knowledge ({', '.join(names)}), or take another weighting."
        )
    return DynamicWeighting()


def selection_weights(selection: ArrayLike, names: Sequence[str]) -> NDArray[np.float32]:
    """Normalise a selection in [0, 1], `[k]` or for several steps `[n, k]`, to weights that sum to 1 over `k`.

    Adam ignores a common factor, so only the ratio of weights means anything. A selection of nothing means gold labels
    or, where those are not on offer, everything alike.

    Raises:
        ValueError: a selection of another length, or outside [0, 1].

    >>> selection_weights([1, 0, 1], ["gold", "logits", "hidden"]).tolist()
    [0.5, 0.0, 0.5]
    """
    chosen = np.asarray(selection, dtype=np.float32)
    shaped = chosen.ndim in (1, 2) and chosen.shape[-1] == len(names)
    if not shaped or not ((chosen >= 0) & (chosen <= 1)).all():
        raise ValueError(f"A selection is {len(names)} numbers in [0, 1] ({', '.join(names)}), not {chosen}.")
    default = np.array([name == "gold" or "gold" not in names for name in names], dtype=np.float32)
    chosen = np.where(chosen.any(axis=-1, keepdims=True), chosen, default)
    return chosen / chosen.sum(axis=-1, keepdims=True)
