"""Which inner outputs of a model somebody wants to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce


@dataclass(frozen=True)
class Needs:
    """Inner outputs to be kept from a forward pass; what is not named here is not computed or not held.

    Layers are counted from 1, the layer nearest the embeddings; in `hidden_states` 0 stands for the embeddings
    themselves. Logits always come.
    """

    hidden_states: frozenset[int] = frozenset()
    attentions: frozenset[int] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        return Needs(self.hidden_states | other.hidden_states, self.attentions | other.attentions)

    @staticmethod
    def union(needs: Iterable[Needs]) -> Needs:
        """Return everything that any of `needs` names."""
        return reduce(Needs.__or__, needs, Needs())
