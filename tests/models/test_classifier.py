from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kselect.errors import UserError
from kselect.models.classifier import Classifier, load_classifier, load_encoder, load_student
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.tasks.encoding import encode
from tests.architectures import classifier, tiny_regression
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


def renamed(folder: Path, names: dict[str, str] | None) -> Path:
    """Change the label names of a saved classifier; None leaves them to the library, `LABEL_0` and so on."""
    config = json.loads((folder / "config.json").read_text())
    for entry in ("id2label", "label2id", "num_labels"):
        config.pop(entry, None)
    if names is not None:
        config["id2label"] = names
        config["label2id"] = {name: int(i) for i, name in names.items()}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_unnamed_labels_count_by_their_number(saved: Path, tmp_path: Path) -> None:
    tiny_classifier(tiny_task()).save_pretrained(tmp_path)
    task = tiny_task()
    assert load_classifier(renamed(tmp_path, None), task).model.config.num_labels == 2
    three = AutoModelForSequenceClassification.from_pretrained(saved, num_labels=3, ignore_mismatched_sizes=True)
    three.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="tells 3 labels apart, synthetic-acceptability has 2"):
        load_classifier(renamed(tmp_path, {str(i): f"LABEL_{i}" for i in range(3)}), task)


def test_a_score_is_no_label_and_a_label_no_score(saved: Path, tmp_path: Path) -> None:
    regression = tiny_regression()
    classifier("bert", regression).save_pretrained(tmp_path)
    assert load_classifier(tmp_path, regression).model.config.num_labels == 1
    with pytest.raises(UserError, match="gives a score, synthetic-acceptability has 2"):
        load_classifier(tmp_path, tiny_task())
    with pytest.raises(UserError, match="tells 2 labels apart, length asks for a score"):
        load_classifier(saved, regression)


def head(student: Classifier) -> torch.Tensor:
    return student.model.classifier.weight


def test_a_student_keeps_a_head_for_its_labels_and_gets_one_otherwise(saved: Path, tmp_path: Path) -> None:
    task, other = tiny_task(), tiny_task("synthetic-entailment")
    trained = tiny_classifier(task)
    assert torch.equal(head(load_student(saved, task)), head(trained))
    one, again, another = (load_student(saved, other, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(head(one), head(again))
    assert not torch.equal(head(one), head(another))
    assert one.model.config.id2label == dict(enumerate(other.labels))
    trained.model.base_model.save_pretrained(tmp_path)
    trained.tokenizer.save_pretrained(tmp_path)
    assert not torch.equal(head(load_student(tmp_path, task, seed=1)), head(trained))


def test_an_unnamed_head_of_a_student_takes_the_tasks_names(tmp_path: Path) -> None:
    task = tiny_task()
    tiny_classifier(task).save_pretrained(tmp_path)
    student = load_student(renamed(tmp_path, None), task)
    assert torch.equal(head(student), head(tiny_classifier(task)))
    assert student.model.config.id2label == dict(enumerate(task.labels))


def test_an_encoder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    half = tiny_classifier(tiny_task(), layers=2)
    half.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    for load in (load_encoder, load_student):
        with pytest.raises(UserError, match=r"is no whole bert encoder: bert.encoder.layer.2"):
            load(tmp_path, tiny_task())


UNREACHABLE = """
import time
from kselect.errors import UserError
from kselect.models.classifier import load_classifier
from tests.tiny import tiny_task
print(load_classifier("somebody/cached", tiny_task()).layers)
start = time.perf_counter()
try:
    load_classifier("nobody/nothing", tiny_task())
except UserError as error:
    print(time.perf_counter() - start, error)
"""


def test_a_hub_that_cannot_be_reached_is_named_at_once_unless_its_cache_serves(tmp_path: Path) -> None:
    """In a process of its own: where the hub is said to be is read when the hub's library is imported."""
    cached = tmp_path / "hub" / "models--somebody--cached"
    tiny_classifier(tiny_task()).save_pretrained(cached / "snapshots" / "1")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("1")
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    environment = {**os.environ, **nowhere, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", UNREACHABLE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    layers, line = done.stdout.splitlines()
    assert layers == "4"
    seconds, _, message = line.partition(" ")
    assert message == (
        "Cannot load nobody/nothing: the hub cannot be reached, and its cache has no copy. "
        "Give a local folder that save_pretrained wrote."
    )
    assert float(seconds) < 5
