"""Random answers of every head, and what they stand for, worked out structure by structure in numpy."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from torch import Tensor

from kselect.models.heads.answer import Answer
from kselect.models.heads.crf import ChainAnswer
from kselect.models.heads.parser import SecondOrderAnswer, TreeAnswer
from kselect.models.heads.spans import SpanAnswer
from kselect.models.heads.tagger import TagAnswer
from kselect.models.heads.tree_tagger import ArcTagAnswer, ArcTags
from tests.structure.enumeration import bioes, span_sets, trees

LENGTHS = (3, 1, 2)
TAGS, SPAN_LABELS, RELATIONS = 3, 2, ("a", "nmod:poss", "b_c")
ARC_TAGS = ArcTags.named(["-2_b_c", "-1_a", "-1_nmod:poss", "root_a", "root_b_c", "1_a", "2_nmod:poss"])
HEADS = ("tagger", "crf", "spans", "parser", "second-order-parser", "tree-tagger")

Scores = dict[str, Tensor]
Table = dict[Any, float]
"""Log-probability of each structure of one sentence: tag ids, span sets, or a (head, relation) of each word."""


def mask_of(lengths: tuple[int, ...] = LENGTHS, width: int | None = None) -> Tensor:
    return torch.arange(width or max(lengths)) < torch.tensor(lengths)[:, None]


def draw(head: str, seed: int, *, tags: int = TAGS, size: float = 1.5) -> Scores:
    """Random scores of a batch of `LENGTHS`; those of padding are as random as the others."""
    batch, n, relations = len(LENGTHS), max(LENGTHS), len(RELATIONS)
    arcs = {"arcs": (batch, n, 1 + n), "relations": (batch, n, 1 + n, relations)}
    pairs = {"siblings": (batch, n, n, 1 + n), "grandparents": (batch, n, n, 1 + n)}
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        "tagger": {"logits": (batch, n, tags)},
        "crf": {"emissions": (batch, n, tags), "transitions": (tags, tags), "start": (tags,), "end": (tags,)},
        "spans": {"scores": (batch, n, n, SPAN_LABELS)},
        "parser": arcs,
        "second-order-parser": {**arcs, **pairs},
        "tree-tagger": {"logits": (batch, n, len(ARC_TAGS))},
    }
    generator = torch.Generator().manual_seed(seed)
    return {name: size * torch.randn(shape, generator=generator) for name, shape in shapes[head].items()}


def build(head: str, scores: Scores, mask: Tensor | None = None) -> Answer:
    mask = mask_of() if mask is None else mask
    if head == "tree-tagger":
        ids = torch.tensor([RELATIONS.index(name) for name in ARC_TAGS.relations])
        return ArcTagAnswer(scores["logits"], mask=mask, offsets=torch.tensor(ARC_TAGS.offsets), relations=ids)
    kinds: dict[str, type[Any]] = {
        "tagger": TagAnswer,
        "crf": ChainAnswer,
        "spans": SpanAnswer,
        "parser": TreeAnswer,
        "second-order-parser": SecondOrderAnswer,
    }
    answer: Answer = kinds[head](**scores, mask=mask)
    return answer


def is_shared(name: str) -> bool:
    """Whether all sentences share a score."""
    return name in ("transitions", "start", "end")


def padded(scores: Scores, more: int, fill: float = 7.0) -> Scores:
    """The same scores in a batch that is wider by `more` words, whose scores are all alike."""
    found = {}
    for name, value in scores.items():
        words = 0 if is_shared(name) else {"scores": 2, "siblings": 3, "grandparents": 3}.get(name, 1)
        words = 2 if name in ("arcs", "relations") else words
        shape = [size + more * (1 <= axis <= words) for axis, size in enumerate(value.shape)]
        found[name] = torch.full(shape, fill)
        found[name][tuple(slice(size) for size in value.shape)] = value
    return found


def permuted(scores: Scores, order: list[int]) -> Scores:
    return {name: value if is_shared(name) else value[order] for name, value in scores.items()}


def sentence(scores: Scores, row: int) -> dict[str, NDArray[np.float64]]:
    """The scores of one sentence, in float64."""
    return {
        name: (value if is_shared(name) else value[row]).detach().double().numpy() for name, value in scores.items()
    }


def table(
    head: str, s: dict[str, NDArray[np.float64]], n: int, t: float = 1.0, arcs: str = "heads", local: float = 1.0
) -> Table:
    """All structures of a sentence of n words, all scores divided by `t`, and a word's own choices then by `local`."""
    if head == "tree-tagger":
        rows = [tag_row(s["logits"][word], word, n, t * local) for word in range(n)]
        return independent([{(tag,): p for tag, p in row.items()} for row in rows])
    if head == "tagger":
        rows = [dict(enumerate(log_softmax(s["logits"][word] / t / local))) for word in range(n)]
        return independent([{(tag,): p for tag, p in row.items()} for row in rows])
    if head == "crf":
        return normalised({y: chain_score(s, y) / t for y in product(range(len(s["start"])), repeat=n)})
    if head == "spans":
        sets = [frozenset(found) for found in span_sets(n, s["scores"].shape[-1])]
        return normalised({found: sum(s["scores"][span] for span in found) / t for found in sets})
    head_rows = head_scores(head, s, n, t, arcs, local)
    relations = log_softmax(s["relations"] / t / local, -1)
    kinds = range(relations.shape[-1])
    found = {}
    for heads in head_choices(n, arcs):
        of_heads = sum(head_rows[word][h] for word, h in enumerate(heads))
        for names in product(kinds, repeat=n):
            of_names = sum(relations[word, h, r] for word, (h, r) in enumerate(zip(heads, names, strict=True)))
            found[tuple(zip(heads, names, strict=True))] = of_heads + of_names
    return normalised(found)


def head_choices(n: int, arcs: str) -> list[tuple[int, ...]]:
    if arcs != "heads":
        return trees(n, crossing=arcs == "non-projective")
    return list(product(*[[h for h in range(n + 1) if h != word + 1] for word in range(n)]))


def head_scores(
    head: str, s: dict[str, NDArray[np.float64]], n: int, t: float, arcs: str, local: float
) -> list[dict[int, float]]:
    """The score of each head of each word."""
    rows = [{h: s["arcs"][word, h] / t for h in range(n + 1) if h != word + 1} for word in range(n)]
    if head == "second-order-parser":
        rows = mean_field([normalised(row) for row in rows], s, n, t)
    return [normalised({h: score / local for h, score in row.items()}) if arcs == "heads" else row for row in rows]


def mean_field(found: list[Any], s: dict[str, NDArray[np.float64]], n: int, t: float) -> list[dict[int, float]]:
    """Three iterations, arc by arc and pair by pair; log-probabilities in and out."""
    sibling, grandparent = s["siblings"] / t, s["grandparents"] / t
    for _ in range(3):
        q = [{h: np.exp(p) for h, p in row.items()} for row in found]
        rows = []
        for d in range(n):
            row = {}
            for h in found[d]:
                score = s["arcs"][d, h] / t
                for other in range(n):
                    if other != d and h in q[other]:
                        score += q[other][h] * (sibling[d, other, h] + sibling[other, d, h]) / 2
                    if other != d:
                        score += q[other][d + 1] * grandparent[other, d, h]
                if h:
                    score += sum(q[h - 1][g] * grandparent[d, h - 1, g] for g in q[h - 1])
                row[h] = score
            rows.append(normalised(row))
        found = rows
    return found


def chain_score(s: dict[str, NDArray[np.float64]], y: tuple[int, ...]) -> float:
    emitted = sum(s["emissions"][word, tag] for word, tag in enumerate(y))
    moved = sum(s["transitions"][before, after] for before, after in pairwise(y))
    return float(s["start"][y[0]] + emitted + moved + s["end"][y[-1]])


def tag_row(logits: NDArray[np.float64], word: int, n: int, t: float) -> dict[int, float]:
    """The arc tags that a word can have, and their log-probabilities."""
    possible = {tag: logits[tag] / t for tag, head in enumerate(tag_heads(word)) if head is not None and head <= n}
    return normalised(possible)


def tag_heads(word: int) -> list[int | None]:
    """The head that each arc tag names at a word."""
    found = [0 if offset == 0 else word + 1 + offset for offset in ARC_TAGS.offsets]
    return [head if offset == 0 or head > 0 else None for head, offset in zip(found, ARC_TAGS.offsets, strict=True)]


def normalised(scores: dict[Any, float]) -> dict[Any, float]:
    total = logsumexp(list(scores.values())) if scores else 0.0
    return {structure: float(score - total) for structure, score in scores.items()}


def independent(rows: list[dict[Any, float]]) -> Table:
    """The product of distributions, structures being joined as tuples."""
    found: dict[Any, float] = {(): 0.0}
    for row in rows:
        found = {(*before, *one): p + q for before, p in found.items() for one, q in row.items()}
    return found


def divergence(p: Table, q: Table) -> float:
    return float(sum(np.exp(log_p) * (log_p - q[structure]) for structure, log_p in p.items()))


def tag_marginals(found: Table, n: int, tags: int) -> NDArray[np.float64]:
    """How probable each tag of each word is, of tag sequences or span sets, `[n, K]`."""
    marginals = np.zeros((n, tags))
    for structure, log_p in found.items():
        spelled = bioes(list(structure), n) if isinstance(structure, frozenset) else structure
        for word, tag in enumerate(spelled):
            marginals[word, tag] += np.exp(log_p)
    return marginals


def arc_marginals(found: Table, n: int) -> NDArray[np.float64]:
    """How probable each head of each word is, `[n, 1 + n]`."""
    marginals = np.zeros((n, 1 + n))
    for structure, log_p in found.items():
        for word, (head, _) in enumerate(structure):
            marginals[word, head] += np.exp(log_p)
    return marginals


def flattened(marginals: NDArray[np.float64], local: float) -> NDArray[np.float64]:
    powers = marginals ** (1 / local)
    flat: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return flat


def kl_of_rows(p: NDArray[np.float64], log_q: NDArray[np.float64]) -> float:
    """The mean over rows of the divergence."""
    return float(np.where(p > 0, p * (np.log(np.where(p > 0, p, 1.0)) - log_q), 0.0).sum(-1).mean())
