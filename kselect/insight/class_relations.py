"""What a teacher tells of classes that are wrong: which of them are nearly right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from kselect.insight.sample import Floats, Sample


@dataclass(frozen=True)
class ClassRelations:
    """How a teacher shares what it leaves to the K - 1 wrong classes of each place, at temperature 1; K > 2.

    A teacher that was trained with label smoothing shares it alike: its relations are erased (Müller et al. 2019).
    """

    mass: float
    """Mean probability of all wrong classes together."""
    strength: float
    """Mean KL of their shares from uniform ones, over log(K - 1), in [0, 1]: 0 where they are erased."""
    between: float
    """Part of that which is the same for all places of a gold class, in [0, 1]: the domain's, not the instance's.

    The KL falls into that of each class's mean shares from uniform ones and those of places from their class's mean.
    Classes of few places seem to have more of it than they do.
    """
    cosine_spread: float | None
    """Standard deviation of the cosines between output weights of different classes, taken from their mean, which no
    softmax sees; 0 where all classes are alike near. None where the weights were not given."""

    @staticmethod
    def of(sample: Sample, weight: Floats | None = None) -> ClassRelations | None:
        """Measure them on a sample, and on an output layer's `weight [K, D]`; None for two classes, which have none."""
        if sample.classes == 2:
            return None
        gold = np.arange(sample.classes) == sample.labels[:, None]
        shares = np.exp(log_softmax(np.where(gold, -np.inf, sample.logits), axis=1))
        divergences = _from_uniform(shares)
        means = {label: shares[sample.labels == label].mean(0, keepdims=True) for label in np.unique(sample.labels)}
        common = np.array([_from_uniform(means[label])[0] for label in sample.labels])
        whole = float(divergences.mean())
        return ClassRelations(
            mass=float((sample.probabilities * ~gold).sum(1).mean()),
            strength=whole / float(np.log(sample.classes - 1)),
            between=float(common.mean()) / whole if whole > 1e-12 else 0.0,
            cosine_spread=None if weight is None else _cosine_spread(weight),
        )


def _from_uniform(shares: Floats) -> Floats:
    """Return the KL of `shares [N, K]`, 0 at one class, from uniform ones over the K - 1 others, `[N]` in nats."""
    logs = np.log(np.where(shares > 0, shares, 1.0))
    found: Floats = (shares * logs).sum(1) + np.log(shares.shape[1] - 1)
    return found


def _cosine_spread(weight: Floats) -> float:
    centred = weight - weight.mean(0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    rows = centred / np.maximum(norms, np.finfo(float).tiny)
    return float((rows @ rows.T)[~np.eye(len(rows), dtype=bool)].std())
