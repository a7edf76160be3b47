"""A linear chain against all its label sequences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kselect.structure import ChainMarginals, LinearChain, cross_entropy, forward_backward, kl
from tests.structure.enumeration import chain_scores, sequences

LABELS = 3
SCALES = (1.0, 30.0, 1000.0)


def draw(seed: int, lengths: list[int], *, scale: float = 1.0, forbidden: float = 0.0) -> dict[str, Tensor]:
    """Return random scores in float64 for sentences of these lengths; a share of them is minus infinity."""
    generator = torch.Generator().manual_seed(seed)

    def scores(*shape: int) -> Tensor:
        values = scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
        return values.masked_fill(torch.rand(*shape, generator=generator) < forbidden, -torch.inf)

    n = max(lengths)
    return {
        "emissions": scores(len(lengths), n, LABELS),
        "transitions": scores(LABELS, LABELS),
        "mask": (torch.arange(n) < torch.tensor(lengths)[:, None]).long(),
        "start": scores(LABELS),
        "end": scores(LABELS),
    }


class Enumerated:
    """The same distribution of sentence `row`, every sequence by itself."""

    def __init__(self, scores: dict[str, Tensor], row: int) -> None:
        self.n = int(scores["mask"][row].sum())
        self.all = sequences(self.n, LABELS)
        ends = (scores["transitions"], scores["start"], scores["end"])
        self.scores = chain_scores(scores["emissions"][row, : self.n], *ends, self.all)
        self.log_partition = torch.logsumexp(self.scores, 0)
        self.probabilities = torch.softmax(self.scores, 0).nan_to_num(0.0)
        one_hot = torch.nn.functional.one_hot(self.all, LABELS).double()
        self.labels = torch.einsum("s,snl->nl", self.probabilities, one_hot)
        self.transitions = torch.einsum("s,snk,snl->kl", self.probabilities, one_hot[:, :-1], one_hot[:, 1:])


def fast_way(chain: LinearChain) -> tuple[forward_backward.ChainSums, Tensor]:
    """Return the sums on scaled probabilities and, `[B]`, whether they are sound."""
    together, sound = forward_backward.scaled(*(each[None] for each in (*chain._scores, chain.lengths)))
    return forward_backward.ChainSums(*(each[0] for each in together)), sound[0]


cases = st.tuples(
    st.integers(0, 10_000),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.sampled_from(SCALES),
    st.sampled_from([0.0, 0.3]),
)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_linear_chain_equals_a_sum_over_all_sequences(case: tuple[int, list[int], float, float]) -> None:
    seed, lengths, scale, forbidden = case
    scores = draw(seed, lengths, scale=scale, forbidden=forbidden)
    chain = LinearChain(**scores)
    close: dict[str, Any] = {"atol": 1e-9 * max(scale, 1), "rtol": 1e-12}
    for row, n in enumerate(lengths):
        listed = Enumerated(scores, row)
        torch.testing.assert_close(chain.log_partition[row], listed.log_partition, **close)
        torch.testing.assert_close(chain.marginals.labels[row, :n], listed.labels, atol=1e-9, rtol=0)
        torch.testing.assert_close(chain.marginals.transitions[row], listed.transitions, atol=1e-9, rtol=0)
        assert (chain.marginals.labels[row, n:] == 0).all()
        if listed.log_partition.isfinite():
            terms = torch.special.entr(listed.probabilities)
            torch.testing.assert_close(chain.entropy[row], terms.sum(), **close)
            assert chain.score(chain.argmax)[row] == pytest.approx(listed.scores.max().item())
            found, values = chain.best(4)
            best = listed.scores[listed.scores > -torch.inf].sort(descending=True).values[:4]
            torch.testing.assert_close(values[row, : len(best)], best, **close)
            assert (values[row, len(best) :] == -torch.inf).all()
            assert len({tuple(labels) for labels in found[row, : len(best)].tolist()}) == len(best)
            again = chain_scores(
                scores["emissions"][row, :n], scores["transitions"], scores["start"], scores["end"], found[row, :, :n]
            )
            torch.testing.assert_close(again[: len(best)], best, **close)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.sampled_from(SCALES))
def test_cross_entropy_and_kl_of_chains_equal_sums_over_all_sequences(
    seed: int, lengths: list[int], scale: float
) -> None:
    p, q = draw(seed, lengths, scale=scale), draw(seed + 1, lengths, scale=scale)
    found = kl(LinearChain(**p), LinearChain(**q)), cross_entropy(LinearChain(**p), LinearChain(**q))
    for row in range(len(lengths)):
        one, other = Enumerated(p, row), Enumerated(q, row)
        log_q = other.scores - other.log_partition
        crossed = -(one.probabilities * log_q).sum()
        torch.testing.assert_close(found[1][row], crossed, atol=1e-9 * scale, rtol=1e-12)
        entropy = torch.special.entr(one.probabilities).sum()
        torch.testing.assert_close(found[0][row], crossed - entropy, atol=1e-9 * scale, rtol=1e-12)


def test_log_partition_gradient_is_the_marginals() -> None:
    scores = draw(0, [4, 1, 3])
    for name in ("emissions", "transitions", "start", "end"):
        scores[name].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *given: LinearChain(given[0], given[1], scores["mask"], given[2], given[3]).log_partition,
        (scores["emissions"], scores["transitions"], scores["start"], scores["end"]),
    )
    (gradient,) = torch.autograd.grad(LinearChain(**scores).log_partition.sum(), scores["emissions"])
    torch.testing.assert_close(gradient, LinearChain(**scores).marginals.labels)


def test_marginals_and_entropy_are_differentiable() -> None:
    scores = draw(1, [3, 2])
    mask, ends = scores["mask"], (scores["start"], scores["end"])

    def entropy(emissions: Tensor, transitions: Tensor) -> Tensor:
        return LinearChain(emissions, transitions, mask, *ends).entropy

    def labels(emissions: Tensor, transitions: Tensor) -> Tensor:
        return LinearChain(emissions, transitions, mask, *ends).marginals.labels

    given = (scores["emissions"].requires_grad_(), scores["transitions"].requires_grad_())
    assert torch.autograd.gradcheck(entropy, given)
    assert torch.autograd.gradcheck(labels, given)


def test_cross_entropy_gradient_is_the_difference_of_marginals() -> None:
    teacher, scores = LinearChain(**draw(2, [4, 2])), draw(3, [4, 2])
    scores["emissions"].requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(teacher, LinearChain(**scores)).sum(), scores["emissions"])
    with torch.no_grad():
        torch.testing.assert_close(gradient, LinearChain(**scores).marginals.labels - teacher.marginals.labels)


@pytest.mark.parametrize("scale", SCALES)
def test_scaled_agrees_with_logarithmic_where_sound(scale: float) -> None:
    scores = draw(4, [30, 1, 17, 8] * 8, scale=scale)
    chain = LinearChain(**scores)
    fast, sound = fast_way(chain)
    slow = forward_backward.logarithmic(chain._scores[0], chain._scores[1], chain.lengths)
    assert sound.all() if scale <= 30 else not sound.all()
    torch.testing.assert_close(fast.labels[sound], slow.labels[sound], atol=1e-9, rtol=0)
    torch.testing.assert_close(fast.transitions[sound], slow.transitions[sound], atol=1e-9, rtol=0)


@pytest.mark.parametrize("scales", [(1.0, 1.0), (1.0, 1000.0), (1000.0, 1000.0)])
def test_solve_together_equals_solving_separately(scales: tuple[float, float]) -> None:
    """Whether none, one or both leave the fast way, and whatever their lengths are."""
    given = draw(10, [9, 1, 4], scale=scales[0], forbidden=0.2), draw(11, [3, 7, 9], scale=scales[1], forbidden=0.2)
    together, alone = ([LinearChain(**scores) for scores in given] for _ in range(2))
    together[0]._solve_together(together[1])
    assert all(chain._is_solved for chain in together)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.log_partition, other.log_partition)
        torch.testing.assert_close(one.marginals, other.marginals, atol=1e-12, rtol=0)


def test_kl_is_infinite_only_with_mass_on_forbidden_transitions() -> None:
    one, other = draw(12, [4, 1]), draw(13, [4, 1])
    fewer = dict(other, transitions=other["transitions"].clone())
    fewer["transitions"][0, 1] = -torch.inf
    for measure in (cross_entropy, kl):
        found = measure(LinearChain(**one), LinearChain(**fewer))
        assert found[0] == torch.inf
        assert found[1].isfinite()
        assert measure(LinearChain(**fewer), LinearChain(**other)).isfinite().all()


@pytest.mark.parametrize("forbidden", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_chain_with_extreme_scores(dtype: torch.dtype, forbidden: float) -> None:
    scores = draw(5, [40, 3, 25, 40], scale=1000.0, forbidden=forbidden)
    chain = LinearChain(**{name: value if name == "mask" else value.to(dtype) for name, value in scores.items()})
    labels, total = chain.marginals.labels, chain.marginals.labels.sum(-1)
    assert (labels >= 0).all()
    assert (labels <= 1 + 1e-6).all()
    possible = chain.log_partition > -torch.inf
    torch.testing.assert_close(total, (chain.mask & possible[:, None]).to(dtype), atol=1e-5, rtol=0)
    moves = (chain.lengths - 1) * possible
    torch.testing.assert_close(chain.marginals.transitions.sum((1, 2)), moves.to(dtype), atol=1e-4, rtol=0)


def test_scaled_detects_underflow() -> None:
    """A detour of small probability at first is the only way to the end."""
    emissions = torch.zeros(1, 3, 2)
    emissions[0, 0, 1] = -800.0
    transitions = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
    emissions[0, 2, 0] = -torch.inf
    chain = LinearChain(emissions, transitions, torch.ones(1, 3))
    assert not fast_way(chain)[1].item()
    assert chain.log_partition.item() == pytest.approx(-800.0)
    torch.testing.assert_close(chain.marginals.labels, torch.tensor([[[0.0, 1.0]] * 3]))


def test_scaled_is_sound_for_large_negative_transitions() -> None:
    generator = torch.Generator().manual_seed(0)
    emissions = 3 * torch.randn(2, 40, 9, generator=generator)
    transitions = torch.randn(9, 9, generator=generator)
    for forbidden in (-1e4, -1e30, -torch.inf):
        transitions[0, 3] = forbidden
        found = LinearChain(emissions, transitions, torch.ones(2, 40))
        fast, sound = fast_way(found)
        assert sound.all()
        slow = forward_backward.logarithmic(found._scores[0], found._scores[1], found.lengths)
        torch.testing.assert_close(fast.labels, slow.labels, atol=1e-12, rtol=0)
        torch.testing.assert_close(fast.log_partition, slow.log_partition)
    only = torch.full((9, 9), -1e4)
    only[0, 0] = 0.0
    emissions[:, 1, 0] = -torch.inf  # so that the costly moves cannot be avoided
    found = LinearChain(emissions, only, torch.ones(2, 40))
    assert not fast_way(found)[1].any()
    assert (found.log_partition < -9e3).all()


def test_linear_chain_ignores_padding() -> None:
    scores = draw(6, [5, 5])
    padded = dict(scores)
    padded["emissions"] = torch.cat([scores["emissions"], torch.full((2, 3, LABELS), 1e6).double()], 1)
    padded["mask"] = torch.cat([scores["mask"], torch.zeros(2, 3).long()], 1)
    torch.testing.assert_close(LinearChain(**padded).log_partition, LinearChain(**scores).log_partition)
    torch.testing.assert_close(LinearChain(**padded).argmax[:, :5], LinearChain(**scores).argmax)


def test_linear_chain_of_an_empty_sentence() -> None:
    scores = draw(7, [3, 2])
    scores["mask"][1] = 0
    chain = LinearChain(**scores)
    assert chain.log_partition[1] == 0
    assert chain.entropy[1] == 0
    assert (chain.marginals.transitions[1] == 0).all()


def test_chain_marginals_independent_equal_a_chain_without_transitions() -> None:
    scores = draw(8, [4, 2])
    flat = LinearChain(scores["emissions"], torch.zeros(LABELS, LABELS).double(), scores["mask"])
    found = ChainMarginals.independent(torch.softmax(scores["emissions"], -1), scores["mask"])
    torch.testing.assert_close(found.labels, flat.marginals.labels)
    torch.testing.assert_close(found.transitions, flat.marginals.transitions)


def test_linear_chain_refuses_a_mask_with_holes() -> None:
    with pytest.raises(ValueError, match="padding before real"):
        LinearChain(torch.zeros(1, 3, 2), torch.zeros(2, 2), torch.tensor([[1, 0, 1]]))
