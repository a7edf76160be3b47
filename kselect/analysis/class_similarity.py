"""What a teacher tells of classes that are wrong: which of them are nearly right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from kselect.analysis.predictions import Floats, Sample

ERASED = 0.02  # strength below which there are as good as none: of three classes, 58 against 42 %
TINY = 1e-12  # nats, or a share


@dataclass(frozen=True)
class ClassRelations:
    """How a teacher shares what it leaves to the K - 1 wrong classes of each place; K > 2."""

    strength: float
    """Median KL of their shares from uniform ones at temperature 1, over log(K - 1), in [0, 1]; near 0 where relations
    are erased, as in a teacher that was trained with label smoothing (Müller et al. 2019). It is that of places which
    are answered right: where the answer is wrong, that one class has all there is under any teacher."""
    mass: float
    """Mean probability of all wrong classes together, at the temperature in use."""
    told_by_similarities: float | None
    """Part of what their shares say beyond uniform ones, at the temperature in use, that similarities of classes tell:
    1 where these are the shares, 0 where uniform ones come as near, below 0 where they mislead. None without them."""

    @staticmethod
    def of(sample: Sample, temperature: float = 1.0, shares: Floats | None = None) -> ClassRelations | None:
        """Measure them on a sample; None for two classes, which have none.

        Args:
            sample: what the teacher says.
            temperature: the one in use.
            shares: of the wrong classes of each gold one by how alike they are, `[K, K]`, rows that sum to 1.
        """
        if sample.classes == 2:
            return None
        gold = np.arange(sample.classes) == sample.labels[:, None]
        right = sample.right if sample.right.any() else np.ones(len(sample), dtype=bool)
        uniform = (~gold) / (sample.classes - 1)
        mass = sample.of_wrong(temperature)
        told = None
        if shares is not None:
            rows = np.where(gold, 0.0, shares[sample.labels])
            ours = _shares(sample, gold, temperature)
            whole = float((mass * _divergences(ours, uniform)).mean())
            left = float((mass * _divergences(ours, rows)).mean())
            told = 1 - left / whole if whole > TINY else 0.0
        plain = _divergences(_shares(sample, gold, 1.0), uniform)
        return ClassRelations(float(np.median(plain[right])) / np.log(sample.classes - 1), float(mass.mean()), told)


def _shares(sample: Sample, gold: NDArray[np.bool_], temperature: float) -> Floats:
    """Return the shares of the wrong classes, `[N, K]`, 0 at the gold one."""
    shares: Floats = np.exp(log_softmax(np.where(gold, -np.inf, sample.logits / temperature), axis=1))
    return shares


def _divergences(ours: Floats, theirs: Floats) -> Floats:
    """Return `KL(ours || theirs)` of each place, `[N, K]` both, in nats."""
    logs = np.log(np.where(ours > 0, ours, 1.0)) - np.log(np.where(ours > 0, np.maximum(theirs, TINY), 1.0))
    found: Floats = (ours * logs).sum(1)
    return found
