"""The direction of the teacher's [CLS] states."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import normalize

from kselect.knowledge.states import StatesKnowledge


class HiddenCls(StatesKnowledge):
    """Squared distance of the first token's hidden states, each scaled to length 1: PKD (Sun et al., 2019, eq. 7).

    A mean over mapped layers, in [0, 4]. The paper's map leaves the last layer out (`skip`).
    """

    name: ClassVar[str] = "hidden-cls"

    def distance(self, student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the squared distance of each example, `[B]`."""
        return (normalize(student[:, 0], dim=-1) - normalize(teacher[:, 0], dim=-1)).square().sum(-1)
