"""What must hold of every distribution over structures."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kselect.structure import (
    LinearChain,
    NonProjectiveTrees,
    ProjectiveTrees,
    SpanSets,
    cross_entropy,
    cross_entropy_of,
    kl,
    mean_field,
)
from kselect.structure.distribution import Distribution

Build = Callable[[Tensor], Distribution[Any]]
MASK = torch.tensor([[1, 1, 1], [1, 1, 0]])


def chain(scores: Tensor) -> LinearChain:
    """A chain whose emissions and transitions are cut from one tensor `[B, n, 4]`: labels 0 and 1, then both moves."""
    return LinearChain(scores[..., :2], scores[0, :2, 2:], MASK[:, : scores.size(1)])


BUILDS: dict[str, tuple[Build, tuple[int, ...]]] = {
    "chain": (chain, (2, 3, 4)),
    "non-projective": (lambda scores: NonProjectiveTrees(scores, MASK), (2, 3, 4)),
    "projective": (lambda scores: ProjectiveTrees(scores, MASK), (2, 3, 4)),
    "spans": (lambda scores: SpanSets(scores, MASK), (2, 3, 3, 2)),
}
every_kind = pytest.mark.parametrize("kind", BUILDS)


def draw(kind: str, seed: int = 0, *, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(BUILDS[kind][1], generator=generator, dtype=torch.float64)


@every_kind
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_log_partition_second_derivative(kind: str, scale: float) -> None:
    build, scores = BUILDS[kind][0], draw(kind, scale=scale).requires_grad_()
    (gradient,) = torch.autograd.grad(build(scores).log_partition.sum(), scores, create_graph=True)
    assert gradient.requires_grad
    assert torch.autograd.gradgradcheck(lambda scores: build(scores).log_partition, scores)
    fixed = build(draw(kind, 1, scale=scale))
    assert torch.autograd.gradgradcheck(lambda scores: kl(fixed, build(scores)), scores)


@every_kind
def test_log_partition_first_derivative_needs_no_recursion(kind: str) -> None:
    scores = draw(kind).requires_grad_()
    found = BUILDS[kind][0](scores)
    nodes: list[Any] = [found.log_partition.grad_fn]
    seen = 0
    while nodes:
        node = nodes.pop()
        seen += 1
        nodes += [following for following, _ in node.next_functions if following is not None]
    assert seen < 30


@every_kind
def test_forward_mode_agrees_with_reverse_mode(kind: str) -> None:
    build, scores, direction = BUILDS[kind][0], draw(kind), draw(kind, 1)

    def log_partition(scores: Tensor) -> Tensor:
        return build(scores).log_partition

    def entropy(scores: Tensor) -> Tensor:
        return build(scores).entropy

    for measure in (log_partition, entropy):
        value, forwards, *_ = torch.func.jvp(measure, (scores,), (direction,))
        torch.testing.assert_close(value, measure(scores))
        differences = (measure(scores + 1e-6 * direction) - measure(scores - 1e-6 * direction)) / 2e-6
        torch.testing.assert_close(forwards, differences, atol=1e-7, rtol=0)


@every_kind
@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
def test_float32_is_exact_to_its_last_digits(kind: str, scale: float) -> None:
    build = BUILDS[kind][0]
    one, other = draw(kind, scale=scale).float(), draw(kind, 1, scale=scale).float()
    near = one + 1e-3 * other / scale
    eps = torch.finfo(torch.float32).eps
    measures: tuple[Callable[..., Tensor], ...] = (
        lambda p, q: p.log_partition,
        lambda p, q: p.entropy,
        cross_entropy,
        kl,
        lambda p, q: p.score(p.argmax),
        lambda p, q: p.log_prob(q.argmax),
    )
    for measure in measures:
        for p, q in ((one, other), (one, near)):
            single = measure(build(p), build(q))
            assert single.dtype == torch.float32
            exact = measure(build(p.double()), build(q.double()))
            torch.testing.assert_close(single.double(), exact, rtol=4 * eps, atol=1e-11 * scale)


@every_kind
def test_argmax_score_equals_that_of_its_parts(kind: str) -> None:
    """At the end of a steep slope, the best structure is all there is."""
    found = BUILDS[kind][0](draw(kind, scale=500.0))
    best = found.argmax
    torch.testing.assert_close(found.score(best), found.log_partition)
    torch.testing.assert_close(found.log_prob(best), torch.zeros(2).double(), atol=1e-9, rtol=0)
    mild = BUILDS[kind][0](draw(kind))
    torch.testing.assert_close(mild.log_prob(best), mild.score(best) - mild.log_partition)
    torch.testing.assert_close(mild.expected_score(mild.marginals), mild.log_partition - mild.entropy)


@every_kind
def test_half_precision_gives_float32_and_autocast_has_no_effect(kind: str) -> None:
    build, scores = BUILDS[kind][0], draw(kind, scale=3.0).bfloat16()
    plain = build(scores.float()).log_partition
    assert torch.equal(build(scores).log_partition, plain)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(build(scores.float()).log_partition, plain)
        torch.testing.assert_close(kl(build(scores.float()), build(scores.float())), torch.zeros(2))


@every_kind
def test_distributions_refuse_bad_scores_and_masks(kind: str) -> None:
    with pytest.raises(ValueError, match="floating point"):
        BUILDS[kind][0](draw(kind).long())
    holes = torch.tensor([[1, 0, 1], [1, 1, 1]])
    scores = draw(kind)
    with pytest.raises(ValueError, match="padding before real"):
        {
            "chain": lambda: LinearChain(scores[..., :2], scores[0, :2, 2:], holes),
            "non-projective": lambda: NonProjectiveTrees(scores, holes),
            "projective": lambda: ProjectiveTrees(scores, holes),
            "spans": lambda: SpanSets(scores, holes),
        }[kind]()


def test_distributions_refuse_other_shapes() -> None:
    emissions, mask = torch.zeros(2, 2, 2), torch.ones(2, 2)
    of_labels = {"transitions": torch.zeros(2, 2), "start": torch.zeros(2), "end": torch.zeros(2)}
    for name, shape in (("transitions", (2,)), ("start", (2, 2)), ("start", (1,)), ("end", (3,))):
        wanted = re.escape(f"need {name} {list(of_labels[name].shape)}, not {list(shape)}")
        with pytest.raises(ValueError, match=wanted):
            LinearChain(emissions, mask=mask, **{**of_labels, name: torch.zeros(shape)})
    with pytest.raises(ValueError, match=r"must be \[B, n, L\], not \[2, 2\]"):
        LinearChain(emissions[0], mask=mask, **of_labels)
    for kind in (NonProjectiveTrees, ProjectiveTrees):
        for wrong in (torch.zeros(2, 2, 2), torch.zeros(2, 2, 3, 1), torch.zeros(2, 2)):
            with pytest.raises(ValueError, match=r"arcs must be \[B, 2, 3\]"):
                kind(wrong, mask)
    for wrong in (torch.zeros(2, 2, 3, 1), torch.zeros(2, 2, 2)):
        with pytest.raises(ValueError, match=r"spans must be \[B, 2, 2, R\]"):
            SpanSets(wrong, mask)


def test_kl_refuses_other_structures() -> None:
    mask = torch.ones(2, 3)
    chain = LinearChain(torch.zeros(2, 3, 4), torch.zeros(4, 4), mask)
    trees, projective = (kind(torch.zeros(2, 3, 4), mask) for kind in (NonProjectiveTrees, ProjectiveTrees))
    pairs: tuple[Any, ...] = ((trees, projective), (chain, trees), (trees, chain), (chain, projective))
    for p, q in pairs:
        for measure in (cross_entropy, kl):
            with pytest.raises(
                TypeError, match=f"p, {type(p).__name__}, has structures that q, {type(q).__name__}, does not"
            ):
                measure(p, q)


@pytest.mark.parametrize("kind", ["chain", "non-projective", "projective"])
def test_distributions_without_possible_structures(kind: str) -> None:
    build, scores = BUILDS[kind][0], draw(kind)
    possible, impossible = build(scores), build(torch.full_like(scores, -torch.inf))
    assert (impossible.log_partition == -torch.inf).all()
    assert (impossible.entropy == 0).all()
    for measure in (cross_entropy, kl):
        assert (measure(possible, impossible) == torch.inf).all()
        assert (measure(impossible, possible) == 0).all()
        assert (measure(impossible, impossible) == 0).all()


@every_kind
def test_kl_is_infinite_only_with_mass_on_impossible_structures(kind: str) -> None:
    build, scores = BUILDS[kind][0], draw(kind)
    fewer = scores.clone()
    fewer[0, 0, ..., 0] = -torch.inf  # a label, an arc from the root, or a span
    found = kl(build(scores), build(fewer))
    assert found[0] == torch.inf
    assert found[1].isfinite()
    assert kl(build(fewer), build(scores)).isfinite().all()
    torch.testing.assert_close(kl(build(fewer), build(fewer)), torch.zeros(2).double(), atol=1e-12, rtol=0)


@every_kind
def test_weights_of_zero_have_a_gradient(kind: str) -> None:
    found = BUILDS[kind][0](draw(kind))
    weights = [torch.zeros_like(each).requires_grad_() for each in found._marginals]
    crossed = cross_entropy_of(found._named(weights), found)
    gradients = torch.autograd.grad(crossed.sum(), weights)
    assert (gradients[0][0, 0] != 0).any()


def test_kl_resolves_small_divergences() -> None:
    generator = torch.Generator().manual_seed(0)
    emissions, step = (torch.randn(1, 100, 9, generator=generator) for _ in range(2))
    near = emissions + 1e-3 * step
    given = {"transitions": torch.zeros(9, 9), "mask": torch.ones(1, 100)}
    found = kl(LinearChain(emissions, **given), LinearChain(near, **given))
    one, other = (torch.log_softmax(scores.double(), -1) for scores in (emissions, near))
    expected = (one.exp() * (one - other)).sum()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_distribution_of_an_empty_sentence() -> None:
    found = LinearChain(torch.zeros(1, 2, 3), torch.zeros(3, 3), torch.zeros(1, 2))
    assert found.best(3)[1].tolist() == [[0.0, -torch.inf, -torch.inf]]


def test_mean_field_is_finite_with_forbidden_pairs() -> None:
    arcs, siblings = torch.zeros(1, 3, 4), torch.zeros(1, 3, 3, 4)
    siblings[0, 0, 1, 0] = siblings[0, 1, 0, 0] = -torch.inf
    found = mean_field(arcs, siblings, torch.zeros(1, 3, 3, 4), torch.ones(1, 3))
    torch.testing.assert_close(found.sum(-1), torch.ones(1, 3))
