from __future__ import annotations

import numpy as np
import pytest
import torch

from kselect.analysis.ablation.levels import MAX_MASS, match_smoothing
from kselect.analysis.predictions import Predictions
from kselect.config import AblationConfig
from kselect.knowledge.target_levels import LabelSmoothing, Similarity, class_similarities

RANDOM = np.random.default_rng(0)


def drawn(classes: int, sharpness: float = 2.0) -> tuple[Predictions, torch.Tensor]:
    labels = RANDOM.integers(classes, size=80)
    logits = sharpness * np.eye(classes)[labels] + RANDOM.normal(size=(80, classes))
    return Predictions.of(logits, labels), torch.from_numpy(RANDOM.normal(size=(classes, 6))).float()


@pytest.mark.parametrize("classes", [2, 3, 17])
def test_match_smoothing_leaves_as_much_to_wrong_classes_as_the_teacher(classes: int) -> None:
    sample, weight = drawn(classes)
    config = match_smoothing(AblationConfig(), sample)
    labels, every = torch.from_numpy(sample.labels)[:, None], torch.ones(80, 1, classes, dtype=torch.bool)
    assert config.label_smoothing is not None
    smoothed = LabelSmoothing(config.label_smoothing).target(None, labels, every)
    alike = Similarity(class_similarities(weight, 0.3), config.similarity_mass).target(None, labels, every)
    expected = 1 - sample.gold_probability().mean()
    for target in (smoothed, alike):
        assert torch.allclose(target.sum(-1), torch.ones(80, 1))
        assert 1 - float(target.gather(-1, labels[..., None]).mean()) == pytest.approx(expected, abs=1e-6)
    assert torch.allclose(smoothed, alike, atol=1e-6) == (classes == 2)


def test_match_smoothing_retains_what_is_given() -> None:
    sample, _ = drawn(5)
    config = match_smoothing(AblationConfig(label_smoothing=0.2), sample)
    assert config.label_smoothing == 0.2
    assert config.similarity_mass == match_smoothing(AblationConfig(), sample).similarity_mass
    given = AblationConfig(label_smoothing=0.2, similarity_mass=0.4)
    assert match_smoothing(given, sample) == given


def test_match_smoothing_is_bounded() -> None:
    sample, _ = drawn(5)
    sure = match_smoothing(AblationConfig(), Predictions.of(100 * np.eye(5)[sample.labels], sample.labels))
    assert (sure.label_smoothing, sure.similarity_mass) == pytest.approx((0, 0), abs=1e-9)
    worse = match_smoothing(AblationConfig(), Predictions.of(-100 * np.eye(5)[sample.labels], sample.labels))
    assert (worse.label_smoothing, worse.similarity_mass) == (MAX_MASS, MAX_MASS)
    worse.knowledge()
