"""Levels of knowledge made comparable: all leave as much to wrong classes as the teacher does."""

from __future__ import annotations

from dataclasses import replace

from kselect.config import LadderConfig
from kselect.insight.sample import Sample

MOST = 1 - 1e-5  # that can be taken off the gold label


def matched(config: LadderConfig, sample: Sample) -> LadderConfig:
    """Fill in how strong `label-smoothing` and `kd-sim` are, where that is not given.

    Both then leave to wrong classes what the teacher does on the average of `sample` at temperature 1, at which these
    two are learned. Otherwise the stronger smoothing of two levels might pass for the better knowledge.

    Args:
        config: of the ladder.
        sample: what the teacher says of train.
    """
    left = float(sample.of_wrong().mean())
    smoothing, mass = config.label_smoothing, config.similarity_mass
    if smoothing is None:
        smoothing = min(left * sample.classes / (sample.classes - 1), MOST)
    return replace(config, label_smoothing=smoothing, similarity_mass=min(left, MOST) if mass is None else mass)
