"""Tag marginals of span sets in plain Python, loop by loop: in logs, so that, as in kselect, any scores will do."""

from __future__ import annotations

import math
from collections.abc import Sequence

Table = Sequence[Sequence[Sequence[float]]]


def tag_marginals(scores: Table, n: int) -> list[list[float]]:
    """Return how probable each tag is at each of a sentence's n positions: O, then B, I, E and S of each label.

    Args:
        scores: of a span by its first position, its last one and its label.
        n: how many positions are real.
    """
    labels = len(scores[0][0])
    spans = [[log_sum_exp(scores[first][last]) for last in range(first, n)] for first in range(n)]  # by length
    before, after = [0.0], [0.0]  # sums over what is before the k-th boundary, and after the k-th from the end
    for k in range(n):
        before.append(log_sum_exp([before[k], *(before[first] + spans[first][k - first] for first in range(k + 1))]))
        start = n - 1 - k
        after.append(
            log_sum_exp([after[k], *(after[n - 1 - last] + spans[start][last - start] for last in range(start, n))])
        )
    tags = [[1.0] + [0.0] * (4 * labels) for _ in range(n)]
    for first in range(n):
        for last in range(first, n):
            around = before[first] + after[n - 1 - last] - before[n]
            for label in range(labels):
                probability = math.exp(around + scores[first][last][label])
                for position in range(first, last + 1):
                    kind = 3 if first == last else 0 if position == first else 2 if position == last else 1
                    tags[position][1 + 4 * label + kind] += probability
                    tags[position][0] -= probability
    return tags


def log_sum_exp(values: Sequence[float]) -> float:
    """Return the log of the sum of the exponentials."""
    top = max(values)
    return top + math.log(sum([math.exp(value - top) for value in values]))
