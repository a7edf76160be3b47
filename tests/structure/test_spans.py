"""Span sets against all of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kselect.structure import SpanSets, cross_entropy, kl
from kselect.structure.spans import by_substitution, in_logs
from tests.structure.enumeration import bioes, span_sets

LABELS = 2


def draw(seed: int, lengths: list[int], *, scale: float = 1.0, forbidden: float = 0.0) -> dict[str, Tensor]:
    """Return random scores in float64 for sentences of these lengths; a share of them is minus infinity."""
    generator = torch.Generator().manual_seed(seed)
    n = max(lengths)
    scores = scale * torch.randn(len(lengths), n, n, LABELS, generator=generator, dtype=torch.float64)
    scores = scores.masked_fill(torch.rand(scores.shape, generator=generator) < forbidden, -torch.inf)
    return {"scores": scores, "mask": (torch.arange(n) < torch.tensor(lengths)[:, None]).long()}


class Enumerated:
    """The same distribution of sentence `row`, every span set by itself."""

    def __init__(self, given: dict[str, Tensor], row: int) -> None:
        n = int(given["mask"][row].sum())
        table = given["scores"][row]
        self.all = span_sets(n, LABELS)
        self.scores = torch.stack([sum((table[span] for span in spans), table.new_zeros(())) for spans in self.all])
        self.log_partition = torch.logsumexp(self.scores, 0)
        self.probabilities = torch.softmax(self.scores, 0)
        self.spans, self.tags = torch.zeros_like(table), table.new_zeros(len(table), 1 + 4 * LABELS)
        for probability, spans in zip(self.probabilities, self.all, strict=True):
            for span in spans:
                self.spans[span] += probability
            for position, tag in enumerate(bioes(spans, n)):
                self.tags[position, tag] += probability


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(0, 4), min_size=1, max_size=3).filter(any),
    st.sampled_from([1.0, 30.0, 1000.0]),
    st.sampled_from([0.0, 0.3]),
)
def test_span_sets_equal_a_sum_over_all_sets(seed: int, lengths: list[int], scale: float, forbidden: float) -> None:
    given = draw(seed, lengths, scale=scale, forbidden=forbidden)
    found = SpanSets(**given)
    close: dict[str, Any] = {"atol": 1e-9 * scale, "rtol": 1e-12}
    for row in range(len(lengths)):
        listed = Enumerated(given, row)
        torch.testing.assert_close(found.log_partition[row], listed.log_partition, **close)
        torch.testing.assert_close(found.marginals[row], listed.spans, atol=1e-9, rtol=0)
        torch.testing.assert_close(found.tag_marginals()[row], listed.tags, atol=1e-9, rtol=0)
        torch.testing.assert_close(found.entropy[row], torch.special.entr(listed.probabilities).sum(), **close)
        best = {tuple(span) for span in found.argmax[row].nonzero().tolist()}
        assert best in [set(spans) for spans in listed.all]
        score = sum(given["scores"][row][span] for span in best)
        assert float(score) == pytest.approx(listed.scores.max().item())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_cross_entropy_and_kl_of_span_sets_equal_sums_over_all_sets(seed: int, lengths: list[int]) -> None:
    p, q = draw(seed, lengths), draw(seed + 1, lengths)
    crossed, divergence = (measure(SpanSets(**p), SpanSets(**q)) for measure in (cross_entropy, kl))
    for row in range(len(lengths)):
        one, other = Enumerated(p, row), Enumerated(q, row)
        expected = -(one.probabilities * (other.scores - other.log_partition)).sum()
        torch.testing.assert_close(crossed[row], expected, atol=1e-9, rtol=1e-12)
        expected = expected - torch.special.entr(one.probabilities).sum()
        torch.testing.assert_close(divergence[row], expected, atol=1e-9, rtol=1e-12)


def test_span_sets_gradients_by_finite_differences() -> None:
    given = draw(0, [4, 2], forbidden=0.2)
    impossible = given["scores"] == -torch.inf
    scores = given["scores"].masked_fill(impossible, 0.0).requires_grad_()

    def spans(scores: Tensor) -> SpanSets:
        return SpanSets(scores.masked_fill(impossible, -torch.inf), given["mask"])

    assert torch.autograd.gradcheck(lambda scores: spans(scores).log_partition, scores)
    assert torch.autograd.gradcheck(lambda scores: spans(scores).tag_marginals(), scores)
    assert torch.autograd.gradcheck(lambda scores: spans(scores).entropy, scores)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(1.0, [True] * 4), (30.0, [False, True, True, True]), (1000.0, [False, True, False, False])],
)
def test_by_substitution_agrees_with_in_logs_where_sound(scale: float, expected: list[bool]) -> None:
    found = SpanSets(**draw(2, [40, 1, 12, 25], scale=scale, forbidden=0.2))
    (scores,) = found._scores
    value, marginals, sound = by_substitution(scores)
    assert sound.tolist() == expected
    exact, slow = in_logs(scores)
    torch.testing.assert_close(value[sound], exact[sound])
    torch.testing.assert_close(marginals[sound], slow[sound], atol=1e-12, rtol=0)
    torch.testing.assert_close(found.log_partition, exact)
    torch.testing.assert_close(found.marginals, slow, atol=1e-12, rtol=0)


def test_span_sets_with_extreme_scores() -> None:
    given = draw(1, [30, 1, 12], scale=1000.0, forbidden=0.3)
    found = SpanSets(given["scores"].float(), given["mask"])
    tags = found.tag_marginals()
    assert (tags >= 0).all()
    assert (tags <= 1 + 1e-6).all()
    torch.testing.assert_close(tags.sum(-1), given["mask"].float(), atol=1e-5, rtol=0)
