"""Tag marginals of span sets in plain Python, loop by loop."""

from __future__ import annotations

import math

Table = list[list[list[float]]]


def tag_marginals(scores: Table, n: int) -> list[list[float]]:
    """Return how probable each tag is at each of a sentence's n positions: O, then B, I, E and S of each label.

    Args:
        scores: of a span by its first position, its last one and its label.
        n: how many positions are real.
    """
    labels = len(scores[0][0])
    weights = [[[math.exp(score) for score in scores[first][last]] for last in range(n)] for first in range(n)]
    spans = [[sum(weights[first][last]) for last in range(n)] for first in range(n)]
    before, after = [1.0], [1.0]
    for end in range(n):
        before.append(before[end] + sum(before[first] * spans[first][end] for first in range(end + 1)))
        start = n - 1 - end
        after.append(after[end] + sum(after[n - 1 - last] * spans[start][last] for last in range(start, n)))
    tags = [[1.0] + [0.0] * (4 * labels) for _ in range(n)]
    for first in range(n):
        for last in range(first, n):
            around = before[first] * after[n - 1 - last] / before[n]
            for label in range(labels):
                probability = around * weights[first][last][label]
                for position in range(first, last + 1):
                    kind = 3 if first == last else 0 if position == first else 2 if position == last else 1
                    tags[position][1 + 4 * label + kind] += probability
                    tags[position][0] -= probability
    return tags
