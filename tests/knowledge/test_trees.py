"""Latent trees against the inference over trees that looks whether it is sound, and at scores of any size."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kselect.knowledge.base import Batch
from kselect.knowledge.trees import FLOOR, LatentTrees, tree_divergence, weights_of_arcs
from kselect.models.outputs import ModelOutputs
from kselect.structure import NonProjectiveTrees, kl

LENGTHS = (12, 7, 1)
TOKENS, HEADS, SIZE = 12, 3, 4
MASK = torch.arange(TOKENS) < torch.tensor(LENGTHS)[:, None]
SPREADS = (0.3, 3.0, 30.0, 3e4)
KNOWLEDGE = LatentTrees(((1, 1),))
BATCH = Batch(torch.tensor([0, 1, 0]))


def projections(seed: int, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    queries, keys = (torch.randn(len(LENGTHS), HEADS, TOKENS, SIZE, generator=generator) for _ in range(2))
    return spread * queries, keys


def outputs(queries: Tensor, keys: Tensor) -> ModelOutputs:
    return ModelOutputs(torch.zeros(len(LENGTHS), 2), MASK.long(), queries={1: queries}, keys={1: keys})


@pytest.mark.parametrize("spread", SPREADS)
def test_tree_divergence_equals_that_of_dependency_trees(spread: float) -> None:
    p, q = (weights_of_arcs(*projections(seed, spread), MASK) for seed in (1, 2))
    exact = kl(*(NonProjectiveTrees(weights.log(), MASK) for weights in (p, q))) / MASK.sum(1)
    torch.testing.assert_close(tree_divergence(p, q, MASK).double(), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spread", SPREADS)
def test_tree_divergence_gradient_is_the_difference_of_marginals(spread: float) -> None:
    p, q = (weights_of_arcs(*projections(seed, spread), MASK) for seed in (1, 2))
    log_q = q.log().requires_grad_()
    tree_divergence(p, log_q.exp(), MASK).sum().backward()
    student, teacher = (NonProjectiveTrees(weights.log(), MASK).marginals for weights in (q, p))
    expected = (student - teacher) / MASK.sum(1)[:, None, None]
    torch.testing.assert_close(log_q.grad, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("spread", SPREADS)
def test_latent_trees_gradient_equals_that_of_dependency_trees(spread: float) -> None:
    def trees(queries: Tensor, keys: Tensor) -> NonProjectiveTrees:
        weights = weights_of_arcs(queries, keys, MASK)
        return NonProjectiveTrees(weights.masked_fill(weights == 0, 1.0).log(), MASK)

    teacher = projections(1, spread)
    ours, theirs = ([x.requires_grad_() for x in projections(2, spread)] for _ in range(2))
    KNOWLEDGE.loss(outputs(*ours), outputs(*teacher), BATCH).sum().backward()
    (kl(trees(*teacher), trees(*theirs)) / MASK.sum(1)).sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_tree_divergence_forward_mode_agrees_with_backward() -> None:
    (queries, keys), teacher, (direction, _) = (projections(seed) for seed in (1, 2, 3))

    def total(queries: Tensor) -> Tensor:
        return KNOWLEDGE.loss(outputs(queries, keys), outputs(*teacher), BATCH).sum()

    _, along, *_ = torch.func.jvp(total, (queries,), (direction,))
    torch.testing.assert_close(along, (torch.func.grad(total)(queries) * direction).sum())


def test_latent_trees_loss_is_bounded_by_the_floor() -> None:
    generator = torch.Generator().manual_seed(0)
    heads = torch.stack([torch.randint(TOKENS, (len(LENGTHS), TOKENS), generator=generator) for _ in range(2)])
    p, q = torch.nn.functional.one_hot(heads, TOKENS).double()
    identity = torch.eye(TOKENS).expand(len(LENGTHS), 1, TOKENS, TOKENS)
    teacher, student = (outputs(1e9 * one[:, None].float(), identity) for one in (p, q))
    loss = KNOWLEDGE.loss(student, teacher, BATCH)
    assert loss.isfinite().all()
    assert 1 < loss[0] <= -math.log(FLOOR)
    assert loss[2] == 0  # where a single token can only be the root


def test_latent_trees_ignore_what_the_softmax_ignores() -> None:
    """A vector added to all keys raises all scores of a query alike, and the order of tokens has no part in trees."""
    student, teacher = projections(1), projections(2)
    straight = KNOWLEDGE.loss(outputs(*student), outputs(*teacher), BATCH)
    queries, keys = student
    torch.testing.assert_close(KNOWLEDGE.loss(outputs(queries, keys + 1.0), outputs(*teacher), BATCH), straight)
    order = torch.cat([torch.randperm(min(LENGTHS[:2])), torch.arange(min(LENGTHS[:2]), TOKENS)])
    permuted = [outputs(*(x[:, :, order] for x in model)) for model in (student, teacher)]
    torch.testing.assert_close(KNOWLEDGE.loss(permuted[0], permuted[1], BATCH)[:2], straight[:2])
