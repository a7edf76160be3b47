"""Dependency arcs that are scored in pairs, by mean field."""

from __future__ import annotations

import torch
from torch import Tensor

from kselect.structure.distribution import real_positions


def mean_field(arcs: Tensor, siblings: Tensor, grandparents: Tensor, mask: Tensor, iterations: int = 3) -> Tensor:
    """Return how probable each head of each token is, `[B, n, 1 + n]`, 0 in padding; differentiable.

    Every token chooses a head by itself, p(heads) being proportional to exp of the scores of arcs and of pairs of arcs;
    which heads make a tree is not asked. Each iteration updates all tokens at once, from what the others chose in the
    last one, beginning with arcs alone (Wang and Tu 2020; case 2b of Wang et al. 2021, there with 3 iterations).

    Args:
        arcs: score of each head of each token, `[B, n, 1 + n]`: the root, then the tokens. A token's score as its own
            head is not read. Of any floating point type; the result is in it too, but float32 if it is a half.
        siblings: score of two tokens (second and third axis) hanging from one head (last), `[B, n, n, 1 + n]`; the mean
            of both orders counts, and a token beside itself is not read.
        grandparents: score of a token (second axis) hanging from a head (third) that hangs from another (last),
            `[B, n, n, 1 + n]`.
        mask: 1 on real tokens, `[B, n]`; padding comes last.
        iterations: how often all tokens are updated.

    A score of minus infinity, of an arc or a pair, stands for a very low one: what it forbids has no probability as
    soon as there is anything else.

    Raises:
        ValueError: shapes that do not fit, scores of arcs that are no floating point numbers, or a mask with padding
            before real tokens.
    """
    batch, n, heads = arcs.shape
    pairs = (batch, n, n, n + 1)
    if heads != n + 1 or siblings.shape != pairs or grandparents.shape != pairs or mask.shape != (batch, n):
        raise ValueError(
            f"Arcs {list(arcs.shape)} want siblings and grandparents {list(pairs)} and a mask [{batch}, {n}], not "
            f"{list(siblings.shape)}, {list(grandparents.shape)} and {list(mask.shape)}."
        )
    real = real_positions(mask, arcs)
    own = torch.eye(n, dtype=torch.bool, device=mask.device)
    possible = torch.cat([real[..., None], real[:, :, None] & real[:, None] & ~own], -1)
    dtype = torch.promote_types(arcs.dtype, torch.float32)
    lowest = torch.finfo(dtype).min / 1e6  # stands for minus infinity, which times a probability of 0 is no number
    arcs, siblings, grandparents = (scores.to(dtype).clamp(min=lowest) for scores in (arcs, siblings, grandparents))
    together = (siblings + siblings.transpose(1, 2)).masked_fill(own[..., None], 0.0) / 2

    def choose(scores: Tensor) -> Tensor:
        return torch.softmax(scores.masked_fill(~possible, lowest), -1) * possible

    found = choose(arcs)
    with torch.autocast(arcs.device.type, enabled=False):
        for _ in range(iterations):
            beside = torch.einsum("bsh,bdsh->bdh", found, together)
            above = torch.einsum("bhg,bdhg->bdh", found, grandparents)
            below = torch.einsum("bcd,bcdh->bdh", found[..., 1:], grandparents)
            found = choose(arcs + beside + below + torch.nn.functional.pad(above, (1, 0)))
    return found
