"""Sentences on ladders whose scores are made up, rung by rung."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kselect.analysis.ablation.findings import findings
from kselect.analysis.ablation.levels import ladder
from kselect.analysis.ablation.report import Explanation, explain
from kselect.analysis.class_similarity import ClassRelations
from kselect.analysis.predictions import Sample
from kselect.analysis.target_information import content_of
from kselect.analysis.teacher_profile import Teacher
from kselect.config import LadderConfig

BASE = (0.70, 0.71, 0.72)


def explained(
    classes: int, teacher: float, noise: Sequence[float] = (0.0, 0.004, -0.004), **gains: float
) -> Explanation:
    """A ladder of three seeds, from what each rung gains over fine-tuning in the mean; nothing where none is given."""
    rungs = ladder(LadderConfig(top_k=[]), classes)
    by_rung = {name.replace("_", "-"): gain for name, gain in gains.items()}
    entries = [
        {
            "rung": rung.name,
            "seed": seed,
            "metrics": {"score": base + (by_rung[rung.name] + noise[seed] if rung.name in by_rung else 0), "loss": 0.5},
            "constant": {"score": 0.5},
            "examples": 500,
        }
        for rung in rungs
        for seed, base in enumerate(BASE)
        if rung.same_as is None
    ]
    p = torch.softmax(torch.randn(60, classes, generator=torch.Generator().manual_seed(0)), -1)
    labels = torch.arange(60) % classes
    contents = [content_of(p, labels, temperature) for temperature in (1.0, 0.5, 2.0)]
    relations = ClassRelations.of(Sample.of_probabilities(p.numpy(), labels.numpy()))
    config = LadderConfig(top_k=[], label_smoothing=0.1, similarity_mass=0.1)
    left = {"label-smoothing": 0.1, "kd-sim": 0.1, "the teacher": 0.1}
    known = Teacher({"score": teacher, "loss": 0.4}, contents, relations, 0.5, config, left)
    return explain(entries, rungs, range(len(BASE)), classes, "score", known)


def told(said: list[str], start: str) -> str:
    (sentence,) = (one for one in said if one.startswith(start))
    return sentence


def test_shares_are_those_of_each_level_by_itself() -> None:
    said = findings(explained(5, 0.9, label_smoothing=0.01, kd_sim=0.02, kd_pt=0.03, kd_pt_sim=0.036, kd=0.04))
    assert told(said, "What each level").startswith(
        "What each level by itself has of that gain, and they overlap: label-smoothing (universe) 25 % ± "
    )
    assert "kd-pt (instance) 75 % ± " in told(said, "What each level")
    assert "kd-pt-sim (instance and domain) 90 % ± " in told(said, "What each level")
    # One rung's lead over another is the same under all seeds here: there is no noise to go by.
    assert told(said, "The order instance > domain > universe").split(" universe ")[1].startswith("is not told apart")


def test_a_rung_that_is_kd_by_arithmetic_is_no_finding() -> None:
    said = findings(explained(2, 0.9, label_smoothing=0.01, kd=0.04))
    shares = told(said, "What each level")
    assert "label-smoothing (universe) 25 % ± " in shares
    assert "kd-pt" not in shares
    assert "kd-sim" not in shares
    assert "As label-smoothing is by as much, its students stand for kd-sim." in said


def test_a_gain_that_the_seeds_do_not_tell_from_nothing_has_no_shares() -> None:
    said = findings(explained(5, 0.9, (0.0, 0.03, -0.03), label_smoothing=0.0, kd_sim=0.0, kd_pt=0.01, kd=0.01))
    assert "which the noise of 3 seeds does not tell from nothing" in told(said, "Distillation gains")
    assert "So there is no such gain to account for, and there are no shares of it." in said


def test_a_teacher_below_its_students_is_no_reason_to_deny_what_they_gain() -> None:
    gaining = findings(explained(5, 0.6, label_smoothing=0.0, kd_sim=0.01, kd_pt=0.04, kd_pt_sim=0.05, kd=0.05))
    assert told(gaining, "Distillation gains").startswith("Distillation gains +5.00 ± 0.23 points")
    assert told(gaining, "The teacher is no better").endswith(
        "(60.0 against 71.0 points of score on dev), and yet its student gains."
    )
    losing = findings(explained(5, 0.6, label_smoothing=0.0, kd_sim=0.0, kd_pt=-0.04, kd_pt_sim=-0.05, kd=-0.05))
    assert told(losing, "The teacher is no better").endswith("there is little to gain from it. Train a better teacher.")
