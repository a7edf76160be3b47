"""Inner outputs of a model that are to be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce

MATRICES = ("attentions", "attention_scores")


@dataclass(frozen=True)
class Needs:
    """Inner outputs to store during a forward pass, by layer; anything else is not computed, or not stored.

    Layers are counted from 1, the layer nearest the embeddings; layer 0 of `hidden_states` is the embeddings. Logits
    are always returned. See `ModelOutputs` for each output.
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
        """Return these needs restricted to `kinds`."""
        return Needs(**{kind: self.layers(kind) for kind in kinds})

    @property
    def matrices(self) -> bool:
        """Whether attention matrices are needed, which the fused kernel does not compute."""
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
