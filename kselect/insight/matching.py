"""Levels of knowledge made comparable: all leave as much to wrong classes as the teacher does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from kselect.config import LadderConfig
from kselect.insight.sample import Sample
from kselect.knowledge.levels import class_similarities

SHARPEST, FLATTEST = 1e-3, 1e3  # of what cosines are divided by
MOST = 1 - 1e-5  # label smoothing


def matched(config: LadderConfig, sample: Sample, weight: Tensor) -> LadderConfig:
    """Fill in how strong `label-smoothing` and `kd-sim` are, where that is not given.

    Both then give the gold class, on the average of `sample`, what the teacher gives it at temperature 1, at which
    these two are learned. Otherwise the stronger smoothing of two levels might pass for the better knowledge.

    Args:
        config: of the ladder.
        sample: what the teacher says of train.
        weight: the teacher's output weights, `[K, D]`.
    """
    left, classes = float(sample.of_wrong().mean()), sample.classes
    smoothing, temperature = config.label_smoothing, config.similarity_temperature
    if smoothing is None:
        smoothing = min(left * classes / (classes - 1), MOST)
    if temperature is None:
        temperature = _similarity_temperature(weight.double(), torch.from_numpy(sample.labels), left)
    return replace(config, label_smoothing=smoothing, similarity_temperature=temperature)


def _similarity_temperature(weight: Tensor, labels: Tensor, left: float) -> float:
    """Return τ at which similarities leave so much to wrong classes, on the average of `labels`, or come nearest."""

    def too_much(log_temperature: float) -> float:
        similarities = class_similarities(weight, float(np.exp(log_temperature)))
        return float((1 - similarities.diagonal())[labels].mean()) - left

    ends = np.log(SHARPEST), np.log(FLATTEST)  # the flatter, the more is left to wrong classes
    if too_much(ends[0]) >= 0:
        return SHARPEST
    if too_much(ends[1]) <= 0:
        return FLATTEST
    return float(np.exp(brentq(too_much, *ends, xtol=1e-9)))
