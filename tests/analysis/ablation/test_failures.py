"""Each way in which distillation fails, made to happen where everything is known, and reported."""

from __future__ import annotations

import pytest
import torch

from kselect.analysis.ablation.findings import findings, symptoms
from kselect.config import AblationConfig, KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.models.classifier import Classifier
from kselect.tasks.synthetic.topics import Topics
from tests.analysis.synthetic import NOISE, SIMILARITY, World
from tests.analysis.worlds import config_of, fall_together, profiled, run_and_explain

ERASED, SURE, FLAT = "hardly distinguishes wrong classes", "nearly gold labels", "nearly uniform"
IGNORANT = "The teacher is undertrained"
FAILURES = (ERASED, SURE, FLAT, IGNORANT)


def reported(world: World, config: AblationConfig, teacher: Classifier | None = None) -> list[str]:
    """The failures that are reported of a teacher before any training."""
    said = " ".join(symptoms(profiled(world, config, teacher)))
    return [failure for failure in FAILURES if failure in said]


def strength(world: World, teacher: Classifier) -> float:
    relations = profiled(world, config_of(), teacher).profile.relations
    assert relations is not None
    return relations.strength


def trained(world: World, kind: str) -> Classifier:
    """A teacher trained on many texts of a world, on gold labels or on smoothed ones."""
    offered = KnowledgeConfig(knowledge=["gold", "label-smoothing"], label_smoothing=0.2)
    many = World(world.topics, world.own, train=1500)
    task = many.task(1)
    training = TrainingConfig(epochs=8, batch_size=64, learning_rate=0.1, weight_decay=0.0, precision="fp32")
    distiller = Distiller(task, None, many.student(task), training, offered, 64)
    distiller.advance([name == kind for name in distiller.names], distiller.total_steps)
    return distiller.student


def test_symptoms_of_a_sound_teacher_are_none() -> None:
    assert reported(SIMILARITY, config_of()) == []


def test_symptoms_of_a_teacher_trained_with_label_smoothing_are_erased_relations() -> None:
    sound, smoothed = trained(SIMILARITY, "gold"), trained(SIMILARITY, "label-smoothing")
    assert strength(SIMILARITY, smoothed) < 0.2 * strength(SIMILARITY, sound)
    assert reported(SIMILARITY, config_of(), sound) == []
    assert reported(SIMILARITY, config_of(), smoothed) == [ERASED]
    # Softened, wrong classes look alike to any teacher: that erases nothing, as their scores stay what they are.
    assert reported(SIMILARITY, config_of(temperature=2.0)) == []
    assert reported(SIMILARITY, config_of(temperature=2.0), smoothed) == [ERASED]


@pytest.mark.slow
def test_symptoms_of_an_overconfident_teacher_are_nearly_gold_labels() -> None:
    sharp = SIMILARITY.sharpened(10)
    assert reported(sharp, config_of()) == [SURE]
    assert fall_together(run_and_explain(sharp, config_of(), (0, 1)), "kd", "kd-pt", "kd-pt-sim", "fine-tune")
    said = " ".join(symptoms(profiled(sharp, config_of())))
    assert "Raise the temperature" in said
    assert reported(sharp, config_of(temperature=10.0)) == []


@pytest.mark.slow
def test_findings_report_a_teacher_worse_than_its_student() -> None:
    config = config_of()

    class Wrong(World):
        def teacher(self, task):
            teacher = super().teacher(task)
            weight = teacher.model.get_parameter("classifier.weight")
            with torch.no_grad():
                weight.copy_(weight.roll(7, 0))  # every class is taken for another, of another field
            return teacher

    wrong = Wrong(**vars(SIMILARITY))
    found = run_and_explain(wrong, config, (0, 1, 2))
    assert found.teacher.profile.metrics["accuracy"] < 0.1
    assert found.decomposition.gains["kd"].mean < 0
    said = findings(found)
    assert any("no better than a fine-tuned student" in sentence for sentence in said)
    assert "There is no gain to decompose into shares." in said
    assert not any(
        "no better than a fine-tuned" in line for line in findings(run_and_explain(SIMILARITY, config, (0, 1)))
    )


def test_findings_of_two_classes_have_no_relations() -> None:
    two = World(Topics(fields=2, per_field=1, own=(0, 1), shared=(0,)), own=2.0)
    found = run_and_explain(two, config_of(top_k=[0.5]), (0, 1))
    now = found.teacher.profile.information[0]
    assert max(now.domain, now.rest) < 1e-9 < now.instance
    assert found.runs["kd-pt"] == found.runs["kd-pt-sim"] == found.runs["kd-top-1"] == found.runs["kd"]
    assert any(sentence.startswith("With two classes") for sentence in findings(found))
    assert reported(two, config_of()) == []


def test_symptoms_report_an_untrained_teacher() -> None:
    assert reported(NOISE, config_of()) == [IGNORANT]


def test_symptoms_report_temperatures_too_high_and_too_low() -> None:
    assert reported(SIMILARITY, config_of(temperature=50.0)) == [FLAT]
    assert reported(SIMILARITY, config_of(temperature=0.1)) == [SURE]
    hot = profiled(SIMILARITY, config_of(temperature=50.0)).profile.information
    assert [information.temperature for information in hot] == [50.0, 25.0, 100.0]
    assert hot[2].total < hot[0].total < hot[1].total
