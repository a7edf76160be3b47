"""Examinations of tiny models: what is read and measured, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kselect.analysis.doctor import Examination, examine
from kselect.analysis.linear_probe import LinearProbe
from kselect.analysis.predictions import Predictions
from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import evaluate, predict
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from kselect.tasks.task import Task
from kselect.tasks.words.sentence import WordSplit
from tests.architectures import classifier, tiny_regression
from tests.tiny import tiny_classifier, tiny_task
from tests.words import parsing_task, tagging_task, word_classifier

TRAINING = TrainingConfig(batch_size=8, epochs=2, learning_rate=1e-3, precision="fp32")


@cache
def task() -> Task[Any]:
    """Train and reward alone: dev is not there to be read."""
    whole = tiny_task(train_limit=80)
    return replace(whole, splits={part: whole.splits[part] for part in ("train", "reward")})


def examined(
    teacher: Classifier | None = None, student: Classifier | None = None, of: Task[Any] | None = None, **more: Any
) -> Examination:
    teacher = teacher or tiny_classifier(task())
    settings = {"training": TRAINING, "max_length": 32, **more}
    return examine(of or task(), teacher, student or shrink(teacher, 2), **settings)


def test_examine_measures_what_an_evaluation_does_without_reading_dev() -> None:
    teacher = tiny_classifier(task())
    before = {name: value.clone() for name, value in teacher.model.state_dict().items()}
    found = examined(teacher)
    assert found.examples == {"train": 64, "reward": 16}
    encoded = task().encode(task().splits["reward"], teacher.tokenizer, 32)
    expected = evaluate(teacher, task(), encoded, np.arange(16), 8, torch.float32)
    assert found.profile.metrics == pytest.approx(expected.metrics)
    assert found.held_out.calibration.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.constant == task().constant_score("reward")
    assert all(torch.equal(before[name], value) for name, value in teacher.model.state_dict().items())


def test_examine_samples_are_deterministic_and_no_larger_than_asked_for() -> None:
    first, second = (examined(examples=12) for _ in range(2))
    assert first.profile == second.profile
    assert (first.held_out.calibration.positions, first.profile.train.positions) == (12, 12)


def test_examine_predicts_the_size_of_the_cache(cache_dir: Path) -> None:
    teacher = tiny_classifier(task())
    found = examined(teacher)
    assert list(cache_dir.iterdir()) == []
    distiller = Distiller(task(), teacher, shrink(teacher, 2), TRAINING, max_length=32)
    distiller.reset(0)
    distiller.advance(np.ones(5), 1)
    sizes = {path.stem: np.load(path).nbytes for path in cache_dir.glob("*/*.npy")}
    assert found.pair.bytes == sum(sizes.values())
    fits = {fit.name: fit for fit in found.pair.fits}
    attention = sum(size for name, size in sizes.items() if name.startswith("attentions"))
    assert fits["attention"].bytes == attention + sizes["logits"]
    assert fits["logits"].bytes == sizes["logits"]
    assert fits["gold"].bytes == 0
    assert all(fit.cached and not fit.projected and fit.obstacle is None for fit in fits.values())


def test_examine_extrapolates_the_cache_from_a_sample() -> None:
    whole, part = examined().pair.bytes, examined(examples=32).pair.bytes
    assert part == pytest.approx(whole, rel=0.2)


def test_examine_reports_what_does_not_fit_into_the_cache() -> None:
    whole = examined().pair
    logits = next(fit.bytes for fit in whole.fits if fit.name == "logits")  # which always fit
    found = examined(knowledge=KnowledgeConfig(teacher_cache=(whole.bytes - logits - 1) / 2**30))
    assert {fit.name for fit in found.pair.fits if not fit.cached} == {"attention"}
    assert found.pair.bytes > found.pair.limit
    live = examined(knowledge=KnowledgeConfig(teacher_cache=0.0))
    assert [fit.cached for fit in live.pair.fits] == [True, False, False, False, False]


def test_examine_finds_projections_for_a_narrower_student_and_incomparable_attention() -> None:
    teacher = classifier("bert", task(), layers=4)
    narrow = classifier("bert", task(), layers=2, width=12, heads=3, seed=1)
    found = examined(teacher, narrow)
    fits = {fit.name: fit for fit in found.pair.fits}
    assert found.pair.widths == (12, 16)
    assert [name for name, fit in fits.items() if fit.projected] == ["hidden", "relations"]
    assert "cannot compare 3 attention heads (student) with 2" in str(fits["attention"].obstacle)
    assert "incompatible" not in {finding.code for finding in found.findings}


def test_examination_reports_models_without_common_knowledge() -> None:
    found = examined()
    none = replace(found.pair, fits=tuple(replace(fit, obstacle="No.") for fit in found.pair.fits))
    (finding,) = (one for one in replace(found, pair=none).findings if one.code == "incompatible")
    assert "none of gold, logits, hidden, attention, relations in common" in finding.message


def test_examine_reports_a_layer_map_that_does_not_suit_the_models() -> None:
    found = examined(knowledge=KnowledgeConfig(knowledge=["gold", "hidden"], layer_maps={"hidden": "1:9"}))
    assert [fit.obstacle for fit in found.pair.fits] == [
        None,
        "layer_maps hidden names teacher layer 9: the teacher has 1 to 4.",
    ]
    with pytest.raises(KselectError, match="layer_maps names hidden, which is not on offer"):
        examined(knowledge=KnowledgeConfig(knowledge=["gold"], layer_maps={"hidden": "last"}))


def test_examine_refuses_models_with_different_vocabularies() -> None:
    with pytest.raises(KselectError, match="have different vocabularies"):
        examined(student=classifier("bert", task(), layers=2))


def test_examine_counts_truncated_texts() -> None:
    found = examined(max_length=6)
    lengths = [
        len(ids)
        for part in ("train", "reward")
        for ids in tiny_classifier(task()).tokenizer(task().splits[part].text_a)["input_ids"]
    ]
    assert found.truncated == pytest.approx(np.mean(np.array(lengths) > 6))
    (finding,) = (one for one in found.findings if one.code == "truncated")
    assert "truncated at 6 tokens" in finding.message
    assert examined().truncated == 0


def test_examine_cost_has_the_steps_of_the_run() -> None:
    teacher = tiny_classifier(task())
    found = examined(teacher)
    assert found.cost is not None
    assert found.cost.steps == Distiller(task(), teacher, shrink(teacher, 2), TRAINING, max_length=32).total_steps
    assert 0 < found.cost.step_seconds["gold"] < 10
    expected = found.cost.steps * found.cost.step_seconds["gold + logits"] + found.cost.teacher_seconds
    assert found.cost.run_seconds("gold + logits") == pytest.approx(expected)
    assert found.cost.run_seconds("gold") == found.cost.steps * found.cost.step_seconds["gold"]


def test_examine_cost_of_an_uncached_teacher_is_that_of_every_step() -> None:
    logits_do_not_fit: dict[str, Any] = {"of": words_to_tag(), "knowledge": KnowledgeConfig(teacher_cache=1e-9)}
    tagger = word_classifier("tagger")
    for found, kept in (
        (examined(), True),
        (examined(knowledge=KnowledgeConfig(teacher_cache=0.0)), False),
        (examined(tagger, shrink(tagger, 1), **logits_do_not_fit, max_length=None), False),
    ):
        cost = found.cost
        assert cost is not None
        assert cost.steps == 2 * cost.batches
        assert cost.teacher_batch_seconds > 0
        assert cost.teacher_seconds == (1 if kept else 2) * cost.batches * cost.teacher_batch_seconds
        assert cost.kept == kept
        assert all(fit.cached for fit in found.pair.fits) == kept


def words_to_tag() -> Task[Any]:
    tagging = tagging_task()
    sentences = list(tagging.splits["train"].sentences)
    return replace(tagging, splits={"train": WordSplit(sentences[:12]), "reward": WordSplit(sentences[12:])})


@pytest.mark.parametrize("head", ["tagger", "crf"])
def test_examine_reads_words(head: str) -> None:
    tagging = words_to_tag()
    teacher = word_classifier(head)
    found = examined(teacher, shrink(teacher, 1), tagging, max_length=None)
    words = [sum(len(one) for one in tagging.splits[part].sentences) for part in ("reward", "train")]
    assert [found.held_out.calibration.positions, found.profile.train.positions] == words
    assert found.unit == "words"
    assert set(found.profile.metrics) >= {"accuracy", "f1", "score"}
    assert found.profile.relations is not None
    if head == "tagger":
        encoded = tagging.encode(tagging.splits["reward"], teacher.tokenizer, found.max_length)
        answers = predict(teacher, encoded, np.arange(len(encoded)), 8, torch.float32).answers
        right = np.concatenate(answers) == np.concatenate(list(encoded.labels))
        assert found.held_out.calibration.accuracy.mean == pytest.approx(right.mean())
    assert found.held_out.top_k is not None


@pytest.mark.parametrize("head", ["spans", "parser", "second-order-parser", "tree-tagger"])
def test_examine_refuses_heads_without_classes_for_each_word(head: str) -> None:
    teacher = word_classifier(head)
    of = tagging_task() if head == "spans" else parsing_task()
    with pytest.raises(KselectError, match=f"The teacher's head is {head}, which gives no class probabilities"):
        examined(teacher, shrink(teacher, 1), of)


def test_examine_refuses_a_regression() -> None:
    scores = tiny_regression(train_limit=40)
    teacher = classifier("bert", scores)
    with pytest.raises(KselectError, match="length is a regression"):
        examined(teacher, shrink(teacher, 1), scores)


def test_examine_refuses_a_temperature_that_changes() -> None:
    with pytest.raises(KselectError, match=r"temperature is 4->1, a schedule, .* give a number such as 4"):
        examined(knowledge=KnowledgeConfig(temperature="4->1"))
    assert examined(knowledge=KnowledgeConfig(temperature="3->3")).profile.temperature == 3


def test_examine_refuses_too_few_held_out_examples() -> None:
    few = replace(task(), splits={**task().splits, "reward": task().splits["reward"].take(range(9))})
    with pytest.raises(KselectError, match="has 9 examples, too few"):
        examined(of=few)


def test_linear_probe_separates_informative_from_uninformative_states() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    sample = Predictions.of(np.zeros((120, 3)), labels)
    telling = np.eye(3)[labels] + 0.1 * rng.standard_normal((120, 3))
    probe = LinearProbe.of(telling, sample, telling)
    assert (probe.train.argmax(1) == labels).mean() > 0.95
    np.testing.assert_allclose(np.exp(probe.held_out).sum(1), 1)
    blind = LinearProbe.of(rng.standard_normal((120, 3)), sample, telling)
    assert (blind.train.argmax(1) == labels).mean() < 0.6
    one_class = LinearProbe.of(telling, Predictions.of(np.zeros((120, 3)), np.zeros(120, dtype=int)), telling)
    assert np.isfinite(one_class.held_out).all()
    assert (one_class.held_out.argmax(1) == 0).all()
