"""Which inner outputs of a model somebody wants to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce

MATRICES = ("attentions", "attention_scores")


@dataclass(frozen=True)
class Needs:
    """Inner outputs to be kept from a forward pass, by layer; what is not named here is not computed or not held.

    Layers are counted from 1, the layer nearest the embeddings; in `hidden_states` 0 stands for the embeddings
    themselves. Logits always come. What each output is, `ModelOutputs` says.
    """

    hidden_states: frozenset[int] = frozenset()
    attentions: frozenset[int] = frozenset()
    attention_scores: frozenset[int] = frozenset()
    queries: frozenset[int] = frozenset()
    keys: frozenset[int] = frozenset()
    values: frozenset[int] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        return Needs(**{kind: layers | other.layers(kind) for kind, layers in self.items()})

    def layers(self, kind: str) -> frozenset[int]:
        """Return the layers of which the output `kind` is wanted."""
        return getattr(self, kind)

    def items(self) -> Iterable[tuple[str, frozenset[int]]]:
        """Return every kind of output with its layers."""
        return [(kind, self.layers(kind)) for kind in KINDS]

    def only(self, kinds: Iterable[str]) -> Needs:
        """Return these needs without the outputs that are not of `kinds`."""
        return Needs(**{kind: self.layers(kind) for kind in kinds})

    @property
    def matrices(self) -> bool:
        """Whether attention must be worked out as matrices, which the fused kernel never holds."""
        return any(self.layers(kind) for kind in MATRICES)

    @property
    def inside_attention(self) -> bool:
        """Whether anything is read from inside the attention."""
        return any(layers for kind, layers in self.items() if kind != "hidden_states")

    @staticmethod
    def union(needs: Iterable[Needs]) -> Needs:
        """Return everything that any of `needs` names."""
        return reduce(Needs.__or__, needs, Needs())


KINDS = tuple(field.name for field in fields(Needs))
