"""Relations of words whose heads are known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kselect.tasks.words.conllu import ROOT_RELATION


def root_relation(relations: Sequence[str]) -> int | None:
    """Return the id of the relation to the root; None in treebanks without a relation of that name."""
    return relations.index(ROOT_RELATION) if ROOT_RELATION in relations else None


def best_relations(scores: Tensor, heads: Tensor, root: int | None) -> Tensor:
    """Return the best relation of each word, `[B, W]`: `root` where its head is the root, and nowhere else.

    Args:
        scores: of each relation of each word, `[B, W, R]`.
        heads: `[B, W]`, 0 for the root.
        root: id of the relation to the root; None where any relation can lead to any head.
    """
    if root is None:
        return scores.argmax(-1)
    others = scores.masked_fill(torch.arange(scores.size(-1), device=scores.device) == root, -torch.inf)
    return torch.where(heads == 0, root, others.argmax(-1))
