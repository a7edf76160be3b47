"""The direction of the teacher's hidden states."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cosine_similarity

from kselect.knowledge.base import mean_over_tokens
from kselect.knowledge.states import StatesKnowledge


class HiddenCosine(StatesKnowledge):
    """`1 - cosine` of hidden states, a mean over real tokens and mapped layers: DistilBERT (Sanh et al., 2019).

    The paper compares the last layer alone (`last`).
    """

    name: ClassVar[str] = "hidden-cosine"

    def distance(self, student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean of `1 - cosine` of each example, `[B]`, in [0, 2]."""
        return mean_over_tokens(1 - cosine_similarity(student, teacher, dim=-1), attention_mask)
