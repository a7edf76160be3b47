"""Label sequences scored by labels and transitions: a linear-chain CRF."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kselect.structure import forward_backward, viterbi
from kselect.structure.distribution import Distribution, finite, weighed


@dataclass(frozen=True)
class ChainMarginals:
    """What a linear chain needs to know of any distribution over label sequences.

    labels: p(y_i), `[B, n, L]`. transitions: p(y_i, y_{i+1}) summed over the positions of a sentence, `[B, L, L]`,
    which says as much as the pairs themselves where one table scores them at every position. Both are 0 in padding.
    """

    labels: Tensor
    transitions: Tensor

    @staticmethod
    def independent(labels: Tensor, mask: Tensor) -> ChainMarginals:
        """Return the marginals of labels that are drawn independently, `[B, n, L]`, as by a softmax tagger.

        A pair has p(y_i) p(y_{i+1}): case 3 of Wang et al. 2021.
        """
        labels = labels * mask[..., None]
        return ChainMarginals(labels, labels[:, :-1].transpose(1, 2) @ labels[:, 1:])


class LinearChain(Distribution[ChainMarginals]):
    """All label sequences, scored by emissions, transitions and, at their ends, start and end scores."""

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
            emissions: score of each label at each position, `[B, n, L]`, float32 or float64.
            transitions: score of a label (second axis) right after another (first), `[L, L]`.
            mask: 1 on real positions, `[B, n]`; padding comes last.
            start: score of a label at the first position, `[L]`; 0 by default.
            end: score of a label at the last position, `[L]`; 0 by default.

        Raises:
            ValueError: shapes that do not fit, or a mask with padding before real positions.
        """
        batch, n, labels = emissions.shape
        if transitions.shape != (labels, labels) or mask.shape != (batch, n):
            raise ValueError(
                f"Emissions {tuple(emissions.shape)} want transitions [{labels}, {labels}] and a mask [{batch}, {n}], "
                f"not {list(transitions.shape)} and {list(mask.shape)}."
            )
        self.lengths = mask.long().sum(1)
        positions = torch.arange(n, device=mask.device)
        self.mask = positions < self.lengths[:, None]
        if not torch.equal(self.mask, mask.bool()):
            raise ValueError("The mask has padding before real positions: move it to the end.")
        if start is not None:
            emissions = emissions + torch.where((positions == 0)[:, None], start, 0.0)
        if end is not None:
            is_last = positions == self.lengths[:, None] - 1
            emissions = emissions + torch.where(is_last[..., None], end, 0.0)
        tops = finite(emissions.detach().amax(-1, keepdim=True))
        top = finite(transitions.detach().amax())
        self.emissions = emissions - tops
        self.transitions = transitions - top
        self.shift = torch.where(self.mask, tops[..., 0], 0.0).sum(1) + (self.lengths - 1).clamp(min=0) * top

    def score(self, labels: Tensor) -> Tensor:
        """Return the score `[B]` of label sequences `[B, n]`; what they hold in padding is not read."""
        labels = torch.where(self.mask, labels, 0)
        emitted = self.emissions.gather(2, labels[..., None])[..., 0]
        moved = self.transitions[labels[:, :-1], labels[:, 1:]]
        emitted, moved = torch.where(self.mask, emitted, 0.0), torch.where(self.mask[:, 1:], moved, 0.0)
        return emitted.sum(1) + moved.sum(1) + self.shift

    def log_prob(self, labels: Tensor) -> Tensor:
        """Return the log-probability `[B]` of label sequences `[B, n]`."""
        return self.score(labels) - self.log_partition

    @property
    def argmax(self) -> Tensor:
        """The most probable label sequences, `[B, n]`, 0 in padding."""
        return self.best(1)[0][:, 0]

    def best(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the k best label sequences `[B, k, n]` and their scores `[B, k]`, minus infinity if none is left."""
        sequences, scores = viterbi.best(self.emissions.detach(), self.transitions.detach(), self.lengths, k)
        return sequences, scores + self.shift[:, None]

    def _scores(self) -> tuple[Tensor, ...]:
        return self.emissions, self.transitions

    def _solve(self) -> tuple[Tensor, ChainMarginals]:
        found = forward_backward.sums(self.emissions, self.transitions, self.lengths)
        return found.log_partition, ChainMarginals(found.labels, found.transitions)

    def _differentiable_marginals(self) -> ChainMarginals:
        found = forward_backward.logarithmic(self.emissions, self.transitions, self.lengths)
        return ChainMarginals(found.labels, found.transitions)

    def _centred_expected_score(self, marginals: ChainMarginals) -> Tensor:
        of_labels = weighed(marginals.labels, self.emissions).sum((1, 2))
        return of_labels + weighed(marginals.transitions, self.transitions).sum((1, 2))
