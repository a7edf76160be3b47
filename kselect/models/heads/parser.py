"""Dependency arcs: a head for each word, and a relation to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from kselect.config import ARC_MARGINALS
from kselect.models.heads.answer import IMPOSSIBLE, Answer, Choices, Head, known_mean
from kselect.models.heads.biaffine import Biaffine
from kselect.models.heads.relations import best_relations
from kselect.structure import DependencyTrees, NonProjectiveTrees, ProjectiveTrees, mean_field

TREES: dict[str, type[DependencyTrees]] = {"non-projective": NonProjectiveTrees, "projective": ProjectiveTrees}
"""Marginals over the heads of words: of each word independently, or of a distribution over trees."""
assert ("heads", *TREES) == ARC_MARGINALS


@dataclass(frozen=True)
class TreeAnswer(Answer):
    """A head for each of W words, the root (0) or a word (from 1), and one of R relations to it.

    Labels are heads and relation ids, `[B, W, 2]`, below 0 where none is known. arcs: score of each head of each word,
    `[B, W, 1 + W]`. relations: score of each relation to each head, `[B, W, 1 + W, R]`. mask: `[B, W]`. root_relation:
    id of the relation that is predicted to the root alone, see `best_relations`.
    """

    choices_of: ClassVar[str | None] = "arcs"
    arcs: Tensor
    relations: Tensor
    mask: Tensor
    root_relation: int | None = None

    @cached_property
    def possible(self) -> Tensor:
        """Which heads a word can have: the root or any other real word, `[B, W, 1 + W]`."""
        return possible_heads(self.mask)

    @cached_property
    def arc_scores(self) -> Tensor:
        """Scores of heads, `[B, W, 1 + W]` in float32."""
        return self.arcs.float().masked_fill(~self.possible, IMPOSSIBLE)

    def head_log_probabilities(self, temperature: float = 1.0) -> Tensor:
        """Return the log-probability of each head of each word independently, `[B, W, 1 + W]`."""
        return torch.log_softmax(self.arc_scores / temperature, -1)

    def relation_log_probabilities(self, temperature: float = 1.0) -> Tensor:
        """Return the log-probability of each relation, given the head, `[B, W, 1 + W, R]`."""
        return torch.log_softmax(self.relations.float() / temperature, -1)

    def trees(self, kind: str, temperature: float = 1.0) -> DependencyTrees:
        """Return the distribution over trees whose arcs have these scores, by its name in `TREES`."""
        return TREES[kind](self.arc_scores / temperature, self.mask)

    def arc_marginals(self, kind: str, temperature: float = 1.0) -> Tensor:
        """Return the probability of each head of each word, `[B, W, 1 + W]`, by a name in `ARC_MARGINALS`."""
        if kind == "heads":
            return self.head_log_probabilities(temperature).exp() * self.mask[..., None]
        return self.trees(kind, temperature).marginals

    @cached_property
    def choices(self) -> Choices:
        """One position per word, whose classes are all pairs of head and relation, `[B, W, (1 + W) * R]`."""
        joint = self.head_log_probabilities()[..., None] + self.relation_log_probabilities()
        return Choices(joint.flatten(2), self.mask)

    def right_choices(self, labels: Tensor) -> Tensor:
        """Return head * R + relation, `[B, W]`."""
        heads, relations = labels.unbind(-1)
        return torch.where((heads >= 0) & (relations >= 0), heads * self.relations.size(-1) + relations, -1)

    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return the mean of `-log q(head) - log q(relation | head)` over words, each where it is known, `[B]`."""
        heads, relations = labels.unbind(-1)
        at_gold = _at_heads(self.relations.float(), heads.clamp(min=0))
        relation_loss = known_mean(torch.log_softmax(at_gold, -1), torch.where(heads >= 0, relations, -1), self.mask)
        return known_mean(self.head_log_probabilities(), heads, self.mask) + relation_loss

    def predict(self) -> Tensor:
        """Return the heads of the most probable tree, and the best possible relation to each, `[B, W, 2]`."""
        heads = NonProjectiveTrees(self.head_log_probabilities(), self.mask).argmax
        return torch.stack([heads, best_relations(_at_heads(self.relations, heads), heads, self.root_relation)], -1)


@dataclass(frozen=True)
class SecondOrderAnswer(TreeAnswer):
    """Arcs with additional scores of pairs; the marginals of heads are by mean field (Wang and Tu 2020).

    siblings and grandparents are `[B, W, W, 1 + W]`, see `kselect.structure.mean_field`.
    """

    siblings: Tensor = field(default_factory=lambda: torch.empty(0))
    grandparents: Tensor = field(default_factory=lambda: torch.empty(0))
    iterations: int = 3

    def head_log_probabilities(self, temperature: float = 1.0) -> Tensor:
        """Return the log-probability of each head of each word, all scores divided by `temperature`."""
        return self._at_temperature_1 if temperature == 1.0 else self._compute(temperature)

    @cached_property
    def _at_temperature_1(self) -> Tensor:
        return self._compute(1.0)

    def _compute(self, temperature: float) -> Tensor:
        scores = (self.arcs.float() / temperature, self.siblings.float() / temperature)
        found = mean_field(*scores, self.grandparents.float() / temperature, self.mask, self.iterations)
        tiny = torch.finfo(found.dtype).tiny
        return found.clamp(min=tiny).log().masked_fill(~self.possible, IMPOSSIBLE)

    def trees(self, kind: str, temperature: float = 1.0) -> DependencyTrees:
        """Return the distribution over trees whose arcs have these probabilities for scores."""
        return TREES[kind](self.head_log_probabilities(temperature), self.mask)


def possible_heads(mask: Tensor) -> Tensor:
    """Return the possible heads of each word, `[B, W, 1 + W]`, given which words are real, `[B, W]`.

    Padding words have the root, so that their softmax is defined.
    """
    own = torch.eye(mask.size(1), dtype=torch.bool, device=mask.device)
    words = mask[:, :, None] & mask[:, None] & ~own
    return torch.cat([torch.ones_like(mask)[..., None], words], -1)


def _at_heads(values: Tensor, heads: Tensor) -> Tensor:
    """Return `values [B, W, 1 + W, R]` at one head of each word, `[B, W]`; returns `[B, W, R]`."""
    return values.gather(2, heads[..., None, None].expand(-1, -1, 1, values.size(-1))).squeeze(2)


class Parser(Head):
    """First-order biaffine parser (Dozat and Manning 2017) behind an encoder's hidden states."""

    name: ClassVar[str] = "parser"

    def __init__(
        self, width: int, relations: int, arc_size: int = 256, relation_size: int = 64, root_relation: int | None = None
    ) -> None:
        """Read states of `width` through layers of `arc_size` for heads and `relation_size` for relations.

        `root_relation` is the id of the relation to the root, if one is reserved for it.
        """
        super().__init__()
        self.root_relation = root_relation
        self.sizes = {"width": width, "relations": relations, "arc_size": arc_size, "relation_size": relation_size}
        self.root = nn.Parameter(torch.zeros(width))
        self.arc = Biaffine(width, width, 1, arc_size)
        self.relation = Biaffine(width, width, relations, relation_size)

    def forward(self, output: Tensor, mask: Tensor | None) -> TreeAnswer:
        """Read hidden states `[B, W, D]`."""
        assert mask is not None
        heads = self._heads(output)
        arcs, relations = self.arc(output, heads).squeeze(-1), self.relation(output, heads)
        return TreeAnswer(arcs, relations, mask, self.root_relation)

    def _heads(self, output: Tensor) -> Tensor:
        """Return the states of the root and the words, `[B, 1 + W, D]`."""
        return torch.cat([self.root.to(output.dtype).expand(output.size(0), 1, -1), output], 1)


class SecondOrderParser(Parser):
    """A parser that also scores siblings and grandparents, by trilinear products in `rank` dimensions."""

    name: ClassVar[str] = "second-order-parser"

    def __init__(
        self,
        width: int,
        relations: int,
        arc_size: int = 256,
        relation_size: int = 64,
        rank: int = 64,
        root_relation: int | None = None,
    ) -> None:
        """Read states of `width`; see `Parser`."""
        super().__init__(width, relations, arc_size, relation_size, root_relation)
        self.sizes = {**self.sizes, "rank": rank}
        layers = {name: nn.Linear(width, rank) for name in ROLES}
        for layer in layers.values():
            nn.init.normal_(layer.weight, std=0.5 * width**-0.5)  # initialise trilinear products near 0
        self.roles = nn.ModuleDict(layers)

    def forward(self, output: Tensor, mask: Tensor | None) -> SecondOrderAnswer:
        """Read hidden states `[B, W, D]`."""
        first, heads = super().forward(output, mask), self._heads(output)
        roles = {name: layer(heads if name in OF_HEADS else output) for name, layer in self.roles.items()}
        siblings = torch.einsum("bik,bjk,bhk->bijh", roles["sibling"], roles["sibling"], roles["parent"])
        upwards = torch.einsum("bik,bjk,bhk->bijh", roles["child"], roles["middle"], roles["grandparent"])
        return SecondOrderAnswer(first.arcs, first.relations, first.mask, first.root_relation, siblings, upwards)


ROLES = ("sibling", "parent", "child", "middle", "grandparent")
OF_HEADS = ("parent", "grandparent")
