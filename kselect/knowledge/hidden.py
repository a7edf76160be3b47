"""The teacher's hidden states."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from kselect.knowledge.base import mean_over_tokens
from kselect.knowledge.states import StatesKnowledge


class Hidden(StatesKnowledge):
    """Squared distance of hidden states: FeaK of Wang et al. (2022).

    A mean over real tokens, dimensions and mapped layers.
    """

    name: ClassVar[str] = "hidden"

    def distance(self, student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean squared distance of each example, `[B]`."""
        return mean_over_tokens((student - teacher).square().mean(-1), attention_mask)
