"""Profiles of constructed teachers: each known fault shows in the measures, and a sound teacher has no findings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from kselect.analysis.class_similarity import ERASED
from kselect.analysis.findings import teacher_findings
from kselect.analysis.linear_probe import LinearProbe
from kselect.analysis.predictions import Predictions
from kselect.analysis.teacher_profile import (
    FactorSpread,
    HeldOutProfile,
    TeacherProfile,
    profile_teacher,
    rescaling_factors,
)
from tests.analysis.constructed import (
    CLASSES,
    SIZE,
    calibrated,
    label_smoothed,
    no_better_than_constant,
    over_confident,
    permuted,
    random_predictions,
    sound,
    worse_than_constant,
)


def held_out_of(profile: TeacherProfile) -> HeldOutProfile:
    assert profile.held_out is not None
    return profile.held_out


def codes(held_out: Predictions, train: Predictions, **more: Any) -> list[str]:
    return [finding.code for finding in teacher_findings(profile_teacher(train, held_out, **more))]


def test_profile_of_a_sound_teacher_has_no_findings() -> None:
    profile = profile_teacher(sound(1), sound(0))
    assert list(teacher_findings(profile)) == []
    held_out, relations = held_out_of(profile), profile.relations
    assert held_out.gain_over_constant.mean == pytest.approx(
        held_out.calibration.accuracy.mean - held_out.constant.mean
    )
    assert held_out.gain_over_constant.low > 0
    assert relations is not None
    assert relations.strength > ERASED
    assert profile.information[0].shares["instance"] > 0.1


def test_profile_without_held_out_predictions_is_of_train_alone() -> None:
    both = profile_teacher(sound(1), sound(0), temperature="2->1")
    alone = profile_teacher(sound(1), temperature="2->1")
    assert (alone.held_out, alone.temperature) == (None, 2.0)
    assert (alone.train, alone.information, alone.relations) == (both.train, both.information, both.relations)
    assert [information.temperature for information in alone.information] == [2.0, 1.0, 4.0]


def test_profile_of_a_label_smoothed_teacher_has_no_class_relations() -> None:
    profile = profile_teacher(label_smoothed(1), label_smoothed(0), temperature=1.0)
    assert profile.relations is not None
    assert profile.relations.strength < ERASED
    assert list(teacher_findings(profile)) == []


def test_profile_of_an_overconfident_teacher_has_a_high_best_temperature() -> None:
    train, held_out = over_confident(1, held=False), over_confident(0, held=True)
    profile = profile_teacher(train, held_out, temperature=1.0)
    measures = held_out_of(profile)
    assert measures.best_temperature.value > 2
    assert measures.overconfidence.low > 0
    assert profile.train.confidence - measures.calibration.accuracy.mean == pytest.approx(0.25, abs=0.05)
    assert profile.gold_range[0] > 0.95
    assert profile.rescaling.width < 0.05
    softened = profile_teacher(train, held_out, temperature=4.0)
    assert profile.relations is not None
    assert softened.relations is not None
    assert profile.relations.non_target_mass < 0.01 < 0.1 < softened.relations.non_target_mass
    assert softened.gold_range[1] - softened.gold_range[0] > 0.1


@pytest.mark.parametrize("teacher", [worse_than_constant, no_better_than_constant])
def test_teacher_findings_report_one_that_is_no_better_than_the_constant_prediction(teacher) -> None:
    assert "constant" in codes(teacher(0), teacher(1))
    measures = held_out_of(profile_teacher(teacher(1), teacher(0)))
    assert (measures.gain_over_constant.high < 0) == (teacher is worse_than_constant)


def test_teacher_findings_accept_one_that_predicts_as_constant_but_has_information() -> None:
    """It knows which examples are likelier to have the rare label, but never predicts it."""
    rng = np.random.default_rng(0)
    p = rng.choice([0.02, 0.4], SIZE, p=[0.5, 0.5])
    labels = (rng.random(SIZE) < p).astype(int)
    teacher = Predictions.of_probabilities(np.stack([1 - p, p], axis=1), labels)
    measures = held_out_of(profile_teacher(teacher, teacher))
    assert measures.gain_over_constant.mean == 0 < measures.information_gain.low
    assert codes(teacher, teacher) == ["never-predicted"]


def test_teacher_findings_compare_with_a_probe_of_the_student() -> None:
    train, held_out = sound(1), sound(0)
    equal = LinearProbe(train.log_probabilities(), held_out.log_probabilities())
    assert codes(held_out, train, probe=equal) == ["probe"]
    blank = np.full((SIZE, CLASSES), -np.log(CLASSES))
    assert codes(held_out, train, probe=LinearProbe(blank, blank)) == []


def test_teacher_findings_need_examples_to_be_significant() -> None:
    """The same teacher, with an accuracy of 85 % against 70 % of the constant prediction."""
    accepted = {
        size: sum("constant" not in codes(calibrated(seed, size), calibrated(99, 300)) for seed in range(12))
        for size in (10, 2000)
    }
    assert accepted[10] < 6
    assert accepted[2000] == 12


@pytest.mark.slow
@pytest.mark.parametrize("classes", [3, 17, 35])
def test_teacher_findings_report_nearly_every_teacher_of_noise(classes: int) -> None:
    reported = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        pair = [Predictions.of(rng.normal(size=(300, classes)), rng.integers(classes, size=300)) for _ in range(2)]
        reported.append("constant" in codes(*pair))
    assert sum(reported) >= 57


@pytest.mark.parametrize("size", [20, 100, 1000])
def test_profile_finds_a_calibrated_teacher_overconfident_hardly_ever(size: int) -> None:
    slopes = [
        held_out_of(profile_teacher(calibrated(99, 300), calibrated(seed, size), temperature=1.0)).overconfidence
        for seed in range(60)
    ]
    assert sum(slope.low > 0 for slope in slopes) <= 6


def test_profile_best_temperature_of_a_calibrated_teacher_is_one() -> None:
    best = held_out_of(profile_teacher(sound(1), sound(0))).best_temperature.value
    divided = Predictions.of(sound(0).logits / best, sound(0).labels)
    at_one, at_two = (held_out_of(profile_teacher(sound(1), divided, temperature=t)) for t in (1.0, 2.0))
    assert at_one.best_temperature.value == pytest.approx(1, abs=1e-3)
    assert not at_one.overconfidence.is_significant
    assert at_two.overconfidence.high < 0
    assert at_two.loss > at_one.loss == pytest.approx(at_one.best_temperature.loss_after)


def test_teacher_findings_report_permuted_labels() -> None:
    profile = profile_teacher(permuted(1), permuted(0), labels=list("abcdef"))
    finding = next(finding for finding in teacher_findings(profile) if finding.code == "label-order")
    assert "if they mean f, a, b, c, d, e" in finding.message
    order = held_out_of(profile).order
    assert order.right_as_meant > 0.7 > 0.3 > order.right


@pytest.mark.slow
def test_profile_order_is_not_clear_where_two_tags_are_confused_in_whole_sentences() -> None:
    """The words of a sentence are not independent, and do not choose an order that they judge themselves."""
    rng, clear = np.random.default_rng(0), 0
    for _ in range(200):
        tags = rng.integers(0, 2, (12, 25))
        confused = rng.random((12, 1)) < 0.5
        predicted = np.where(confused, 1 - tags, tags).flatten()
        held_out = Predictions.of(4.0 * np.eye(3)[predicted], tags.flatten(), np.repeat(np.arange(12), 25))
        clear += held_out_of(profile_teacher(held_out, held_out)).order.clear
    assert clear == 0


def test_profile_order_is_not_clear_where_two_rare_classes_are_confused() -> None:
    base = sound(0, size=2000)
    labels = np.where(base.labels >= 4, 0, base.labels)
    labels[::40] = 4
    logits = np.where(np.eye(CLASSES)[labels], 6.0, 0.0) + np.random.default_rng(0).standard_normal((2000, CLASSES))
    logits[::40] = np.where(np.arange(CLASSES) == 5, 6.0, 0.0)  # always predicted as a class that no example has
    shuffled = np.random.default_rng(1).permutation(2000)
    confused = Predictions.of(logits[shuffled], labels[shuffled])
    order = held_out_of(profile_teacher(confused, confused)).order
    assert order.right_as_meant > order.right > 0.9
    assert not order.clear


def test_teacher_findings_name_a_class_that_is_never_predicted() -> None:
    logits = sound(0).logits.copy()
    logits[:, 2] = -20.0
    profile = profile_teacher(sound(1), Predictions.of(logits, sound(0).labels), labels=list("abcdef"))
    (finding,) = teacher_findings(profile)
    assert (finding.code, held_out_of(profile).never_predicted) == ("never-predicted", ("c",))
    assert "never predicts c" in finding.message


def test_profile_of_two_classes_has_neither_relations_nor_top_k() -> None:
    profile = profile_teacher(sound(1, classes=2), sound(0, classes=2), shares=1 - np.eye(2))
    assert profile.relations is profile.similarity_kl is held_out_of(profile).top_k is None


def test_profile_gold_range_of_constant_confidence_is_narrow_for_any_probe() -> None:
    """Rescaling factors differ by what the probe knows alone."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, SIZE)
    p = 0.62 + 0.02 * rng.random(SIZE)
    teacher = Predictions.of_probabilities(np.where(np.eye(3)[labels] > 0, p[:, None], (1 - p[:, None]) / 2), labels)
    guess = np.log(rng.dirichlet(np.ones(3), SIZE))
    profile = profile_teacher(teacher, teacher, probe=LinearProbe(guess, guess), temperature=1.0)
    assert profile.gold_range == (pytest.approx(0.62, abs=1e-3), pytest.approx(0.64, abs=1e-3))
    assert profile.rescaling.width > 0.3


def test_profile_explained_by_similarity_depends_on_the_similarities() -> None:
    def explained(shares: np.ndarray) -> float:
        wrong = shares * (1 - np.eye(CLASSES))
        relations = profile_teacher(sound(1), shares=wrong / wrong.sum(1, keepdims=True)).relations
        assert relations is not None
        assert relations.explained_by_similarity is not None
        return relations.explained_by_similarity

    next_class, second_next = (np.roll(np.eye(CLASSES), by, axis=1) for by in (1, 2))
    assert explained(1 + 2 * next_class) > 0.5 > explained(1 + 0.3 * next_class) > 0 > explained(1 + second_next)


def test_profile_of_predictions_that_do_not_match_is_refused() -> None:
    same_example = Predictions.of(sound(0).logits, sound(0).labels, np.zeros(SIZE))
    for held_out, train in (
        (sound(0, classes=3), sound(1, classes=4)),
        (sound(0, size=1), sound(1)),
        (same_example, sound(1)),
    ):
        with pytest.raises(ValueError, match="give two, of the same"):
            profile_teacher(train, held_out)


@pytest.mark.parametrize(("temperature", "gold", "logits"), [(1.0, 0.5, 0.5), (3.0, 0.2, 0.8)])
def test_rescaling_factors_are_ratios_of_gradients(temperature: float, gold: float, logits: float) -> None:
    teacher, student = random_predictions(0, 20), random_predictions(1, 20)
    z = torch.tensor(student.logits, requires_grad=True)
    labels = torch.tensor(teacher.labels)
    plain = torch.nn.functional.cross_entropy(z, labels, reduction="sum")
    p = torch.softmax(torch.tensor(teacher.logits) / temperature, -1)
    log_q = torch.log_softmax(z / temperature, -1)
    divergence = (p * (p.log() - log_q)).sum() * temperature**2
    (of_plain,) = torch.autograd.grad(plain, z, retain_graph=True)
    (of_both,) = torch.autograd.grad(gold * plain + logits * divergence, z)
    expected = (of_both / of_plain).gather(1, labels[:, None])[:, 0].numpy()
    found = rescaling_factors(teacher, student.log_probabilities(), temperature, gold, logits)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_rescaling_factors_of_a_certain_teacher_are_one() -> None:
    teacher = over_confident(0, held=False)
    factors = FactorSpread.of(rescaling_factors(teacher, random_predictions(3, SIZE, CLASSES).log_probabilities()))
    assert factors.low == pytest.approx(1, abs=0.02)
    assert factors.high == pytest.approx(1, abs=0.02)
