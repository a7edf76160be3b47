from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kselect.errors import UserError
from kselect.models.classifier import load_classifier, load_encoder
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.tasks.encoding import encode
from tests.tiny import tiny_classifier, tiny_task


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    tiny_classifier(tiny_task()).save_pretrained(folder)
    return folder


def test_plain_transformers_loads_it_with_the_same_logits(saved: Path) -> None:
    task = tiny_task()
    classifier = tiny_classifier(task)
    classifier.model.eval()
    batch = encode(task.splits["dev"], classifier.tokenizer, 32).batch(range(8))
    inside = forward(classifier.model, batch, Needs()).logits
    outside = AutoModelForSequenceClassification.from_pretrained(saved).eval()
    tokenizer = AutoTokenizer.from_pretrained(saved)
    assert torch.equal(inside, forward(outside, batch, Needs()).logits)
    text = task.splits["dev"].text_a[0]
    assert tokenizer(text)["input_ids"] == classifier.tokenizer(text)["input_ids"]
    assert outside.config.id2label == dict(enumerate(task.labels))


def test_an_untrained_head_is_no_teacher(saved: Path, tmp_path: Path) -> None:
    task = tiny_task()
    classifier = tiny_classifier(task)
    classifier.model.base_model.save_pretrained(tmp_path)
    classifier.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"is not fine-tuned: classifier.bias, classifier.weight would be random"):
        load_classifier(tmp_path, task)
    encoder = load_encoder(tmp_path, task, seed=3)
    again = load_encoder(tmp_path, task, seed=3)
    assert torch.equal(encoder.model.classifier.weight, again.model.classifier.weight)
    assert torch.equal(
        encoder.model.bert.embeddings.word_embeddings.weight, classifier.model.bert.embeddings.word_embeddings.weight
    )


def test_an_encoder_gets_a_fresh_head_whatever_it_brings(saved: Path, tmp_path: Path) -> None:
    trained = tiny_classifier(tiny_task())
    fresh = load_encoder(saved, tiny_task("synthetic-entailment"), seed=1)
    assert not torch.equal(fresh.model.classifier.weight, trained.model.classifier.weight)
    assert torch.equal(fresh.model.bert.pooler.dense.weight, trained.model.bert.pooler.dense.weight)
    three = AutoModelForSequenceClassification.from_pretrained(saved, num_labels=3, ignore_mismatched_sizes=True)
    three.save_pretrained(tmp_path)
    trained.tokenizer.save_pretrained(tmp_path)
    assert load_encoder(tmp_path, tiny_task(), seed=1).model.classifier.weight.shape[0] == 2


def test_damaged_and_incomplete_folders_are_refused(saved: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    with pytest.raises(UserError, match="tokenizer"):
        load_classifier(tmp_path, tiny_task())
    (tmp_path / "model.safetensors").write_bytes((saved / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(UserError, match="Cannot load a model"):
        load_classifier(tmp_path, tiny_task())


def test_loading_an_encoder_leaves_the_global_random_stream_alone(saved: Path) -> None:
    before = torch.get_rng_state()
    load_encoder(saved, tiny_task(), seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_labels_in_another_order_are_refused(saved: Path, tmp_path: Path) -> None:
    tiny_classifier(tiny_task()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = {"0": config["id2label"]["1"], "1": config["id2label"]["0"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="orders its labels"):
        load_classifier(tmp_path, tiny_task())


def test_another_tasks_model_is_refused(saved: Path) -> None:
    with pytest.raises(UserError, match="orders its labels"):
        load_classifier(saved, tiny_task("synthetic-entailment"))


@pytest.mark.parametrize(
    ("folder", "message"),
    [("missing", "No such model folder"), ("empty", "config.json is missing")],
)
def test_no_model_there(folder: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        load_classifier(tmp_path / folder, tiny_task())
