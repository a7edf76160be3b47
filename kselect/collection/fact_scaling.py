"""Facts of runs as the features of a fit: centred, of unit variance, and 0 where one is undefined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kselect.agents.chooser import FARTHEST
from kselect.distillation.facts.facts import INDICATORS


@dataclass(frozen=True)
class FactScaling:
    """How facts are scaled.

    Attributes:
        names: Of the facts.
        centre: Mean of each fact over the groups where it is defined, `[p]`.
        scale: Standard deviation of each fact there, `[p]`; 1 for a fact that does not vary.
    """

    names: tuple[str, ...]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    @staticmethod
    def fit(groups: Iterable[Mapping[str, float]], names: Iterable[str]) -> FactScaling:
        """Return the scaling of the facts of some groups, by name as `Facts.scaled` returns them."""
        names = tuple(names)
        values = [_defined(facts, names) for facts in groups]
        columns = [np.array([row[i] for row in values if not np.isnan(row[i])]) for i in range(len(names))]
        centre = np.array([column.mean() if len(column) else 0.0 for column in columns])
        scale = np.array([column.std() if len(column) else 0.0 for column in columns])
        return FactScaling(names, centre, np.where(scale > 0, scale, 1.0))

    def __call__(self, facts: Mapping[str, float]) -> NDArray[np.float64]:
        """Return facts as `kselect.agents.chooser.Chooser.scaled_facts` does, `[p]`."""
        scaled = np.clip((_defined(facts, self.names) - self.centre) / self.scale, -FARTHEST, FARTHEST)
        return np.nan_to_num(scaled, nan=0.0)


def _defined(facts: Mapping[str, float], names: Iterable[str]) -> NDArray[np.float64]:
    """Return the values of facts, `[p]`, NaN where one is undefined."""
    undefined = {name for name, indicator in INDICATORS.items() if not facts.get(indicator, 1.0)}
    return np.array([np.nan if name in undefined else facts[name] for name in names])
