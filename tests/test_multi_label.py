"""Texts with several labels, end to end: read, held out, learned, rewarded, reported and predicted label by label."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import f1_score
from torch.nn.functional import binary_cross_entropy_with_logits

import kselect
from kselect.cli.main import main
from kselect.config import KnowledgeConfig, TaskConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.measure import measure_facts
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.export.comparison import TOLERANCE
from kselect.models.heads import LabelsAnswer
from kselect.models.loading import load_classifier
from kselect.models.shrink import shrink
from kselect.tasks import Split, TextTask, build_task
from kselect.tasks.contributions import score_contributions
from kselect.tasks.metrics import score
from kselect.tasks.registry import make_task
from kselect.tasks.synthetic.lexicon import ADJECTIVES, NOUNS
from tests.tiny import tiny_classifier

LABELS = ("adjective", "long", "noun")


def rows(count: int = 120) -> tuple[list[str], list[tuple[int, ...]]]:
    """Texts of adjectives, nouns or both, short and long."""
    random = np.random.default_rng(0)
    texts: list[str] = []
    labels: list[tuple[int, ...]] = []
    for _ in range(count):
        has = random.integers(0, 2, 3)
        words = [*random.choice(ADJECTIVES, 1 + 2 * has[1])] if has[0] else []
        words += [*random.choice([noun[0] for noun in NOUNS], 1 + 2 * has[1])] if has[2] else []
        texts.append(" ".join(words) or "the")
        labels.append((int(has[0]), int(has[1] and len(words) > 0), int(has[2])))
    return texts, labels


def made_task() -> TextTask:
    texts, labels = rows()
    splits = {"train": Split(texts, None, labels)}
    return build_task("several", LABELS, splits, ["micro_f1", "macro_f1"], reward_fraction=0.2, multi_label=True)


def random_answers(seed: int, count: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, 3, generator=generator)
    return logits, (torch.rand(count, 3, generator=generator) > 0.5).long()


def test_gold_loss_is_binary_cross_entropy() -> None:
    logits, labels = random_answers(0)
    direct = binary_cross_entropy_with_logits(logits, labels.float(), reduction="none").mean(1)
    torch.testing.assert_close(LabelsAnswer(logits).gold_loss(labels), direct)
    assert torch.equal(LabelsAnswer(logits).predict(), (torch.sigmoid(logits) > 0.5).long())
    unknown = labels.clone()
    unknown[0] = -100
    assert LabelsAnswer(logits).gold_loss(unknown)[0] == 0


def test_losses_of_a_run_are_those_of_independent_labels() -> None:
    task = made_task()
    teacher = tiny_classifier(task)
    assert teacher.model.config.problem_type == "multi_label_classification"
    kinds = ["gold", "logits", "reverse-kl", "hidden"]
    training = TrainingConfig(batch_size=8, epochs=1, precision="fp32")
    run = Distiller(task, teacher, shrink(teacher, 2), training, KnowledgeConfig(knowledge=kinds), max_length=32)
    batch = run.encoded("train").batch(run._probe_sample())
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        z, t = (each.model.eval()(**inputs).logits for each in (run.student, teacher))
    p, q = torch.sigmoid(t / 2), torch.sigmoid(z / 2)
    forward = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    reverse = (q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()).mean()
    gold = binary_cross_entropy_with_logits(z, batch["labels"].float())
    expected = {"gold": float(gold), "logits": 4 * float(forward), "reverse-kl": 4 * float(reverse)}
    assert {name: run.initial_losses[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    for kind in ("kd-pt", "kd-sim", "marginals"):
        with pytest.raises(KselectError, match=f"knowledge {kind} "):
            Distiller(task, teacher, shrink(teacher, 2), training, KnowledgeConfig(knowledge=["gold", kind]))


def test_metrics_and_contributions_are_scikit_learns() -> None:
    predicted, gold = (random_answers(seed)[1].numpy() for seed in (1, 2))
    names = ["micro_f1", "macro_f1"]
    found = score(names, predicted, gold)
    for name in names:
        assert found[name] == pytest.approx(f1_score(gold, predicted, average=name[:5], zero_division=0))
        contributions = score_contributions([name], predicted, gold)
        n = len(gold)
        without = np.array([score([name], np.delete(predicted, i, 0), np.delete(gold, i, 0))[name] for i in range(n)])
        assert contributions == pytest.approx(found[name] + (n - 1) * (without.mean() - without))


def test_a_student_learns_labels_under_an_agent() -> None:
    task = made_task()
    assert task.uninformed_loss == pytest.approx(np.log(2))
    teacher = tiny_classifier(task)
    training = TrainingConfig(batch_size=8, epochs=6, learning_rate=3e-3, precision="fp32")
    run = Distiller(task, teacher, shrink(teacher, 2), training, KnowledgeConfig(["gold", "logits"]), max_length=32)
    disagreement = measure_facts(run).disagreement
    assert disagreement is not None
    assert 0 < disagreement < 1
    env = DistillationEnv(run, actions="hard")
    agent = kselect.ActorCritic(env.observation_space, env.action_space)
    before = run.evaluate("reward").loss
    result = kselect.rollout(agent, env, learning=True)
    assert set(result.metrics) == {"micro_f1", "macro_f1", "score", "loss"}
    assert run.evaluate("reward").loss < before


def test_probabilities_in_columns_are_of_each_label(tmp_path: Path) -> None:
    texts, labels = rows(60)
    answers = {"a": 0.9, "l": 0.8, "n": 0.0}
    named = [[name for name, has in zip(LABELS, row, strict=True) if has] for row in labels]
    lines = [{"text": text, "label": names, **answers} for text, names in zip(texts, named, strict=True)]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    columns: dict[str, Any] = {"text_columns": ["text"], "teacher_columns": list(answers), "labels": list(LABELS)}
    config = TaskConfig(train_file=str(path), multi_label=True, **columns)
    task = make_task(config)
    assert expit(task.splits["train"].teacher_logits[0]) == pytest.approx([0.9, 0.8, 0.0])
    assert task.splits["train"].labels[0] in set(labels)
    (tmp_path / "train.jsonl").write_text(path.read_text().replace("0.9", "1.9"))
    with pytest.raises(KselectError, match="which are not between 0 and 1"):
        make_task(config)
    with pytest.raises(KselectError, match="expected one text or number"):
        make_task(replace(config, multi_label=False, teacher_columns=None))


def test_models_of_one_label_and_of_several_are_told_apart(tmp_path: Path) -> None:
    several = made_task()
    one = replace(several, multi_label=False, splits={"dev": Split(["a", "b"], None, [0, 1])}, metrics=("accuracy",))
    for here, there in ((several, one), (one, several)):
        tiny_classifier(here).save_pretrained(tmp_path)
        with pytest.raises(KselectError, match="_label_classification: give a model fine-tuned on several"):
            load_classifier(tmp_path, there)
    assert load_classifier(tmp_path, one).head.name == "classes"


@pytest.mark.slow
def test_an_export_answers_label_by_label(tmp_path: Path) -> None:
    texts, labels = rows(40)
    named = [[name for name, has in zip(LABELS, row, strict=True) if has] for row in labels]
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in zip(texts, named, strict=True)))
    tiny_classifier(made_task(), layers=1).save_pretrained(tmp_path / "model")
    data = ["--train_file", str(train), "--text_columns", "text", "--multi_label", "--output", str(tmp_path / "onnx")]
    assert main(["export", str(tmp_path / "model"), *data]) == 0
    results = json.loads((tmp_path / "onnx" / "results.json").read_text())["forms"]
    assert results["model.onnx"]["difference"] <= TOLERANCE
    assert results["model.onnx"]["changed"] == 0
    command = [sys.executable, "predict.py"]
    answer = subprocess.run(command, cwd=tmp_path / "onnx", input=f"{texts[0]}\n", capture_output=True, text=True)
    expected = kselect.load(tmp_path / "model", precision="fp32").predict_proba(texts[:1])[0]
    assert json.loads(answer.stdout) == pytest.approx(dict(zip(LABELS, expected.tolist(), strict=True)), abs=1e-5)


def test_a_model_without_a_run_says_that_it_has_several_labels(tmp_path: Path) -> None:
    texts, _ = rows(20)
    (tmp_path / "new.csv").write_text("\n".join(["text", *texts]) + "\n")
    tiny_classifier(made_task(), layers=1).save_pretrained(tmp_path / "model")
    given = ["--test_file", str(tmp_path / "new.csv"), "--text_columns", "text", "--precision", "fp32"]
    assert main(["predict", str(tmp_path / "model"), *given, "--output", str(tmp_path / "out.tsv")]) == 0
    _, *lines = (tmp_path / "out.tsv").read_text().splitlines()
    expected = kselect.load(tmp_path / "model", precision="fp32").predict(texts)
    assert [line.split("\t")[1] for line in lines] == [",".join(names) for names in expected]


def test_the_chain_from_a_file_with_separators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts, labels = rows(80)
    cells = [";".join(name for name, has in zip(LABELS, row, strict=True) if has) for row in labels]
    train = tmp_path / "train.tsv"
    train.write_text("text\tlabel\n" + "".join(f"{text}\t{cell}\n" for text, cell in zip(texts, cells, strict=True)))
    data: list[Any] = ["--train_file", str(train), "--text_columns", "text", "--multi_label", "--label_separator", ";"]
    small = ["--epochs", "1", "--batch_size", "8", "--precision", "fp32", "--runs_dir", str(tmp_path)]
    teacher = tmp_path / "teacher"
    tiny_classifier(made_task(), layers=2).save_pretrained(teacher)
    assert main(["train-teacher", *data, "--encoder", str(teacher), *small, "--run_name", "t"]) == 0
    student = ["--teacher", str(tmp_path / "t" / "model"), "--layers", "1", "--agent", "vanilla-kd", "--run_name", "s"]
    assert main(["distill", *data, *student, *small]) == 0
    results = json.loads((tmp_path / "s" / "results.json").read_text())
    assert {"micro_f1", "macro_f1"} <= set(results["metrics"])
    assert set(results["constant"]) == {"micro_f1", "macro_f1", "score"}
    assert main(["evaluate", str(tmp_path / "s")]) == 0
    predicted = tmp_path / "predicted.tsv"
    assert (
        main(["predict", str(tmp_path / "s"), "--test_file", str(train), "--output", str(predicted), "--probabilities"])
        == 0
    )
    header, *lines = (line.split("\t") for line in predicted.read_text().splitlines())
    assert header == ["index", "prediction", *(f"p({label})" for label in LABELS)]
    for _, names, *shares in lines:
        assert set(names.split(",")) - {""} == {
            label for label, share in zip(LABELS, shares, strict=True) if float(share) > 0.5
        }
    capsys.readouterr()
    assert main(["doctor", *data, *student[:4], "--runs_dir", str(tmp_path)]) == 2
    assert "The doctor reads one label for each text" in capsys.readouterr().err
