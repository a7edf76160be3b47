"""Findings of ablations with made-up scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kselect.analysis.ablation.findings import findings, warnings
from kselect.analysis.ablation.levels import conditions
from kselect.analysis.ablation.report import Explanation, explain
from kselect.analysis.ablation.teacher import AblationTeacher
from kselect.analysis.predictions import Predictions
from kselect.analysis.teacher_profile import profile_teacher
from kselect.config import AblationConfig

BASE = (0.70, 0.71, 0.72)


def explained(
    classes: int,
    teacher: float,
    noise: Sequence[float] = (0.0, 0.004, -0.004),
    seeds: Sequence[int] = (0, 1, 2),
    **gains: float,
) -> Explanation:
    """An ablation with given mean gains over fine-tuning; 0 where none is given."""
    levels = conditions(AblationConfig(top_k=[]), classes)
    gain_of = {name.replace("_", "-"): gain for name, gain in gains.items()}
    entries = [
        {
            "rung": condition.name,
            "seed": seed,
            "metrics": {
                "score": base + (gain_of[condition.name] + noise[seed] if condition.name in gain_of else 0),
                "loss": 0.5,
            },
            "constant": {"score": 0.5},
            "examples": 500,
        }
        for condition in levels
        for seed, base in enumerate(BASE)
        if condition.same_as is None
    ]
    p = torch.softmax(torch.randn(60, classes, generator=torch.Generator().manual_seed(0)), -1)
    labels = torch.arange(60) % classes
    config = AblationConfig(top_k=[], label_smoothing=0.1, similarity_mass=0.1)
    predictions = Predictions.of_probabilities(p.numpy(), labels.numpy())
    profile = profile_teacher(predictions, temperature=1.0, metrics={"score": teacher, "loss": 0.4})
    return explain(entries, levels, seeds, classes, "score", AblationTeacher(profile, config))


def starting(sentences: list[str], start: str) -> str:
    (sentence,) = (sentence for sentence in sentences if sentence.startswith(start))
    return sentence


def test_findings_shares_are_those_of_each_level_alone() -> None:
    sentences = findings(explained(5, 0.9, label_smoothing=0.01, kd_sim=0.02, kd_pt=0.03, kd_pt_sim=0.036, kd=0.04))
    shares = starting(sentences, "Share of that gain")
    for share in (
        "label-smoothing (universe) 25 % ± ",
        "kd-pt (instance) 75 % ± ",
        "kd-pt-sim (instance and domain) 90 %",
    ):
        assert share in shares
    # The lead of one condition over another is the same under all seeds here, so the noise is unknown.
    assert "universe is not significant over 3 seeds" in starting(sentences, "The order instance > domain > universe")


def test_findings_leave_out_conditions_that_are_kd_by_arithmetic() -> None:
    sentences = findings(explained(2, 0.9, label_smoothing=0.01, kd=0.04))
    shares = starting(sentences, "Share of that gain")
    assert "label-smoothing (universe) 25 % ± " in shares
    assert "kd-pt" not in shares
    assert "kd-sim" not in shares
    assert "identical" in starting(sentences, "kd-sim has the same strength as label-smoothing")


def test_findings_of_an_insignificant_gain_have_no_shares() -> None:
    sentences = findings(explained(5, 0.9, (0.0, 0.03, -0.03), label_smoothing=0.0, kd_sim=0.0, kd_pt=0.01, kd=0.01))
    assert "not significant over 3 seeds" in starting(sentences, "Distillation gains")
    assert "There is no significant gain to decompose into shares." in sentences


def test_findings_of_a_single_seed_have_no_error_estimate() -> None:
    sentences = findings(explained(5, 0.9, seeds=[0], kd_pt=0.01, kd=0.01))
    assert "not significant over 1 seed" in starting(sentences, "Distillation gains +1.00 points")
    assert starting(sentences, "A single seed gives no error estimate")


def test_findings_report_a_teacher_below_its_students_and_what_they_gain() -> None:
    gaining = findings(explained(5, 0.6, label_smoothing=0.0, kd_sim=0.01, kd_pt=0.04, kd_pt_sim=0.05, kd=0.05))
    assert starting(gaining, "Distillation gains").startswith("Distillation gains +5.00 ± 0.23 points")
    weak = starting(gaining, "The teacher is no better")
    assert "60.0 against 71.0 points" in weak
    assert "yet its student gains" in weak
    losing = findings(explained(5, 0.6, label_smoothing=0.0, kd_sim=0.0, kd_pt=-0.04, kd_pt_sim=-0.05, kd=-0.05))
    assert "train a better teacher" in starting(losing, "The teacher is no better")


def test_findings_and_symptoms_name_no_option_of_the_command_line() -> None:
    for classes in (2, 5):
        assert not any("--" in sentence for sentence in findings(explained(classes, 0.9, seeds=[0], kd=0.01)))


def test_warnings_are_of_teachers_that_are_no_better_than_the_constant_prediction() -> None:
    assert warnings(explained(2, 0.9).teacher, 0.5) == []
    for score in (0.5, 0.4):
        (warning,) = warnings(explained(2, score).teacher, 0.5)
        assert warning.startswith(
            f"Warning: the teacher is no better than the constant prediction ({100 * score:.1f} against 50.0 points"
        )
        assert "\n" not in warning
