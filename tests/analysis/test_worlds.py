"""Worlds in which a teacher has one level of knowledge: conditions coincide, and the remaining level gains."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kselect.analysis.ablation.findings import findings
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from tests.analysis.synthetic import CONFIDENCE, EVERYTHING, NOISE, SIMILARITY, World
from tests.analysis.worlds import config_of, fall_together, matched_in, run_and_explain

TAU = 0.3


def smoothing(confidence: float, classes: int) -> float:
    """Share of the label smoothing that gives the gold class this much."""
    return (1 - confidence) * classes / (classes - 1)


@pytest.mark.parametrize("world", [SIMILARITY, CONFIDENCE, NOISE], ids=["similarity", "confidence", "noise"])
def test_the_teacher_has_the_logits_set_by_hand(world: World) -> None:
    task = world.task(0)
    teacher = world.teacher(task)
    texts = task.splits["train"].text_a[:20]
    encoded = task.encode(task.splits["train"].take(range(20)), teacher.tokenizer, 64)
    logits = forward(teacher.model, encoded.batch(range(20)), Needs()).logits
    for text, row in zip(texts, logits.tolist(), strict=True):
        words = [word.partition("w")[0] for word in text.split()]
        expected = [words.count(t) * world.own + words.count(t[0]) * world.shared for t in task.labels]
        assert row == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_with_similar_classes_alone_the_domain_level_accounts_for_the_gain() -> None:
    scores = torch.tensor([1 / TAU, *[2.0] * 4, *[0.0] * 15], dtype=torch.float64)
    confidence = float(torch.softmax(scores, 0)[0])
    config = matched_in(SIMILARITY, config_of(measure="loss"))
    assert config.similarity_temperature == TAU
    assert config.similarity_mass == pytest.approx(1 - confidence, rel=1e-4)
    assert config.label_smoothing == pytest.approx(smoothing(confidence, 20), rel=1e-4)
    found = run_and_explain(SIMILARITY, config_of(measure="loss"))
    now, relations = found.teacher.profile.information[0], found.teacher.profile.relations
    assert (now.confidence, now.accuracy) == (pytest.approx(confidence), 1.0)
    assert now.shares["domain"] == pytest.approx(1)
    assert relations is not None
    shares = torch.softmax(torch.tensor([*[2.0] * 4, *[0.0] * 15], dtype=torch.float64), 0)  # of the wrong classes
    uneven = float((shares * (19 * shares).log()).sum())
    assert found.teacher.profile.similarity_kl == pytest.approx(uneven, rel=1e-3)
    assert not any(finding.startswith("kd-sim is practically") for finding in findings(found))
    assert relations.explained_by_similarity == pytest.approx(1, abs=1e-4)
    assert fall_together(found, "kd", "kd-sim", "kd-pt-sim")
    assert fall_together(found, "kd-pt", "label-smoothing")
    assert found.decomposition.gains["kd"].low > 0
    assert found.decomposition.leads["kd-sim", "label-smoothing"].low > 0
    assert found.decomposition.order == "contradicted"


@pytest.mark.slow
def test_with_varying_confidence_alone_the_instance_level_accounts_for_the_gain() -> None:
    found = run_and_explain(CONFIDENCE, config_of())
    assert found.teacher.profile.information[0].shares["instance"] == pytest.approx(1)
    assert fall_together(found, "kd", "kd-pt", "kd-pt-sim")
    assert fall_together(found, "kd-sim", "label-smoothing")
    assert found.decomposition.gains["kd"].low > 0
    assert found.decomposition.leads["kd-pt", "label-smoothing"].low > 0


@pytest.mark.slow
def test_without_knowledge_label_smoothing_accounts_for_the_gain() -> None:
    found = run_and_explain(NOISE, config_of(measure="loss"))
    assert found.teacher.profile.information[0].total == pytest.approx(0, abs=1e-12)
    assert fall_together(found, "kd", "kd-pt", "kd-pt-sim", "kd-sim", "label-smoothing")
    assert found.decomposition.gains["kd"].low > 0
    assert found.decomposition.shares["label-smoothing"].mean == pytest.approx(1, rel=1e-3)


@pytest.mark.slow
def test_without_similar_classes_the_domain_level_is_a_label_smoothing() -> None:
    alone = replace(NOISE, own=2.0)
    found = run_and_explain(alone, config_of(measure="loss"))
    assert fall_together(found, "kd-sim", "label-smoothing")
    assert found.decomposition.order != "confirmed"
    # Given by hand, the stronger smoothing gains more from noisy labels: that is said.
    uneven = run_and_explain(alone, config_of(measure="loss", label_smoothing=0.01))
    assert uneven.decomposition.leads["kd-sim", "label-smoothing"].low > 0
    (smoothing_too,) = (
        finding for finding in findings(found) if finding.startswith("kd-sim is practically a label smoothing")
    )
    assert found.teacher.profile.similarity_kl == pytest.approx(0, abs=1e-6)
    assert f"of {found.teacher.config.label_smoothing:.2g}: " in smoothing_too
    assert any("which alone may put a level ahead" in finding for finding in findings(uneven))
    assert not any("alone may put" in finding for finding in findings(found))


@pytest.mark.slow
def test_with_all_levels_the_order_of_the_paper_is_confirmed() -> None:
    found = run_and_explain(EVERYTHING, config_of(measure="loss"), range(5))
    assert found.decomposition.order == "confirmed"
    shares = {name: share.mean for name, share in found.decomposition.shares.items()}
    assert shares["label-smoothing"] < shares["kd-sim"] < 0.4 < shares["kd-pt"] < shares["kd-pt-sim"] < 1
