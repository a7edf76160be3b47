"""Examinations of tiny models: what is read, what is told of a pair and of a run, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kselect.analysis.doctor import Examination, advise, diagnose, examine
from kselect.analysis.doctor.advice import of_cost, of_pair
from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import evaluate, predict
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from kselect.tasks.task import Task
from kselect.tasks.words.sentence import WordSplit
from tests.analysis.doctor.constructed import sound
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


def test_it_measures_what_an_evaluation_does_without_reading_dev() -> None:
    teacher = tiny_classifier(task())
    before = {name: value.clone() for name, value in teacher.model.state_dict().items()}
    found = examined(teacher)
    assert found.examples == {"train": 64, "reward": 16}
    encoded = task().encode(task().splits["reward"], teacher.tokenizer, 32)
    expected = evaluate(teacher, task(), encoded, np.arange(16), 8, torch.float32)
    assert found.scores == pytest.approx(expected.metrics)
    assert found.diagnosis.held.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.constant_scores == task().constant_score("reward")
    assert all(torch.equal(before[name], value) for name, value in teacher.model.state_dict().items())


def test_samples_are_no_larger_than_asked_for_and_always_the_same() -> None:
    found = [examined(examples=12).diagnosis for _ in range(2)]
    assert found[0] == found[1]
    assert (found[0].held.places, found[0].train.places) == (12, 12)


def test_the_cache_would_be_as_large_as_it_becomes(cache_dir: Path) -> None:
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


def test_a_sample_stands_for_all_of_train() -> None:
    whole, part = examined().pair.bytes, examined(examples=32).pair.bytes
    assert part == pytest.approx(whole, rel=0.2)


def test_what_does_not_fit_into_the_cache_is_told() -> None:
    whole = examined().pair
    logits = next(fit.bytes for fit in whole.fits if fit.name == "logits")  # which always fit
    found = examined(knowledge=KnowledgeConfig(teacher_cache=(whole.bytes - logits - 1) / 2**30))
    assert {fit.name for fit in found.pair.fits if not fit.cached} == {"attention"}
    (advice,) = (one for one in advise(found) if one.kind == "cache")
    assert advice.numbers["bytes"] > advice.numbers["limit"]
    live = examined(knowledge=KnowledgeConfig(teacher_cache=0.0))
    assert [fit.cached for fit in live.pair.fits] == [True, False, False, False, False]


def test_a_narrower_student_needs_learned_maps_and_other_heads_rule_attention_out() -> None:
    teacher = classifier("bert", task(), layers=4)
    narrow = classifier("bert", task(), layers=2, width=12, heads=3, seed=1)
    found = examined(teacher, narrow)
    fits = {fit.name: fit for fit in found.pair.fits}
    assert found.pair.widths == (12, 16)
    assert [name for name, fit in fits.items() if fit.projected] == ["hidden", "relations"]
    assert "cannot compare 3 attention heads (student) with 2" in str(fits["attention"].obstacle)
    (advice,) = (one for one in advise(found) if one.kind == "knowledge")
    assert "hidden, relations by learned maps" in advice.sentence
    assert "Leave out attention." in advice.sentence
    assert advice.claim is None


def test_that_all_kinds_are_better_is_claimed_of_no_teacher_whose_worth_is_not_known() -> None:
    found = examined()  # of a teacher as it was drawn
    worthy = replace(found, diagnosis=diagnose(sound(0, 2), sound(1, 2)))
    for one, claimed in ((found, "None"), (worthy, "all better than logits")):
        (advice,) = (each for each in advise(one) if each.kind == "knowledge")
        assert advice.sentence.startswith("Offer gold, logits, hidden, attention, relations")
        assert str(advice.claim) == claimed


def test_a_layer_map_that_does_not_suit_the_models_is_told() -> None:
    found = examined(knowledge=KnowledgeConfig(knowledge=["gold", "hidden"], layer_maps={"hidden": "1:9"}))
    assert [fit.obstacle for fit in found.pair.fits] == [
        None,
        "layer_maps hidden names teacher layer 9: the teacher has 1 to 4.",
    ]
    with pytest.raises(KselectError, match="layer_maps names hidden, which is not on offer"):
        examined(knowledge=KnowledgeConfig(knowledge=["gold"], layer_maps={"hidden": "last"}))


def test_models_that_read_other_vocabularies_cannot_be_distilled_but_the_teacher_is_examined() -> None:
    found = examined(student=classifier("bert", task(), layers=2))
    assert "have different vocabularies" in str(found.obstacle)
    assert found.cost is None
    assert found.diagnosis.probe is None
    kinds = [one.kind for one in advise(found)]
    assert "models" in kinds
    assert "time" not in kinds
    assert "worth" in kinds


def test_texts_that_are_cut_are_counted() -> None:
    found = examined(max_length=6)
    lengths = [
        len(ids)
        for part in ("train", "reward")
        for ids in tiny_classifier(task()).tokenizer(task().splits[part].text_a)["input_ids"]
    ]
    assert found.truncated == pytest.approx(np.mean(np.array(lengths) > 6))
    (advice,) = (one for one in advise(found) if one.kind == "length")
    assert "cut at 6 tokens" in advice.sentence
    assert examined().truncated == 0


def test_a_run_is_as_many_steps_as_it_will_be() -> None:
    teacher = tiny_classifier(task())
    found = examined(teacher)
    assert found.cost is not None
    assert found.cost.steps == Distiller(task(), teacher, shrink(teacher, 2), TRAINING, max_length=32).total_steps
    assert 0 < found.cost.step_seconds["gold"] < 10
    expected = found.cost.steps * found.cost.step_seconds["gold + logits"] + found.cost.teacher_seconds
    assert found.cost.run_seconds("gold + logits") == pytest.approx(expected)
    assert found.cost.run_seconds("gold") == found.cost.steps * found.cost.step_seconds["gold"]


def test_a_teacher_that_is_not_kept_runs_in_every_step() -> None:
    logits_do_not_fit = {"of": words_to_tag(), "knowledge": KnowledgeConfig(teacher_cache=1e-9)}
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
        told = {one.kind: one.sentence for one in (*of_pair(found.pair, helps=False), *of_cost(cost))}
        assert ("once for the teacher" in told["time"]) == kept
        assert ("for the teacher in all of them" in told["time"]) != kept
        assert ("cache" in told) != kept
        if found.pair.limit == 0:
            assert told["cache"].startswith("--teacher_cache 0 keeps nothing: logits, hidden,")
            assert "GiB" not in told["cache"]


def words_to_tag() -> Task[Any]:
    tagging = tagging_task()
    sentences = list(tagging.splits["train"].sentences)
    return replace(tagging, splits={"train": WordSplit(sentences[:12]), "reward": WordSplit(sentences[12:])})


@pytest.mark.parametrize("head", ["tagger", "crf"])
def test_words_are_places(head: str) -> None:
    tagging = words_to_tag()
    teacher = word_classifier(head)
    found = examined(teacher, shrink(teacher, 1), tagging, max_length=None)
    words = [sum(len(one) for one in tagging.splits[part].sentences) for part in ("reward", "train")]
    assert [found.diagnosis.held.places, found.diagnosis.train.places] == words
    assert found.places == "words"
    assert set(found.scores) >= {"accuracy", "f1", "score"}
    assert found.diagnosis.relations is not None
    if head == "tagger":
        encoded = tagging.encode(tagging.splits["reward"], teacher.tokenizer, found.max_length)
        answers = predict(teacher, encoded, np.arange(len(encoded)), 8, torch.float32).answers
        right = np.concatenate(answers) == np.concatenate(list(encoded.labels))
        assert found.diagnosis.held.accuracy.value == pytest.approx(right.mean())
    assert found.diagnosis.top_k is not None
    assert "worth" in {one.kind for one in advise(found)}


@pytest.mark.parametrize("head", ["spans", "parser", "second-order-parser", "tree-tagger"])
def test_heads_without_classes_for_each_word_are_refused(head: str) -> None:
    teacher = word_classifier(head)
    of = tagging_task() if head == "spans" else parsing_task()
    with pytest.raises(KselectError, match=f"The teacher's head is {head}, which gives no probabilities of classes"):
        examined(teacher, shrink(teacher, 1), of)


def test_a_regression_is_refused() -> None:
    scores = tiny_regression(train_limit=40)
    teacher = classifier("bert", scores)
    with pytest.raises(KselectError, match="length is a regression"):
        examined(teacher, shrink(teacher, 1), scores)


def test_a_temperature_that_changes_is_refused_and_one_that_stays_is_not() -> None:
    with pytest.raises(
        KselectError, match=r"temperature is 4->1, a schedule: .* give a number, such as --temperature 4"
    ):
        examined(knowledge=KnowledgeConfig(temperature="4->1"))
    assert examined(knowledge=KnowledgeConfig(temperature="3->3")).diagnosis.used_temperature == 3


def test_too_few_held_out_examples_are_refused() -> None:
    few = replace(task(), splits={**task().splits, "reward": task().splits["reward"].take(range(9))})
    with pytest.raises(KselectError, match="has 9 examples, too few"):
        examined(of=few)


def test_a_probe_that_knows_the_answer_is_told_from_one_that_does_not() -> None:
    from kselect.analysis.doctor.linear_probe import Probe
    from kselect.analysis.predictions import Sample

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    sample = Sample.of(np.zeros((120, 3)), labels)
    telling = np.eye(3)[labels] + 0.1 * rng.standard_normal((120, 3))
    probe = Probe.of(telling, sample, telling)
    assert (probe.train.argmax(1) == labels).mean() > 0.95
    np.testing.assert_allclose(np.exp(probe.held).sum(1), 1)
    blind = Probe.of(rng.standard_normal((120, 3)), sample, telling)
    assert (blind.train.argmax(1) == labels).mean() < 0.6
    one_class = Probe.of(telling, Sample.of(np.zeros((120, 3)), np.zeros(120, dtype=int)), telling)
    assert np.isfinite(one_class.held).all()
    assert (one_class.held.argmax(1) == 0).all()
