"""Mean-field inference for dependency arcs with second-order scores."""

from __future__ import annotations

import torch
from torch import Tensor

from kselect.structure.distribution import real_positions


def mean_field(arcs: Tensor, siblings: Tensor, grandparents: Tensor, mask: Tensor, iterations: int = 3) -> Tensor:
    """Return the approximate marginal of each head of each token, `[B, n, 1 + n]`, 0 in padding; differentiable.

    p(heads) is proportional to exp of the scores of arcs and of pairs of arcs, without the constraint that heads form a
    tree. Each iteration updates all tokens in parallel from the previous marginals, starting from arcs only. An arc or
    pair of score minus infinity has probability 0 unless nothing else is possible.

    Source: Wang and Tu (2020); case 2b of Wang et al. (2021), with 3 iterations.

    Args:
        arcs: score of each head of each token, `[B, n, 1 + n]`: the root, then the tokens. A token's score as its own
            head is not read. The result has the same dtype, or float32 for half precision.
        siblings: score of two tokens (second and third axis) with the same head (last), `[B, n, n, 1 + n]`, averaged
            over both orders; a token paired with itself is not read.
        grandparents: score of a token (second axis) whose head (third) has the given head (last), `[B, n, n, 1 + n]`.
        mask: 1 on real tokens, `[B, n]`; padding comes last.
        iterations: number of updates.

    Raises:
        ValueError: shapes do not match, scores of arcs are not floating point numbers, or the mask has padding before
            real tokens.
    """
    batch, n, heads = arcs.shape
    pairs = (batch, n, n, n + 1)
    if heads != n + 1 or siblings.shape != pairs or grandparents.shape != pairs or mask.shape != (batch, n):
        raise ValueError(
            f"Arcs {list(arcs.shape)} need siblings and grandparents {list(pairs)} and a mask [{batch}, {n}], not "
            f"{list(siblings.shape)}, {list(grandparents.shape)} and {list(mask.shape)}."
        )
    real = real_positions(mask, arcs)
    own = torch.eye(n, dtype=torch.bool, device=mask.device)
    possible = torch.cat([real[..., None], real[:, :, None] & real[:, None] & ~own], -1)
    dtype = torch.promote_types(arcs.dtype, torch.float32)
    lowest = torch.finfo(dtype).min / 1e6  # replaces minus infinity, which times a probability of 0 is NaN
    arcs, siblings, grandparents = (scores.to(dtype).clamp(min=lowest) for scores in (arcs, siblings, grandparents))
    symmetric = (siblings + siblings.transpose(1, 2)).masked_fill(own[..., None], 0.0) / 2

    def choose(scores: Tensor) -> Tensor:
        return torch.softmax(scores.masked_fill(~possible, lowest), -1) * possible

    marginals = choose(arcs)
    with torch.autocast(arcs.device.type, enabled=False):
        for _ in range(iterations):
            same_head = torch.einsum("bsh,bdsh->bdh", marginals, symmetric)
            above = torch.einsum("bhg,bdhg->bdh", marginals, grandparents)
            below = torch.einsum("bcd,bcdh->bdh", marginals[..., 1:], grandparents)
            marginals = choose(arcs + same_head + below + torch.nn.functional.pad(above, (1, 0)))
    return marginals
