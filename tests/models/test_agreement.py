"""A loaded model's predictions against labelled examples: order of labels, unit of scores, tagging scheme."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForTokenClassification

from kselect.errors import KselectError
from kselect.models.agreement import check_scheme
from kselect.models.classifier import Classifier
from kselect.models.heads.crf import Crf
from kselect.models.heads.tagger import Tagger
from kselect.models.loading import load_classifier
from kselect.tasks.splits import Split
from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer
from kselect.tasks.task import TextTask, build_task
from kselect.tasks.words import Origin, TaggedSentence, TagSet, convert
from kselect.tasks.words.sentence import WordSplit
from kselect.tasks.words.tagging_task import TaggingTask
from tests.models.test_classifier import FIRST_WORDS, renamed, sure

LABELS = ["a", "b", "c"]


def first_word_task(count: int = 300, reward_fraction: float = 0.3, noise: float = 0.0) -> TextTask:
    """The label is the first word, but for a share that is drawn at random."""
    rng = np.random.default_rng(0)
    rows = [i % 3 for i in range(count)]
    texts = [f"{FIRST_WORDS[label]} {i}" for i, label in enumerate(rows)]
    gold = [int(rng.integers(3)) if rng.random() < noise else label for label in rows]
    return build_task(
        "words", LABELS, {"train": Split(texts, None, gold)}, ["accuracy"], reward_fraction=reward_fraction
    )


@pytest.mark.parametrize("names", ["named", "unnamed"])
@pytest.mark.parametrize(("count", "reward_fraction"), [(300, 0.3), (60, 0.1)])
def test_check_labels_refuses_another_order(names: str, count: int, reward_fraction: float, tmp_path: Path) -> None:
    task = first_word_task(count, reward_fraction)  # of the smaller one, six reward examples and train judge
    sure(task, (1, 2, 0)).save_pretrained(tmp_path)
    if names == "unnamed":
        renamed(tmp_path, {str(i): f"LABEL_{i}" for i in range(3)})
    with pytest.raises(KselectError, match=r"is right on 100% if they are b, c, a, on 0% if a, b, c: name them as id2"):
        load_classifier(tmp_path, task)


def test_check_labels_does_not_refuse_noise(tmp_path: Path) -> None:
    task = first_word_task(noise=0.9)
    sure(task, (0, 1, 2)).save_pretrained(tmp_path)
    load_classifier(tmp_path, task)


def test_check_labels_warns_of_a_model_below_the_constant_prediction(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = first_word_task()
    rare = {
        name: replace(split, labels=[int(i % 10 == 0) for i in range(len(split))])
        for name, split in task.splits.items()
    }
    teacher = sure(task, (0, 1, 2))
    for label, expected in ((0, False), (1, True)):  # it always says the frequent label, or the rare one
        with torch.no_grad():
            teacher.model.get_parameter("classifier.weight").zero_()
            teacher.model.get_parameter("classifier.bias").copy_(torch.eye(3)[label])
        teacher.save_pretrained(tmp_path)
        load_classifier(tmp_path, replace(task, splits=rare))
        assert ("and the constant prediction 'a' on 90%: it was not trained" in caplog.text) == expected


def scores_task() -> TextTask:
    rows = [i % 3 for i in range(240)]
    texts = [f"{FIRST_WORDS[label]} {i}" for i, label in enumerate(rows)]
    return build_task("scores", [], {"train": Split(texts, None, [2.5 * row for row in rows])}, ["pearson"])


def scorer(task: TextTask, scale: float, shift: float = 0.0) -> Classifier:
    """A regression that gives `scale` times the score, plus `shift`, nearly."""
    made = sure(first_word_task(), (0, 1, 2))
    model: Any = made.model.eval()  # without dropout, which would make the regression random
    with torch.no_grad():
        texts = made.tokenizer(list(task.splits["train"].text_a), padding=True, return_tensors="pt")
        pooled = model.bert(**texts).pooler_output
        target = torch.tensor(task.splits["train"].labels) * scale + shift
        inputs = torch.cat([pooled, torch.ones(len(pooled), 1)], 1)
        # The texts have three states but for rounding, which must not get weight.
        weight = torch.linalg.lstsq(inputs, target[:, None], rcond=1e-3, driver="gelsd").solution
    model.config.num_labels = 1
    model.config.problem_type = "regression"
    layer = torch.nn.Linear(16, 1)
    with torch.no_grad():
        layer.weight.copy_(weight[:16].T)
        layer.bias.copy_(weight[16])
    model.classifier, model.num_labels = layer, 1
    return Classifier(model, made.tokenizer)


def test_check_unit_refuses_another_unit(tmp_path: Path) -> None:
    task = scores_task()
    scorer(task, 1.0).save_pretrained(tmp_path / "right")
    load_classifier(tmp_path / "right", task)
    for scale, shift in ((0.2, 0.0), (1.0, 10.0), (-1.0, 5.0)):
        scorer(task, scale, shift).save_pretrained(tmp_path / "wrong")
        with pytest.raises(KselectError, match="predicts scores in another unit: of 200 labelled examples its squared"):
            load_classifier(tmp_path / "wrong", task)


def test_check_unit_warns_of_scores_worse_than_the_mean(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = scores_task()
    rng = np.random.default_rng(0)
    shuffled = replace(
        task, splits={name: replace(s, labels=rng.permutation(s.labels).tolist()) for name, s in task.splits.items()}
    )
    scorer(task, 1.0).save_pretrained(tmp_path)
    load_classifier(tmp_path, shuffled)
    assert "is worse than the mean score: of 200 labelled examples" in caplog.text


def tagger(tags: tuple[str, ...], by_word: dict[str, str]) -> Classifier:
    """A token classifier that gives each word its tag, whatever is next to it."""
    tokenizer = synthetic_tokenizer(32)
    names = dict(enumerate(tags))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        id2label=names,
        label2id={tag: i for i, tag in names.items()},
    )
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" not in name:
                parameter.zero_()
        for word, tag in by_word.items():
            model.get_parameter("bert.embeddings.word_embeddings.weight")[
                tokenizer.convert_tokens_to_ids(word), tags.index(tag)
            ] = 9.0
        model.get_parameter("classifier.weight")[:, : len(tags)].copy_(torch.eye(len(tags)))
    return Classifier(model.eval(), tokenizer, Tagger(), tags)


def scheme_task(scheme: str) -> TaggingTask:
    """Names of two words after another word; in IOB1 none begins with B."""
    iob2 = ("O", "B-x", "I-x", "O")
    tags = convert(iob2, scheme)
    sentences = [TaggedSentence(("sees", "the", "dog", "sees"), tags, Origin("train", row=i)) for i in range(30)]
    tag_set = TagSet(scheme, ("x",))
    splits = {"train": WordSplit(sentences), "reward": WordSplit(sentences[:2])}
    return TaggingTask("names", tag_set.tags, splits, ("f1",), tag_set, scheme)


@pytest.mark.parametrize("head", [None, "tagger", "crf"])
@pytest.mark.parametrize(("scheme", "other"), [("iob1", "iob2"), ("iob2", "iob1")])
def test_check_scheme_compares_iob1_and_iob2(scheme: str, other: str, head: str | None, tmp_path: Path) -> None:
    task = scheme_task(scheme)
    for of_teacher in (scheme, other):
        words = dict(zip(("sees", "the", "dog"), convert(("O", "B-x", "I-x"), of_teacher), strict=True))
        teacher = tagger(task.labels, words)
        if head == "crf":
            teacher.head = Crf(len(task.labels))
        teacher.save_pretrained(tmp_path)
        if head is None:  # a token classifier from elsewhere
            for name in ("head.json", "checksums.json"):
                (tmp_path / name).unlink()
        if of_teacher == scheme:
            load_classifier(tmp_path, task)
        else:
            with pytest.raises(KselectError, match=f"predicts tags in {other.upper()}.*give {other} as scheme"):
                load_classifier(tmp_path, task)
    check_scheme(tagger(task.labels, {}), task, "untrained")
