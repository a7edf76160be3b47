"""The best dependency tree, by the Chu-Liu-Edmonds algorithm, in NumPy alone: exported models run it, too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def best_tree(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return each token's head in the best tree with a single root, `[n]`; arbitrary if no tree is possible.

    Args:
        scores: score of each head of each of n > 0 tokens, `[n, 1 + n]`: the root, then the tokens; minus infinity for
            what is impossible, such as a token as its own head.
    """
    # Attaching to the root is penalised so much that it happens once, and impossible arcs even more, so that they are
    # used only if no tree is possible.
    n = len(scores)
    possible = np.isfinite(scores)
    spread = 1.0 + (np.ptp(scores[possible]) if possible.any() else 0.0)
    table = np.full((n + 1, n + 1), -np.inf)
    table[1:] = np.where(possible, scores, -(n**2) * spread + (scores[possible].min() if possible.any() else 0.0))
    table[1:, 0] -= n * spread
    table[np.arange(n + 1), np.arange(n + 1)] = -np.inf
    return _arborescence(table)[1:]


def _arborescence(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the best heads of all nodes; rows of `scores` are dependents, columns heads, and node 0 is the root."""
    contracted = []
    heads = _greedy(scores)
    while (cycle := _cycle(heads)) is not None:
        inside = np.zeros(len(scores), dtype=bool)
        inside[cycle] = True
        outside = np.flatnonzero(~inside)
        # Contract the cycle to one node, the last: entered at its cheapest token, and left from the best one.
        entries = scores[np.ix_(cycle, outside)] - scores[cycle, heads[cycle]][:, None]
        exits = scores[np.ix_(outside, cycle)]
        small = np.full((len(outside) + 1, len(outside) + 1), -np.inf)
        small[:-1, :-1] = scores[np.ix_(outside, outside)]
        small[-1, :-1] = entries.max(0)
        small[:-1, -1] = exits.max(1)
        contracted.append((heads, cycle, outside, entries, exits))
        scores, heads = small, _greedy(small)
    while contracted:
        contracted_heads, (heads, cycle, outside, entries, exits) = heads, contracted.pop()
        for row, node in enumerate(outside):
            if node:
                head = contracted_heads[row]
                heads[node] = cycle[exits[row].argmax()] if head == len(outside) else outside[head]
        entry = contracted_heads[-1]
        heads[cycle[entries[:, entry].argmax()]] = outside[entry]
    return heads


def _greedy(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the best head of each node independently; the root's head is the root."""
    return np.concatenate([[0], scores[1:].argmax(1)])


def _cycle(heads: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the nodes of a cycle among heads; None if there is none."""
    seen = np.zeros(len(heads), dtype=np.int64)
    for start in range(1, len(heads)):
        node = start
        while node and not seen[node]:
            seen[node] = start
            node = heads[node]
        if node and seen[node] == start:
            cycle = [node]
            while heads[cycle[-1]] != node:
                cycle.append(heads[cycle[-1]])
            return np.array(cycle)
    return None
