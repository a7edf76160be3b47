"""How many of a teacher's probabilities are worth keeping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kselect.insight.doctor.estimate import Estimate
from kselect.insight.sample import Floats, Sample


@dataclass(frozen=True)
class TopK:
    """The k whose target, the k largest probabilities with the rest shared alike, tells most of held-out labels.

    gain: how much less a gold label's loss is than with all of them, in nats.
    """

    k: int
    classes: int
    gain: Estimate

    @property
    def all_kept(self) -> bool:
        """Whether nothing is lost or gained: one class alone keeps what is left to it."""
        return self.k >= self.classes - 1

    @property
    def share(self) -> float:
        """k / K, as `--top_k` takes it."""
        return round(self.k / self.classes, 4)

    @staticmethod
    def of(sample: Sample, temperature: float = 1.0) -> TopK | None:
        """Find the smallest k that is no worse than the best by more than a standard error; None for two classes.

        Of a single example, whose error is not known, it is all of them.
        """
        if sample.classes == 2:
            return None
        losses = top_k_losses(sample, temperature)
        best = losses[losses.mean(1).argmin()]
        behind = [Estimate.of(each - best, sample.examples) for each in losses]
        k = next((i for i, worse in enumerate(behind, 1) if worse.value <= worse.error), sample.classes)
        return TopK(k, sample.classes, Estimate.of(losses[-1] - losses[k - 1], sample.examples))


def top_k_losses(sample: Sample, temperature: float = 1.0) -> Floats:
    """Return the loss of gold labels under the target of knowledge `kd-top-k` for each k, `[K, N]` in nats."""
    p = np.exp(sample.log_probabilities(temperature))
    gold = sample.of_gold(p)
    kept = np.cumsum(-np.sort(-p, axis=1), axis=1).T
    rank = (p > gold[:, None]).sum(1)  # how many come before the gold class
    ks = np.arange(1, sample.classes + 1)[:, None]
    rest = np.clip(1 - kept, 0, None) / np.maximum(sample.classes - ks, 1)
    found: Floats = -np.log(np.maximum(np.where(rank < ks, gold, rest), np.finfo(float).tiny))
    return found
