from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, ModernBertConfig, ModernBertForMaskedLM

from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.loading import load_classifier, load_encoder, load_student
from kselect.models.needs import Needs
from kselect.models.output_layer import output_layer
from kselect.models.outputs import forward
from kselect.tasks.encoding import encode
from kselect.tasks.splits import Split
from kselect.tasks.task import Task, build_task
from tests.architectures import UNTOLD, classifier, tiny_regression
from tests.tiny import save_encoder, tiny_classifier, tiny_task


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
    save_encoder(classifier, tmp_path)
    with pytest.raises(KselectError, match=r"is not fine-tuned: classifier.bias, classifier.weight would be random"):
        load_classifier(tmp_path, task)
    encoder = load_encoder(tmp_path, task, seed=3)
    again = load_encoder(tmp_path, task, seed=3)
    output = encoder.model.get_parameter("classifier.weight").numel() + len(task.labels)
    assert (encoder.new_parameters, load_classifier(saved, task).new_parameters) == (output, 0)
    assert torch.equal(encoder.model.get_parameter("classifier.weight"), again.model.get_parameter("classifier.weight"))
    assert torch.equal(
        encoder.model.get_parameter("bert.embeddings.word_embeddings.weight"),
        classifier.model.get_parameter("bert.embeddings.word_embeddings.weight"),
    )


def test_an_encoder_gets_a_new_head_in_any_case(saved: Path, tmp_path: Path) -> None:
    trained = tiny_classifier(tiny_task())
    fresh = load_encoder(saved, tiny_task("synthetic-entailment"), seed=1)
    assert not torch.equal(
        fresh.model.get_parameter("classifier.weight"), trained.model.get_parameter("classifier.weight")
    )
    assert torch.equal(
        fresh.model.get_parameter("bert.pooler.dense.weight"), trained.model.get_parameter("bert.pooler.dense.weight")
    )
    three = AutoModelForSequenceClassification.from_pretrained(saved, num_labels=3, ignore_mismatched_sizes=True)
    three.save_pretrained(tmp_path)
    trained.tokenizer.save_pretrained(tmp_path)
    assert load_encoder(tmp_path, tiny_task(), seed=1).model.get_parameter("classifier.weight").shape[0] == 2


def test_damaged_and_incomplete_folders_are_refused(saved: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    with pytest.raises(KselectError, match="tokenizer"):
        load_classifier(tmp_path, tiny_task())
    (tmp_path / "model.safetensors").write_bytes((saved / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(KselectError, match="Cannot load a model"):
        load_classifier(tmp_path, tiny_task())


def test_loading_an_encoder_leaves_the_global_random_stream_alone(saved: Path) -> None:
    before = torch.get_rng_state()
    load_encoder(saved, tiny_task(), seed=3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert"])
def test_labels_in_another_order_or_case_are_the_same_labels(architecture: str, tmp_path: Path) -> None:
    acceptability = tiny_task()
    task = replace(acceptability, labels=("entailment", "neutral", "Contradiction"))
    theirs = classifier(architecture, replace(task, labels=("neutral", "contradiction", "ENTAILMENT")))
    theirs.save_pretrained(tmp_path)
    batch = encode(task.splits["dev"], theirs.tokenizer, 32).batch(range(8))
    expected = forward(theirs.model.eval(), batch, Needs()).logits[:, [2, 0, 1]]
    for load in (load_classifier, load_student):
        model = load(tmp_path, task).model
        torch.testing.assert_close(forward(model.eval(), batch, Needs()).logits, expected)
        assert model.config.id2label == dict(enumerate(task.labels))
        assert model.config.label2id == {label: i for i, label in enumerate(task.labels)}


def test_labels_that_differ_in_case_alone_are_distinguished(tmp_path: Path) -> None:
    task = replace(tiny_task(), labels=("us", "US"))
    theirs = classifier("bert", replace(task, labels=("US", "us")))
    theirs.save_pretrained(tmp_path)
    weight = load_classifier(tmp_path, task).model.get_parameter("classifier.weight")
    assert torch.equal(weight, theirs.model.get_parameter("classifier.weight")[[1, 0]])
    with pytest.raises(KselectError, match="names its labels US, us, synthetic-acceptability has us, Us"):
        load_classifier(tmp_path, replace(task, labels=("us", "Us")))


def test_another_tasks_model_is_refused(saved: Path) -> None:
    with pytest.raises(KselectError, match="names its labels unacceptable, acceptable, synthetic-entailment has"):
        load_classifier(saved, tiny_task("synthetic-entailment"))


@pytest.mark.parametrize(
    ("folder", "message"),
    [("missing", "No such model folder"), ("empty", "config.json is missing")],
)
def test_no_model_there(folder: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(KselectError, match=message):
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
    with pytest.raises(KselectError, match="predicts 3 labels, synthetic-acceptability has 2"):
        load_classifier(renamed(tmp_path, {str(i): f"LABEL_{i}" for i in range(3)}), task)


def sure(task: Task, order: tuple[int, ...]) -> Classifier:
    """A teacher that is right on every text of a task whose labels tell which word they begin with, put in `order`."""
    teacher = tiny_classifier(task)
    first = [teacher.tokenizer.convert_tokens_to_ids(word) for word in FIRST_WORDS]
    model = teacher.model
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" not in name:
                parameter.zero_()
        words = model.get_parameter("bert.embeddings.word_embeddings.weight")
        for label, token in enumerate(first):
            words[token, label] = 9.0
        for layer in model.get_submodule("bert.encoder.layer").children():
            layer.get_parameter("attention.self.value.weight").copy_(torch.eye(16))
            layer.get_parameter("attention.output.dense.weight").copy_(torch.eye(16))
        model.get_parameter("bert.pooler.dense.weight").copy_(torch.eye(16))
        for row, label in enumerate(order):
            model.get_parameter("classifier.weight")[row, label] = 5.0
    return teacher


FIRST_WORDS = ("the", "every", "some")


def test_unnamed_labels_in_another_order_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [i % 3 for i in range(300)]
    texts = [f"{FIRST_WORDS[label]} {i}" for i, label in enumerate(rows)]
    task = build_task("words", ["a", "b", "c"], {"train": Split(texts, None, rows)}, ["accuracy"], reward_fraction=0.3)
    for order, name in (((0, 1, 2), "right"), ((1, 2, 0), "wrong")):
        sure(task, order).save_pretrained(tmp_path / name)
        renamed(tmp_path / name, {str(i): f"LABEL_{i}" for i in range(3)})
    for _ in range(2):
        loaded = load_classifier(tmp_path / "right", task)
    assert loaded.model.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert caplog.messages == [
        f"{tmp_path / 'right'} does not name its labels: they are taken to be a, b, c, in this order."
    ]
    with pytest.raises(
        KselectError, match=r"is right on 100% if they are b, c, a, on 0% if a, b, c: name them as id2label"
    ):
        load_classifier(tmp_path / "wrong", task)


def test_labels_that_are_called_as_unnamed_ones_are_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = replace(tiny_task(), labels=("LABEL_1", "LABEL_0"))
    theirs = tiny_classifier(replace(task, labels=("LABEL_0", "LABEL_1")))
    theirs.save_pretrained(tmp_path)
    assert torch.equal(
        load_classifier(tmp_path, task).model.get_parameter("classifier.weight"),
        theirs.model.get_parameter("classifier.weight")[[1, 0]],
    )
    assert not caplog.messages


def test_a_score_is_no_label_and_a_label_no_score(saved: Path, tmp_path: Path) -> None:
    regression = tiny_regression()
    classifier("bert", regression).save_pretrained(tmp_path)
    assert load_classifier(tmp_path, regression).model.config.num_labels == 1
    with pytest.raises(KselectError, match="predicts a score, synthetic-acceptability has 2"):
        load_classifier(tmp_path, tiny_task())
    with pytest.raises(KselectError, match="predicts 2 labels, length asks for a score"):
        load_classifier(saved, regression)


def head(student: Classifier) -> torch.Tensor:
    return student.model.get_parameter("classifier.weight")


def test_a_student_keeps_a_head_for_its_labels_and_gets_one_otherwise(saved: Path, tmp_path: Path) -> None:
    task, other = tiny_task(), tiny_task("synthetic-entailment")
    trained = tiny_classifier(task)
    assert torch.equal(head(load_student(saved, task)), head(trained))
    one, again, another = (load_student(saved, other, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(head(one), head(again))
    assert not torch.equal(head(one), head(another))
    assert one.model.config.id2label == dict(enumerate(other.labels))
    save_encoder(trained, tmp_path)
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
        with pytest.raises(KselectError, match=r"is not a whole bert encoder: bert.encoder.layer.2"):
            load(tmp_path, tiny_task())


@pytest.mark.parametrize(
    "size", [{"vocab_size": 90}, {"intermediate_size": 64}, {"hidden_size": 32}, {"max_position_embeddings": 64}]
)
@pytest.mark.parametrize("load", [load_encoder, load_student, load_classifier])
def test_weights_that_do_not_fit_their_config_are_refused(
    load: Callable[[Path, Task], Classifier], size: dict[str, int], tmp_path: Path
) -> None:
    tiny_classifier(tiny_task()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **size}))
    with pytest.raises(KselectError, match=r"is not a whole bert encoder: bert\.e.* would be random"):
        load(tmp_path, tiny_task())


def test_a_former_regression_learns_classes_as_classes(tmp_path: Path) -> None:
    classifier("bert", tiny_regression()).save_pretrained(tmp_path)
    for load in (load_encoder, load_student):
        assert load(tmp_path, tiny_task()).model.config.problem_type == "single_label_classification"


def test_a_pretrained_head_is_kept_and_a_fine_tuned_one_is_not(tmp_path: Path) -> None:
    task = tiny_task()
    tuned = classifier("modernbert", task)
    assert isinstance(tuned.model.config, ModernBertConfig)
    pretrained = ModernBertForMaskedLM(tuned.model.config)
    with torch.no_grad():
        pretrained.head.dense.weight.fill_(0.5)
    for name, model in (("tuned", tuned.model), ("pretrained", pretrained)):
        model.save_pretrained(tmp_path / name)
        tuned.tokenizer.save_pretrained(tmp_path / name)
    one, again = (load_encoder(tmp_path / "pretrained", task, seed=1).model for _ in range(2))
    assert torch.equal(one.get_parameter("head.dense.weight"), pretrained.head.dense.weight)
    assert torch.equal(one.get_parameter("classifier.weight"), again.get_parameter("classifier.weight"))
    assert not torch.equal(
        one.get_parameter("classifier.weight"),
        load_encoder(tmp_path / "pretrained", task, 2).model.get_parameter("classifier.weight"),
    )
    assert not torch.equal(
        load_encoder(tmp_path / "tuned", task).model.get_parameter("head.dense.weight"),
        tuned.model.get_parameter("head.dense.weight"),
    )


@pytest.mark.parametrize("architecture", UNTOLD)
def test_an_encoder_without_a_range_for_its_weights_gets_a_head_too(architecture: str, tmp_path: Path) -> None:
    task = tiny_task()
    made = UNTOLD[architecture](task)
    made.save_pretrained(tmp_path)
    one, again, other = (output_layer(load_encoder(tmp_path, task, seed).model).weight for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.std() < 0.04


UNREACHABLE = """
import time
from kselect.errors import KselectError
from kselect.models.loading import load_classifier
from tests.tiny import tiny_task
print(load_classifier("somebody/cached", tiny_task()).layers)
start = time.perf_counter()
try:
    load_classifier("nobody/nothing", tiny_task())
except KselectError as error:
    print(time.perf_counter() - start, error)
"""


@pytest.mark.slow
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


def test_a_regressions_answers_start_at_the_mean_score(saved: Path) -> None:
    task = tiny_regression()
    bias = load_encoder(saved, task).model.get_parameter("classifier.bias")
    assert bias.tolist() == pytest.approx([sum(task.splits["train"].labels) / len(task.splits["train"])])


def test_the_folder_of_a_run_is_not_its_model(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(saved)
    with pytest.raises(KselectError, match=r"Give .*/model, where that run saved it"):
        load_classifier(tmp_path, tiny_task())
