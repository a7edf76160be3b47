"""Dependency trees as heads: the position of each word's head, from 1, and 0 for the word that hangs from the root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ROOT_RELATION = "root"
"""In UD the relation of the word that hangs from the root, and of no other."""


class Fault(NamedTuple):
    """Why heads are no tree."""

    word: int
    """Position of the word at fault, from 0."""
    what: str
    """What is wrong with it, as the rest of a sentence that begins with its place."""


def fault(heads: Sequence[int]) -> Fault | None:
    """Return the first thing that keeps n heads from being a tree with one root (as UD has it), or None."""
    n = len(heads)
    for i, head in enumerate(heads):
        if not 0 <= head <= n:
            return Fault(i, f"has the head {head}, and the sentence {n} word{'s' * (n != 1)}")
    roots = [i for i, head in enumerate(heads) if head == 0]
    if len(roots) > 1:
        return Fault(roots[1], f"is a second root beside word {roots[0] + 1}")
    if not roots:
        return Fault(0, "begins a sentence without a root: no word has the head 0")
    reaches_root = [False] * n
    for start in range(n):
        path: list[int] = []
        i = start
        while i >= 0 and not reaches_root[i]:
            if i in path:
                cycle = path[path.index(i) :]
                words = ", ".join(str(k + 1) for k in sorted(cycle))
                return Fault(min(cycle), f"is in a cycle of heads: word{'s' * (len(cycle) > 1)} {words}")
            path.append(i)
            i = heads[i] - 1
        for k in path:
            reaches_root[k] = True
    return None


def is_projective(heads: Sequence[int]) -> bool:
    """Whether no two arcs of a tree cross, the one from the root, left of the first word, among them."""
    arcs = [(min(head, i), max(head, i)) for i, head in enumerate(heads, start=1)]
    return not any(a < c < b < d for a, b in arcs for c, d in arcs)
