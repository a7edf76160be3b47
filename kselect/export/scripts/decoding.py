"""The best answer to one sentence from the scores of an exported model, in NumPy; for every head of words.

A sentence has n words. `facts` describes the head, as predict.json does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.structure.arborescence import best_tree

Scores = Mapping[str, NDArray[Any]]
Facts = Mapping[str, Any]
TINY = 1e-30


def decode(scores: Scores, facts: Facts) -> NDArray[np.int64]:
    """Return tag ids `[n]` or, from a parser, heads (from 1, and 0 for the root) and relation ids, `[n, 2]`."""
    return DECODERS[facts["head"]](scores, facts)


def named(answer: NDArray[np.int64], facts: Facts) -> list[Any]:
    """Return an answer with the names of tags, or of relations."""
    labels = facts["labels"]
    if answer.ndim == 1:
        return [labels[tag] for tag in answer.tolist()]
    return [(head, labels[relation]) for head, relation in answer.tolist()]


def viterbi(
    emissions: NDArray[Any], transitions: NDArray[Any], start: NDArray[Any], end: NDArray[Any]
) -> NDArray[np.int64]:
    """Return the best label sequence `[n]` of a linear chain.

    Args:
        emissions: score of each label at each position, `[n, K]`.
        transitions: score of a label (second axis) right after another (first), `[K, K]`.
        start: score of a label at the first position, `[K]`.
        end: score of a label at the last position, `[K]`.
    """
    total, origins = emissions[0] + start, []
    for emission in emissions[1:]:
        ways = total[:, None] + transitions
        origins.append(ways.argmax(0))
        total = ways.max(0) + emission
    path = [int((total + end).argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return np.array(path[::-1])


def best_spans(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Return the BIOES tag ids `[n]` of the best set of non-overlapping spans: O, then B, I, E and S by label.

    Args:
        scores: of the span from a first word to a last one, under each of R labels, `[n, n, R]`.
    """
    labels, best = scores.argmax(-1), scores.max(-1)
    values, begins = [0.0], []
    for end in range(len(scores)):
        ways = [*(values[first] + best[first, end] for first in range(end + 1)), values[end]]
        begins.append(int(np.argmax(ways)))  # `end` + 1 where no span covers `end`
        values.append(ways[begins[-1]])
    tags, end = np.zeros(len(scores), dtype=np.int64), len(scores) - 1
    while end >= 0:
        first = begins[end]
        if first <= end:
            base = 1 + 4 * labels[first, end]
            tags[first : end + 1] = base + 1
            tags[first], tags[end] = base, base + 2
            if first == end:
                tags[end] = base + 3
        end = min(first, end) - 1
    return tags


def mean_field(
    arcs: NDArray[Any], siblings: NDArray[Any], grandparents: NDArray[Any], iterations: int
) -> NDArray[np.float64]:
    """Return approximate marginals of heads, `[n, 1 + n]`, under scores of arcs and of pairs of arcs.

    Args:
        arcs: score of each head of each word, the root first, `[n, 1 + n]`.
        siblings: score of two words with the same head (last axis), `[n, n, 1 + n]`.
        grandparents: score of a word whose head (second axis) has the given head (last), `[n, n, 1 + n]`.
        iterations: number of updates.
    """
    n = len(arcs)
    own = np.eye(n, n + 1, 1, dtype=bool)
    symmetric = (siblings + siblings.transpose(1, 0, 2)) / 2
    symmetric[np.arange(n), np.arange(n)] = 0.0
    marginals = np.exp(log_softmax(np.where(own, -np.inf, arcs)))
    for _ in range(iterations):
        updated = arcs + np.einsum("sh,dsh->dh", marginals, symmetric)
        updated += np.einsum("cd,cdh->dh", marginals[:, 1:], grandparents)
        updated[:, 1:] += np.einsum("hg,dhg->dh", marginals, grandparents)
        marginals = np.exp(log_softmax(np.where(own, -np.inf, updated)))
    return marginals


def best_parse(
    heads: NDArray[Any], relations: Callable[[NDArray[np.int64]], NDArray[Any]], root: int | None
) -> NDArray[np.int64]:
    """Return heads and relations, `[n, 2]`: of the best tree, then of each word the best relation to its head.

    Args:
        heads: score of each head of each word, `[n, 1 + n]`.
        relations: returns the score of each relation to the given heads, `[n, R]`.
        root: id of the relation to the root, which no other head has; None where any relation can lead to any head.
    """
    n = len(heads)
    scores = heads.astype(np.float64)
    scores[np.arange(n), np.arange(1, n + 1)] = -np.inf  # no word is its own head
    chosen = best_tree(scores - scores.max(1, keepdims=True))
    at = relations(chosen).copy()
    if root is not None:
        at[:, root] = np.where(chosen == 0, np.inf, -np.inf)
    return np.stack([chosen, at.argmax(-1)], -1)


def log_softmax(scores: NDArray[Any]) -> NDArray[Any]:
    """Return log-probabilities over the last axis."""
    shifted = scores - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _tagger(scores: Scores, facts: Facts) -> NDArray[np.int64]:
    return scores["logits"].argmax(-1)


def _crf(scores: Scores, facts: Facts) -> NDArray[np.int64]:
    transitions, start, end = (np.asarray(facts[name]) for name in ("transitions", "start", "end"))
    return viterbi(scores["emissions"].astype(np.float64), transitions, start, end)


def _spans(scores: Scores, facts: Facts) -> NDArray[np.int64]:
    return best_spans(scores["scores"].astype(np.float64))


def _parser(scores: Scores, facts: Facts) -> NDArray[np.int64]:
    arcs = scores["arcs"]
    heads = log_softmax(np.where(np.eye(len(arcs), 1 + len(arcs), 1, dtype=bool), -np.inf, arcs))
    return _at_heads(heads, scores, facts)


def _second_order_parser(scores: Scores, facts: Facts) -> NDArray[np.int64]:
    pairs = (scores["siblings"], scores["grandparents"])
    marginals = mean_field(scores["arcs"], *pairs, iterations=facts["iterations"])
    return _at_heads(np.log(np.maximum(marginals, np.finfo(np.float32).tiny)), scores, facts)


def _at_heads(heads: NDArray[Any], scores: Scores, facts: Facts) -> NDArray[np.int64]:
    relations = scores["relations"]
    return best_parse(heads, lambda chosen: relations[np.arange(len(chosen)), chosen], facts["root_relation"])


def _tree_tagger(scores: Scores, facts: Facts) -> NDArray[np.int64]:
    """Add up the probabilities of the tags of each arc; tags with a head outside of the sentence have none."""
    logits, offsets, relations = scores["logits"], np.asarray(facts["offsets"]), np.asarray(facts["relations"])
    n = len(logits)
    heads = np.where(offsets == 0, 0, np.arange(1, n + 1)[:, None] + offsets)
    possible = (offsets == 0) | ((heads > 0) & (heads <= n))
    shares = np.exp(log_softmax(np.where(possible, logits, -1e9)))
    rows = np.broadcast_to(np.arange(n)[:, None], heads.shape)
    arcs = np.zeros((n, n + 1))
    np.add.at(arcs, (rows, np.clip(heads, 0, n)), shares)

    def at(chosen: NDArray[np.int64]) -> NDArray[Any]:
        there = np.where(possible & (heads == chosen[:, None]), shares, shares * TINY)
        found = np.zeros((n, relations.max() + 1))
        np.add.at(found, (rows, np.broadcast_to(relations, heads.shape)), there)
        return found

    return best_parse(np.log(np.maximum(arcs, TINY)), at, facts["root_relation"])


DECODERS: dict[str, Callable[[Scores, Facts], NDArray[np.int64]]] = {
    "tagger": _tagger,
    "crf": _crf,
    "spans": _spans,
    "parser": _parser,
    "second-order-parser": _second_order_parser,
    "tree-tagger": _tree_tagger,
}
"""The decoder of each head, by its name."""
