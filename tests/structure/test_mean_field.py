"""Mean field against all choices of heads."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from kselect.structure.mean_field import mean_field

N = 3


def draw(seed: int, strength: float) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def scores(*shape: int) -> Tensor:
        return torch.randn(1, *shape, generator=generator, dtype=torch.float64)

    return scores(N, N + 1), strength * scores(N, N, N + 1), strength * scores(N, N, N + 1)


def energy(heads: tuple[int, ...], arcs: Tensor, siblings: Tensor, grandparents: Tensor) -> float:
    """Score one choice of heads (0 is the root), arc by arc and pair by pair."""
    total = sum(arcs[0, token, head] for token, head in enumerate(heads))
    for one, other in product(range(N), repeat=2):
        if one != other and heads[one] == heads[other]:
            total += siblings[0, one, other, heads[one]] / 2
        if heads[one] == other + 1:
            total += grandparents[0, one, other, heads[other]]
    return float(total)


def choices() -> list[tuple[int, ...]]:
    every = product(range(N + 1), repeat=N)
    return [heads for heads in every if all(head != token + 1 for token, head in enumerate(heads))]


def exact(*scores: Tensor) -> Tensor:
    probabilities = torch.softmax(torch.tensor([energy(heads, *scores) for heads in choices()], dtype=torch.float64), 0)
    one_hot = torch.nn.functional.one_hot(torch.tensor(choices()), N + 1).double()
    return torch.einsum("c,cnh->nh", probabilities, one_hot)


def test_mean_field_is_exact_without_pairs() -> None:
    scores = draw(0, 0.0)
    torch.testing.assert_close(mean_field(*scores, torch.ones(1, N))[0], exact(*scores), atol=1e-12, rtol=0)


def test_mean_field_error_is_second_order_in_weak_pairs() -> None:
    """A mean field has the right first derivative in the strength of what couples the tokens."""

    def error(strength: float) -> float:
        scores = draw(1, strength)
        return float((mean_field(*scores, torch.ones(1, N))[0] - exact(*scores)).abs().max())

    assert error(0.01) < 0.015 * error(0.1)
    assert error(0.1) < 0.02


def test_mean_field_converges_to_a_fixed_point() -> None:
    """At a fixed point each token's choice is the softmax of its mean energy under the others' choices."""
    scores = draw(2, 0.5)
    found = mean_field(*scores, torch.ones(1, N), iterations=300)[0]
    for token in range(N):
        means = torch.full((N + 1,), -torch.inf, dtype=torch.float64)
        for head in range(N + 1):
            if head == token + 1:
                continue
            means[head] = sum(
                energy(heads, *scores)
                * float(torch.stack([found[other, heads[other]] for other in range(N) if other != token]).prod())
                for heads in choices()
                if heads[token] == head
            )
        torch.testing.assert_close(found[token], torch.softmax(means, 0), atol=1e-9, rtol=0)


def test_mean_field_ignores_padding_and_has_correct_gradients() -> None:
    arcs, siblings, grandparents = draw(3, 1.0)
    padded = torch.nn.functional.pad(arcs, (0, 2, 0, 2), value=5.0)
    pairs = [torch.nn.functional.pad(scores, (0, 2, 0, 2, 0, 2), value=5.0) for scores in (siblings, grandparents)]
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    found = mean_field(padded, pairs[0], pairs[1], mask)
    torch.testing.assert_close(found[:, :N, : N + 1], mean_field(arcs, siblings, grandparents, torch.ones(1, N)))
    assert (found[:, N:] == 0).all()
    assert (found[:, :, N + 1 :] == 0).all()
    given = tuple(scores.requires_grad_() for scores in (arcs, siblings, grandparents))
    assert torch.autograd.gradcheck(
        lambda *scores: mean_field(scores[0], scores[1], scores[2], torch.ones(1, N)), given
    )


def test_mean_field_refuses_mismatched_shapes() -> None:
    arcs, siblings, _ = draw(4, 1.0)
    with pytest.raises(ValueError, match="need siblings and grandparents"):
        mean_field(arcs, siblings, siblings[:, :2], torch.ones(1, N))
