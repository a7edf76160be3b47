from __future__ import annotations

import numpy as np
import pytest
import torch

from kselect.analysis.ablation.levels import MOST, matched
from kselect.analysis.predictions import Sample
from kselect.config import LadderConfig
from kselect.knowledge.target_levels import LabelSmoothing, Similarity, class_similarities

RANDOM = np.random.default_rng(0)


def drawn(classes: int, sharpness: float = 2.0) -> tuple[Sample, torch.Tensor]:
    labels = RANDOM.integers(classes, size=80)
    logits = sharpness * np.eye(classes)[labels] + RANDOM.normal(size=(80, classes))
    return Sample.of(logits, labels), torch.from_numpy(RANDOM.normal(size=(classes, 6))).float()


@pytest.mark.parametrize("classes", [2, 3, 17])
def test_all_levels_leave_as_much_to_wrong_classes_as_the_teacher(classes: int) -> None:
    sample, weight = drawn(classes)
    config = matched(LadderConfig(), sample)
    labels, every = torch.from_numpy(sample.labels)[:, None], torch.ones(80, 1, classes, dtype=torch.bool)
    smoothed = LabelSmoothing(config.label_smoothing).target(None, labels, every)
    alike = Similarity(class_similarities(weight, 0.3), config.similarity_mass).target(None, labels, every)
    expected = 1 - np.exp(-sample.losses()).mean()
    for target in (smoothed, alike):
        assert torch.allclose(target.sum(-1), torch.ones(80, 1))
        assert 1 - float(target.gather(-1, labels[..., None]).mean()) == pytest.approx(expected, abs=1e-6)
    assert torch.allclose(smoothed, alike, atol=1e-6) == (classes == 2)


def test_what_is_given_stays() -> None:
    sample, _ = drawn(5)
    config = matched(LadderConfig(label_smoothing=0.2), sample)
    assert config.label_smoothing == 0.2
    assert config.similarity_mass == matched(LadderConfig(), sample).similarity_mass
    given = LadderConfig(label_smoothing=0.2, similarity_mass=0.4)
    assert matched(given, sample) == given


def test_a_teacher_beyond_what_can_be_matched_gets_the_nearest() -> None:
    sample, _ = drawn(5)
    sure = matched(LadderConfig(), Sample.of(100 * np.eye(5)[sample.labels], sample.labels))
    assert (sure.label_smoothing, sure.similarity_mass) == pytest.approx((0, 0), abs=1e-9)
    worse = matched(LadderConfig(), Sample.of(-100 * np.eye(5)[sample.labels], sample.labels))
    assert (worse.label_smoothing, worse.similarity_mass) == (MOST, MOST)
    worse.knowledge()
