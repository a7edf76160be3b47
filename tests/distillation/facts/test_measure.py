"""Each measured fact against a value worked out by hand, from predictions of plain transformers."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import pearsonr

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import predict
from kselect.distillation.facts.facts import Facts
from kselect.distillation.facts.measure import measure_facts
from kselect.distillation.facts.reading import read
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from kselect.models.word_classifier import with_head
from kselect.tasks.splits import UNLABELLED, Split
from kselect.tasks.task import Task, TextTask, build_task
from kselect.tasks.words.sentence import WordSplit
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task
from tests.words import tagging_task, task_for, tokenizer, word_classifier


@cache
def entailment() -> Task:
    """Scored by accuracy, whose error is known in closed form."""
    task = tiny_task("synthetic-entailment", 100)
    assert task.metrics == ("accuracy",)
    return task


@cache
def lengths() -> TextTask:
    """A regression to a noisy count of words."""
    task = tiny_task()
    rng = np.random.default_rng(0)
    splits = {
        name: replace(split, labels=[len(text.split()) + float(rng.normal()) for text in split.text_a])
        for name, split in task.splits.items()
    }
    return build_task("lengths", (), splits, ("pearson",))


def run(task: Task, teacher: Classifier, student: Classifier | None = None, **knowledge: Any) -> Distiller:
    offered = KnowledgeConfig(**{"knowledge": ["gold"], **knowledge})
    training = TrainingConfig(batch_size=8, epochs=3, precision="fp32")
    longest = 32 if isinstance(task, TextTask) else 24
    return Distiller(task, teacher, student or shrink(teacher, 1), training, offered, max_length=longest)


def outputs(classifier: Classifier, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Logits and the last states of token 0, one text at a time, in float64."""
    texts = list(zip(split.text_a, split.text_b, strict=True)) if split.text_b else [(text,) for text in split.text_a]
    logits, states = [], []
    for text in texts:
        inputs = classifier.tokenizer(*text, truncation=True, max_length=32, return_tensors="pt")
        with torch.no_grad():
            found = classifier.model.eval()(**inputs, output_hidden_states=True)
        logits.append(found.logits[0].double().numpy())
        states.append(found.hidden_states[-1][0, 0].double().numpy())
    return np.stack(logits), np.stack(states)


def known(value: float | None) -> float:
    assert value is not None
    return value


def test_classes_by_hand() -> None:
    task = entailment()
    distiller = run(task, tiny_classifier(task, seed=1))
    facts = measure_facts(distiller)
    teacher, student = distiller.teachers[0], distiller.student
    train, reward = task.splits["train"], task.splits["reward"]
    gold = np.array(reward.labels)
    logits, _ = outputs(teacher, reward)
    ours, (theirs, unseen) = logits.argmax(1), outputs(student, reward)
    differences = (ours == gold).astype(float) - (theirs.argmax(1) == gold)
    assert len(gold) == 20  # as many as the jackknife has groups, so that its error is the paired standard error
    assert facts.teacher_less_student == pytest.approx(differences.mean())
    assert facts.teacher_less_student_error == pytest.approx(differences.std(ddof=1) / math.sqrt(20))

    from sklearn.linear_model import LogisticRegression

    states = outputs(student, train)[1]
    mean, spread = states.mean(0), states.std(0)
    fitted = LogisticRegression(C=0.01, max_iter=1000).fit((states - mean) / spread, train.labels)
    differences = (ours == gold).astype(float) - (fitted.predict((unseen - mean) / spread) == gold)
    assert facts.teacher_less_probe == pytest.approx(differences.mean())
    assert facts.teacher_less_probe_error == pytest.approx(differences.std(ddof=1) / math.sqrt(20))

    assert facts.disagreement == pytest.approx(np.mean(outputs(teacher, train)[0].argmax(1) != train.labels))
    p = softmax(logits, axis=1)
    assert facts.overconfidence == pytest.approx(p.max(1).mean() - (ours == gold).mean(), abs=1e-6)
    assert facts.entropy == pytest.approx(-(p * np.log(p)).sum(1).mean() / math.log(2), abs=1e-6)
    by_bin: dict[int, list[float]] = {}
    for confidence, right in zip(p.max(1), ours == gold, strict=True):
        by_bin.setdefault(math.ceil(confidence * 15), []).append(right - confidence)
    assert facts.calibration_error == pytest.approx(sum(abs(sum(gaps)) for gaps in by_bin.values()) / 20, abs=1e-6)


def test_a_regression_by_hand() -> None:
    task = lengths()
    distiller = run(task, tiny_classifier(task, seed=1))
    facts = measure_facts(distiller)
    train, reward = (task.splits[name] for name in ("train", "reward"))
    teacher, student = (outputs(model, reward)[0][:, 0] for model in (distiller.teachers[0], distiller.student))
    gold = np.array(reward.labels)

    def gap(rows: Any) -> float:
        return float(pearsonr(teacher[rows], gold[rows])[0] - pearsonr(student[rows], gold[rows])[0])

    assert facts.teacher_less_student == pytest.approx(gap(slice(None)), abs=1e-5)
    count = len(gold)
    assert count < 20
    without = np.array([gap(np.arange(count) != left_out) for left_out in range(count)])
    error = math.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    assert facts.teacher_less_student_error == pytest.approx(error, rel=1e-3)
    errors = (outputs(distiller.teachers[0], train)[0][:, 0] - train.labels) ** 2
    assert facts.disagreement == pytest.approx(errors.mean() / np.var(train.labels), rel=1e-4)
    assert facts.calibration_error is facts.overconfidence is facts.entropy is None
    # The number of words is in the student's states only in part, but a line through them finds more than a new head.
    assert known(facts.teacher_less_probe) < known(facts.teacher_less_student)
    assert facts.regression
    assert facts.classes == 1


@pytest.mark.parametrize("head", ["tagger", "crf", "spans", "parser", "tree-tagger"])
def test_words_by_hand(head: str) -> None:
    task, teacher = task_for(head), word_classifier(head, seed=1)
    distiller = run(task, teacher)
    facts = measure_facts(distiller)
    assert facts.words
    scores = []
    for model in (teacher, distiller.student):
        encoded = distiller.encoded("reward")
        answers = predict(model, encoded, np.arange(len(encoded)), 3, torch.float32).answers
        scores.append(task.score_rows(answers, encoded, np.arange(len(encoded)))["score"])
    assert facts.teacher_less_student == pytest.approx(scores[0] - scores[1])
    encoded = distiller.encoded("train")
    answers = predict(teacher, encoded, np.arange(len(encoded)), 3, torch.float32).answers
    words = [
        answer[i].tolist() != gold[i].tolist()
        for answer, gold in zip(answers, encoded.labels, strict=True)
        for i in range(len(gold))
    ]
    assert facts.disagreement == pytest.approx(np.mean(words))
    assert (facts.teacher_less_probe is None) == (head in ("parser", "tree-tagger"))
    assert 0 <= known(facts.calibration_error) <= 1
    assert 0 <= known(facts.entropy) <= 1


def test_a_probe_of_words_finds_tags_that_are_words() -> None:
    """S-Y is the tag of one word alone, which embeddings give away; the random teacher does not know it."""
    task = tagging_task(400)
    sentences = task.splits["train"].sentences
    task = replace(
        task, splits={**task.splits, "reward": WordSplit(sentences[300:]), "train": WordSplit(sentences[:300])}
    )
    facts = measure_facts(run(task, word_classifier("tagger", seed=1)))
    assert known(facts.teacher_less_probe) < -2 * known(facts.teacher_less_probe_error)


def test_states_are_those_of_first_tokens_of_words() -> None:
    distiller = run(task_for("crf"), word_classifier("crf"))
    encoded, student = distiller.encoded("train"), distiller.student
    reading = read(student, encoded, np.arange(len(encoded)), torch.float32, with_states=True)
    for index, sentence in enumerate(task_for("crf").splits["train"].sentences):
        inputs = tokenizer()(list(sentence.words), is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            states = student.model(**inputs, output_hidden_states=True).hidden_states[-1][0].numpy()
        first = [inputs.word_ids(0).index(word) for word in range(len(sentence.words))]
        np.testing.assert_allclose(reading.states[index], states[first], atol=1e-5)


def test_a_student_that_is_its_teacher_is_not_behind() -> None:
    task = entailment()
    teacher = tiny_classifier(task)
    facts = measure_facts(run(task, teacher, shrink(teacher, 4)))
    assert facts.teacher_less_student == facts.teacher_less_student_error == 0
    assert (facts.depth, facts.width) == (1, 1)


def test_texts_of_the_teacher_are_counted_where_they_are_known() -> None:
    task = entailment()
    teacher = tiny_classifier(task)
    assert measure_facts(run(task, teacher)).teacher_examples is None
    teacher.training_texts = np.arange(30, dtype=np.uint64)
    facts = measure_facts(run(task, teacher))
    assert facts.teacher_examples == 30
    assert facts.scaled()["label_ratio"] == pytest.approx(math.log10((1 + facts.labelled) / 31))


def test_flipped_labels_are_disagreed_with() -> None:
    task, teacher = entailment(), tiny_classifier(entailment(), seed=1)
    train = task.splits["train"]
    own = outputs(teacher, train)[0].argmax(1)
    labels = [int((label + (i % 4 == 0)) % 2) for i, label in enumerate(own)]
    noisy = replace(task, splits={**task.splits, "train": replace(train, labels=labels)})
    assert measure_facts(run(noisy, teacher)).disagreement == pytest.approx(0.25)


def test_counts() -> None:
    task = entailment()
    train = task.splits["train"]
    labels = [UNLABELLED if i < 30 else label for i, label in enumerate(train.labels)]
    splits = {**task.splits, "train": replace(train, labels=labels), "transfer": task.splits["dev"].unlabelled()}
    distiller = run(replace(task, splits=splits), tiny_classifier(task))
    facts = measure_facts(distiller)
    assert (facts.labelled, facts.unlabelled) == (len(train) - 30, 30 + len(task.splits["dev"]))
    assert (facts.steps, facts.epochs, facts.classes) == (distiller.total_steps, 3, 2)
    assert (facts.words, facts.regression) == (False, False)
    own = outputs(distiller.teachers[0], train)[0].argmax(1)
    assert facts.disagreement == pytest.approx(np.mean(own[30:] != train.labels[30:]))


def test_without_labels_to_learn_from_there_is_no_probe_and_no_disagreement() -> None:
    task = entailment()
    unlabelled = replace(task, splits={**task.splits, "train": task.splits["train"].unlabelled()})
    facts = measure_facts(run(unlabelled, tiny_classifier(task), knowledge=["logits"]))
    assert facts.labelled == 0
    assert facts.disagreement is facts.teacher_less_probe is None
    assert facts.teacher_less_student is not None


def test_without_a_teacher_nothing_is_measured() -> None:
    task = tiny_task()
    distiller = Distiller(task, None, tiny_classifier(task), TrainingConfig(precision="fp32"), max_length=32)
    facts = measure_facts(distiller)
    measured = {name for name, value in facts.to_dict().items() if value is None}
    assert len(measured) == 11
    scaled = facts.scaled()
    assert {scaled[name] for name in scaled if name.endswith("_known")} == {0.0}
    assert facts.new_parameters == 1  # the student is made from scratch


def test_sentences_without_tags_are_unlabelled() -> None:
    task = task_for("tagger")
    sentences = task.splits["train"].sentences
    mixed = WordSplit([replace(one, tags=()) if i < 5 else one for i, one in enumerate(sentences)])
    task = replace(task, splits={**task.splits, "train": mixed})
    facts = measure_facts(run(task, word_classifier("tagger")))
    assert (facts.labelled, facts.unlabelled) == (len(sentences) - 5, 5)


def test_a_new_head_is_counted() -> None:
    student = with_head(shrink(word_classifier("crf"), 1), task_for("tagger"), "tagger")
    facts = measure_facts(run(task_for("tagger"), word_classifier("crf"), student))
    tags = len(task_for("tagger").labels)
    whole = sum(parameter.numel() for parameter in student.model.parameters())
    assert facts.new_parameters == pytest.approx((16 * tags + tags) / whole)
    assert facts.new_head
    assert facts.depth == 0.5


def test_the_run_is_untouched_and_the_cost_is_probing() -> None:
    measured, other = tiny_distiller(), tiny_distiller()
    for distiller in (measured, other):
        distiller.reset(3)
    spent = measured.account.seconds["probing"]
    measure_facts(measured)
    assert measured.account.seconds["probing"] > spent
    assert measured.account.seconds["reward"] == measured.account.seconds["student"] == 0
    reports = [distiller.advance(np.ones(5), 4) for distiller in (measured, other)]
    assert reports[0].losses == reports[1].losses
    weights = [distiller.student.model.state_dict() for distiller in (measured, other)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    with pytest.raises(ValueError, match="4 steps are taken"):
        measure_facts(measured)


def test_facts_survive_json() -> None:
    facts = measure_facts(run(entailment(), tiny_classifier(entailment())))
    assert Facts.from_dict(facts.to_dict()) == facts
