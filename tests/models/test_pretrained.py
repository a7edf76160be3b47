"""Checkpoints that cannot be used as they are: each is one line that says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kselect.errors import KselectError
from kselect.models.loading import load_classifier, load_encoder, load_student
from tests.tiny import tiny_classifier, tiny_task


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def patch(folder: Path, drop: tuple[str, ...] = (), **entries: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    config = {name: value for name, value in {**config, **entries}.items() if name not in drop}
    (folder / "config.json").write_text(json.dumps(config))


def refusal(folder: Path) -> str:
    """Return the one line with which all three ways of loading refuse a folder."""
    lines = set()
    for load in (load_classifier, load_encoder, load_student):
        with pytest.raises(KselectError) as caught:
            load(folder, tiny_task())
        lines.add(str(caught.value))
    (line,) = lines
    assert "\n" not in line
    return line


def test_load_pretrained_never_runs_code_of_a_model(saved: Path) -> None:
    ran = saved.parent / "ran"
    (saved / "conf.py").write_text(f"open({str(ran)!r}, 'w')\n")
    patch(saved, model_type="mine", auto_map={"AutoConfig": "conf.C", "AutoModelForSequenceClassification": "conf.M"})
    assert "needs its own code, which is never run (conf.C, conf.M)" in refusal(saved)
    assert not ran.exists()
    patch(saved, model_type="bert")  # whose class transformers has
    load_classifier(saved, tiny_task())
    assert not ran.exists()


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq"])
def test_load_pretrained_refuses_quantised_models(method: str, saved: Path) -> None:
    patch(saved, quantization_config={"quant_method": method, "bits": 4, "load_in_8bit": True})
    assert refusal(saved) == f"{saved} is quantised ({method}): give the checkpoint that it was made from."


def test_load_pretrained_refuses_adapters(saved: Path, tmp_path: Path) -> None:
    adapter = {"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased"}
    (tmp_path / "lora").mkdir()
    for folder in (tmp_path / "lora", saved):
        (folder / "adapter_config.json").write_text(json.dumps(adapter))
        save_file({"base_model.model.classifier.weight": torch.zeros(2, 16)}, folder / "adapter_model.safetensors")
        line = refusal(folder)
        assert "merge it into bert-base-uncased with peft's merge_and_unload" in line
    assert "next to a whole model" in line


def test_load_tokenizer_refuses_tokens_without_an_embedding(saved: Path) -> None:
    tokenizer = tiny_classifier(tiny_task()).tokenizer
    tokenizer.add_tokens(["[E1]", "[/E1]"], special_tokens=True)
    tokenizer.save_pretrained(saved)
    line = refusal(saved)
    assert "has 2 tokens beyond the" in line
    assert "([/E1], [E1])" in line


def test_load_classifier_uses_label2id_alone(saved: Path) -> None:
    task = tiny_task()
    weight = tiny_classifier(task).model.get_parameter("classifier.weight")
    unacceptable, acceptable = task.labels
    patch(saved, drop=("id2label",), label2id={unacceptable: 1, acceptable: 0})
    assert torch.equal(load_classifier(saved, task).model.get_parameter("classifier.weight"), weight[[1, 0]])


def test_load_classifier_refuses_label_names_that_contradict_each_other(saved: Path) -> None:
    unacceptable, acceptable = tiny_task().labels
    patch(saved, label2id={unacceptable: 1, acceptable: 0})
    with pytest.raises(KselectError, match=r"label 0 is 'unacceptable' by id2label, and 'acceptable' by label2id"):
        load_classifier(saved, tiny_task())
    patch(saved, label2id={unacceptable: 0})
    with pytest.raises(KselectError, match=r"label 1 is 'acceptable' by id2label, and missing by label2id"):
        load_classifier(saved, tiny_task())
    patch(saved, label2id={"LABEL_0": 0, "LABEL_1": 1})  # what a tool leaves that names id2label alone
    load_classifier(saved, tiny_task())
