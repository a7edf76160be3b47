"""Distributions over label sequences: linear-chain CRFs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kselect.structure import forward_backward, viterbi
from kselect.structure.distribution import Distribution, finite, real_positions


class ChainMarginals(NamedTuple):
    """Marginals of a distribution over label sequences; 0 in padding.

    Attributes:
        labels: p(y_i), `[B, n, L]`.
        transitions: p(y_i, y_{i+1}) summed over the positions of a sentence, `[B, L, L]`, which is sufficient if one
            table scores transitions at all positions.
    """

    labels: Tensor
    transitions: Tensor

    @staticmethod
    def independent(labels: Tensor, mask: Tensor) -> ChainMarginals:
        """Return the marginals of independent labels, as predicted by a softmax tagger.

        Args:
            labels: p(y_i), `[B, n, L]`.
            mask: 1 on real positions, `[B, n]`.

        Source: case 3 of Wang et al. (2021), in which a pair has probability p(y_i) p(y_{i+1}).
        """
        labels = labels * mask[..., None]
        exact = labels.double()
        return ChainMarginals(labels, (exact[:, :-1].transpose(1, 2) @ exact[:, 1:]).to(labels.dtype))


class LinearChain(Distribution[ChainMarginals]):
    """All label sequences, scored by emissions, transitions, and start and end scores.

    Use minus infinity to forbid labels or transitions. A large negative number works too, but a sentence that cannot
    avoid it is summed by a slower method.
    """

    def __init__(
        self,
        emissions: Tensor,
        transitions: Tensor,
        mask: Tensor,
        start: Tensor | None = None,
        end: Tensor | None = None,
    ) -> None:
        """Score the label sequences of B sentences.

        Args:
            emissions: score of each label at each position, `[B, n, L]`; not read in padding.
            transitions: score of a label (second axis) right after another (first), `[L, L]`.
            mask: 1 on real positions, `[B, n]`; padding comes last.
            start: score of a label at the first position, `[L]`; 0 by default.
            end: score of a label at the last position, `[L]`; 0 by default.

        Raises:
            ValueError: shapes do not match, scores are not floating point numbers, or the mask has padding before real
                positions.
        """
        mask = real_positions(mask, emissions)
        if emissions.dim() != 3:
            raise ValueError(f"Emissions must be [B, n, L], not {list(emissions.shape)}.")
        labels = emissions.size(2)
        for name, scores, axes in (("transitions", transitions, 2), ("start", start, 1), ("end", end, 1)):
            if scores is not None and list(scores.shape) != [labels] * axes:
                raise ValueError(
                    f"Emissions {list(emissions.shape)} need {name} {[labels] * axes}, not {list(scores.shape)}."
                )
        dtype = torch.promote_types(emissions.dtype, transitions.dtype)
        self.lengths = mask.sum(1)
        positions = torch.arange(mask.size(1), device=mask.device)
        emissions, transitions = emissions.double(), transitions.double()
        if start is not None:
            emissions = emissions + torch.where((positions == 0)[:, None], start, 0.0)
        if end is not None:
            is_last = positions == self.lengths[:, None] - 1
            emissions = emissions + torch.where(is_last[..., None], end, 0.0)
        tops = finite(emissions.detach().amax(-1, keepdim=True))
        top = finite(transitions.detach().amax())
        shift = (mask * tops[..., 0]).sum(1) + (self.lengths - 1).clamp(min=0) * top
        emissions = torch.where(mask[..., None], emissions - tops, 0.0)
        super().__init__(mask, (emissions, transitions - top), shift, dtype)

    @property
    def argmax(self) -> Tensor:
        """The most probable label sequences, `[B, n]`, 0 in padding."""
        return self.best(1)[0][:, 0]

    def best(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the k best label sequences `[B, k, n]` and their scores `[B, k]`, minus infinity for missing ones."""
        emissions, transitions = self._detached
        sequences, scores = viterbi.best(emissions, transitions, self.lengths, k)
        return sequences, (scores + self.shift[:, None]).to(self.dtype)

    def parts(self, structure: Tensor) -> ChainMarginals:
        """Return the parts of label sequences `[B, n]`, which are not read in padding."""
        labels = torch.where(self.mask, structure, 0)
        chosen = torch.nn.functional.one_hot(labels, self._scores[0].size(-1))
        return ChainMarginals.independent(chosen.to(self.dtype), self.mask)

    def _named(self, marginals: Iterable[Tensor]) -> ChainMarginals:
        return ChainMarginals(*marginals)

    def _solve(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        (solution,) = _solved([self])
        return solution

    def _solve_together(self, other: Distribution[ChainMarginals]) -> None:
        chains = [each for each in (self, other) if isinstance(each, LinearChain) and not each._is_solved]
        if len(chains) == 2 and self._scores[0].shape == other._scores[0].shape and self is not other:
            with torch.no_grad():
                self._solved, other._solved = _solved(chains)

    def _differentiable_marginals(self) -> tuple[Tensor, ...]:
        emissions, transitions = self._scores
        sums = forward_backward.logarithmic(emissions, transitions, self.lengths)
        return sums.labels, sums.transitions


def _solved(chains: Sequence[LinearChain]) -> list[tuple[Tensor, tuple[Tensor, ...]]]:
    """Return log-partition and marginals of several chains with scores of equal shapes."""
    emissions, transitions = (torch.stack(kind) for kind in zip(*(chain._detached for chain in chains), strict=True))
    sums = forward_backward.sums(emissions, transitions, torch.stack([chain.lengths for chain in chains]))
    return [(each.log_partition, (each.labels, each.transitions)) for each in sums]
