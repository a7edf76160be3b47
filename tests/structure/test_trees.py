"""Dependency trees against all of them."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kselect.structure import NonProjectiveTrees, ProjectiveTrees, cross_entropy, kl
from kselect.structure.trees import best_heads, by_elimination, by_inverse, matrix_tree
from kselect.tasks.words import find_tree_error
from tests.structure.enumeration import trees


def draw(seed: int, lengths: list[int], *, scale: float = 1.0, forbidden: float = 0.0) -> dict[str, Tensor]:
    """Return random scores in float64 for sentences of these lengths; a share of them is minus infinity."""
    generator = torch.Generator().manual_seed(seed)
    n = max(lengths)
    scores = scale * torch.randn(len(lengths), n, n + 1, generator=generator, dtype=torch.float64)
    scores = scores.masked_fill(torch.rand(scores.shape, generator=generator) < forbidden, -torch.inf)
    return {"scores": scores, "mask": (torch.arange(n) < torch.tensor(lengths)[:, None]).long()}


Kind = type[NonProjectiveTrees] | type[ProjectiveTrees]
both_kinds = pytest.mark.parametrize("kind", [NonProjectiveTrees, ProjectiveTrees])


class Enumerated:
    """The same distribution of sentence `row`, every tree by itself."""

    def __init__(self, given: dict[str, Tensor], row: int, kind: Kind = NonProjectiveTrees) -> None:
        n = int(given["mask"][row].sum())
        table = given["scores"][row]
        self.all = torch.tensor(trees(n, crossing=kind is NonProjectiveTrees))
        self.scores = table[torch.arange(n), self.all].sum(-1)
        self.log_partition = torch.logsumexp(self.scores, 0)
        self.probabilities = torch.softmax(self.scores, 0).nan_to_num(0.0)
        self.arcs = torch.zeros_like(table)
        self.arcs[:n, : n + 1] = torch.einsum(
            "t,tnh->nh", self.probabilities, torch.nn.functional.one_hot(self.all, n + 1).double()
        )


@both_kinds
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.sampled_from([1.0, 10.0, 1000.0]),
    st.sampled_from([0.0, 0.4]),
)
def test_trees_equal_a_sum_over_all_trees(
    kind: Kind, seed: int, lengths: list[int], scale: float, forbidden: float
) -> None:
    given = draw(seed, lengths, scale=scale, forbidden=forbidden)
    found = kind(**given)
    close: dict[str, Any] = {"atol": 1e-9 * scale, "rtol": 1e-9}
    for row, n in enumerate(lengths):
        listed = Enumerated(given, row, kind)
        torch.testing.assert_close(found.log_partition[row], listed.log_partition, **close)
        torch.testing.assert_close(found.marginals[row], listed.arcs, atol=1e-9, rtol=0)
        if listed.log_partition.isfinite():
            torch.testing.assert_close(found.entropy[row], torch.special.entr(listed.probabilities).sum(), **close)
            assert tuple(found.argmax[row, :n].tolist()) == tuple(listed.all[listed.scores.argmax()].tolist())


@pytest.mark.parametrize(
    ("of_p", "of_q"),
    [
        (NonProjectiveTrees, NonProjectiveTrees),
        (ProjectiveTrees, ProjectiveTrees),
        (ProjectiveTrees, NonProjectiveTrees),
    ],
)
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_cross_entropy_and_kl_of_trees_equal_sums_over_all_trees(
    of_p: Kind, of_q: Kind, seed: int, lengths: list[int]
) -> None:
    p, q = draw(seed, lengths), draw(seed + 1, lengths)
    crossed, divergence = (measure(of_p(**p), of_q(**q)) for measure in (cross_entropy, kl))
    for row, n in enumerate(lengths):
        one, other = Enumerated(p, row, of_p), Enumerated(q, row, of_q)
        scores = q["scores"][row][torch.arange(n), one.all].sum(-1)
        expected = -(one.probabilities * (scores - other.log_partition)).sum()
        torch.testing.assert_close(crossed[row], expected, atol=1e-9, rtol=1e-9)
        expected = expected - torch.special.entr(one.probabilities).sum()
        torch.testing.assert_close(divergence[row], expected, atol=1e-9, rtol=1e-9)


@both_kinds
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_trees_gradients_by_finite_differences(kind: Kind, scale: float) -> None:
    """At the larger scale some sentences leave the fast way."""
    given = draw(3, [4, 2, 3], scale=scale)
    scores = given["scores"].requires_grad_()
    assert torch.autograd.gradcheck(lambda scores: kind(scores, given["mask"]).log_partition, scores)
    assert torch.autograd.gradcheck(lambda scores: kind(scores, given["mask"]).marginals, scores)
    assert torch.autograd.gradcheck(lambda scores: kind(scores, given["mask"]).entropy, scores)


def test_by_elimination_agrees_with_by_inverse_where_sound() -> None:
    found = NonProjectiveTrees(**draw(4, [40, 7, 1, 25] * 4))
    value, marginals, sound = by_inverse(found._scores[0], found.mask, 1e-9)
    assert sound.all()
    scores = found._scores[0].detach().requires_grad_()
    again = by_elimination(scores, found.mask)
    torch.testing.assert_close(again, value, atol=1e-9, rtol=1e-12)
    (gradient,) = torch.autograd.grad(again.sum(), scores)
    torch.testing.assert_close(gradient, marginals, atol=1e-9, rtol=0)


def test_best_heads_of_nested_cycles_does_not_recurse() -> None:
    """Two tokens prefer each other, these two and the third do, these three and the fourth, ..., and none the root."""
    n = 80
    tokens = torch.arange(1, n + 1).double()
    scores = -(tokens[:, None] - tokens).abs() - torch.maximum(tokens[:, None], tokens)
    scores = torch.cat([torch.full((n, 1), -1e6).double(), scores.fill_diagonal_(-torch.inf)], 1)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 50)
    try:
        (heads,) = best_heads(scores[None], torch.ones(1, n)).tolist()
    finally:
        sys.setrecursionlimit(limit)
    assert find_tree_error(heads) is None
    best = NonProjectiveTrees(1e3 * scores[None], torch.ones(1, n)).log_partition / 1e3
    assert float(scores[torch.arange(n), heads].sum()) == pytest.approx(float(best), rel=1e-6)


def test_by_inverse_of_many_tokens_on_two_threads() -> None:
    given = draw(0, [160, 151, 90])
    weights, mask = given["scores"].softmax(-1) * given["mask"][..., None], given["mask"].bool()
    weights[..., 1:].diagonal(dim1=1, dim2=2).zero_()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = matrix_tree(weights, mask)
        torch.set_num_threads(2)
        two = matrix_tree(weights, mask)
    finally:
        torch.set_num_threads(threads)
    assert torch.allclose(one[0], two[0], rtol=1e-12)
    assert torch.allclose(one[1], two[1], atol=1e-12)
    assert torch.allclose(two[1].sum(-1), given["mask"].double(), atol=1e-9)


def test_trees_of_tokens_that_prefer_a_cycle() -> None:
    """Each of three tokens all but insists on another one of them, so that the matrix is singular to float64."""
    scores = torch.full((1, 4, 5), -100.0)
    for dependent, head in ((0, 2), (1, 3), (2, 1)):
        scores[0, dependent, head] = 0.0
    scores[0, 3, 0] = 0.0
    given = {"scores": scores, "mask": torch.ones(1, 4)}
    assert not by_inverse(NonProjectiveTrees(**given)._scores[0], torch.ones(1, 4).bool(), 1e-6)[2].item()
    listed = Enumerated({"scores": scores.double(), "mask": torch.ones(1, 4)}, 0)
    assert NonProjectiveTrees(**given).log_partition.item() == pytest.approx(listed.log_partition.item())
    torch.testing.assert_close(NonProjectiveTrees(**given).marginals[0].double(), listed.arcs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("forbidden", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@both_kinds
def test_trees_with_extreme_scores(kind: Kind, dtype: torch.dtype, forbidden: float) -> None:
    given = draw(5, [30, 1, 12], scale=1000.0, forbidden=forbidden)
    found = kind(given["scores"].to(dtype), given["mask"])
    marginals = found.marginals
    assert (marginals >= 0).all()
    assert (marginals <= 1 + 1e-6).all()
    possible = (found.log_partition > -torch.inf)[:, None]
    torch.testing.assert_close(marginals.sum(-1), (found.mask & possible).to(dtype), atol=1e-5, rtol=0)
    torch.testing.assert_close(marginals[..., 0].sum(-1), possible[:, 0].to(dtype), atol=1e-5, rtol=0)


@both_kinds
def test_trees_of_an_empty_sentence(kind: Kind) -> None:
    given = draw(6, [3, 2])
    given["mask"][1] = 0
    assert kind(**given).log_partition[1] == 0
    assert (kind(**given).marginals[1] == 0).all()
