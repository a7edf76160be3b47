"""KSelectTrainer: the losses of the Distiller, the plan of the agent, and all else that of transformers' Trainer."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

from kselect.agents.registry import make_agent
from kselect.config import AgentConfig, KnowledgeConfig, PhaseConfig, TrainingConfig
from kselect.distillation.callback import DistillerCallback, MicroBatch
from kselect.distillation.distiller import Distiller
from kselect.envs.actions import action_space
from kselect.envs.observation import observation_space
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from kselect.recipes.policies import build_policy
from kselect.tasks.encoded_task import build_encoded_task
from kselect.training.api import run_episode
from kselect.training.trainer import KSelectTrainer
from tests.tiny import tiny_classifier, tiny_task

MAX_LENGTH = 32


class Totals(DistillerCallback):
    """Remembers the loss of every micro-batch."""

    def __init__(self) -> None:
        self.totals: list[float] = []

    def on_losses(self, micro_batch: MicroBatch, total: torch.Tensor) -> None:
        self.totals.append(total.mean().item())


@cache
def rows(name: str = "synthetic-acceptability") -> list[dict[str, Any]]:
    task = tiny_task(name)
    encoded = task.encode(task.splits["train"], tiny_classifier(task).tokenizer, MAX_LENGTH)
    return [
        {"input_ids": ids.tolist(), "attention_mask": [1] * len(ids), "labels": label.item()}
        for ids, label in zip(encoded.input_ids, encoded.labels, strict=True)
    ]


def pair(dropout: float = 0.0, hidden_size: int | None = None) -> tuple[Classifier, Classifier]:
    task = tiny_task()
    teacher = tiny_classifier(task, dropout=dropout)
    narrow = None if hidden_size is None else tiny_classifier(task, 2, seed=1, dropout=dropout, hidden_size=hidden_size)
    return teacher, narrow or shrink(teacher, 2)


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    settings: dict[str, Any] = {
        "per_device_train_batch_size": 8,
        "max_steps": 6,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return TrainingArguments(str(folder), **{**settings, **changes})


def logged(trainer: Trainer, name: str = "loss") -> list[float]:
    return [record[name] for record in trainer.state.log_history if name in record]


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("agent", "kinds"),
    [
        ("fine-tune", None),
        ("vanilla-kd", None),
        ("pkd", None),
        ("dynamic-kd", None),
        ("uncertainty", ["gold", "logits", "hidden"]),
        ("gold:1,logits:0.5,hidden:0.25,attention:1", None),
        ("relations:1,value-relations:0.5", None),
        ("reverse-kl:1,label-smoothing:0.5", None),
    ],
)
def test_first_loss_is_that_of_the_distiller(agent: str, kinds: list[str] | None, tmp_path: Path) -> None:
    teacher, student = pair()
    twin, examples = copy.deepcopy(student), rows()
    trainer = KSelectTrainer(
        student,
        arguments(tmp_path, max_steps=1, per_device_train_batch_size=len(examples)),
        teacher=teacher,
        agent=agent,
        knowledge=kinds,
        train_dataset=examples,
    )
    trainer.train()
    assert trainer.setup is not None
    assert trainer.setup.plan is not None
    assert isinstance(trainer._offered, KnowledgeConfig)
    training = TrainingConfig(epochs=1, batch_size=len(examples), precision="fp32")
    offered = replace(trainer._offered, teacher_cache=0)  # which is in half precision
    distiller = Distiller(tiny_task(), teacher, twin, training, offered, max_length=MAX_LENGTH)
    totals = Totals()
    distiller.callbacks.append(totals)
    distiller.scales = trainer.setup.loss.scales  # measured on another sample of the examples
    distiller.advance(trainer.setup.plan[0], 1)
    assert logged(trainer) == pytest.approx(totals.totals, rel=1e-5)


def test_fine_tune_is_the_plain_trainer(tmp_path: Path) -> None:
    teacher, student = pair(dropout=0.1)
    twin = copy.deepcopy(student)
    options: dict[str, Any] = {"train_dataset": rows(), "eval_dataset": rows()[:16]}
    changes: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 3}
    ours = KSelectTrainer(student, arguments(tmp_path, **changes), teacher=teacher, agent="fine-tune", **options)
    ours.train()
    plain = Trainer(twin.model, arguments(tmp_path, **changes), processing_class=twin.tokenizer, **options)
    plain.train()
    assert logged(ours) == pytest.approx(logged(plain), rel=1e-5)
    assert logged(ours, "eval_loss") == pytest.approx(logged(plain, "eval_loss"), rel=1e-5)
    for name, value in weights_of(plain.model).items():
        torch.testing.assert_close(weights_of(ours.model)[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_scores_and_several_labels(problem: str, tmp_path: Path) -> None:
    task, numbers = tiny_task(), np.random.default_rng(0)
    labels = (
        numbers.random(len(rows())) if problem == "regression" else numbers.integers(2, size=(len(rows()), 3)) * 1.0
    )
    examples = [{**row, "labels": label} for row, label in zip(rows(), labels.tolist(), strict=True)]
    config = copy.deepcopy(tiny_classifier(task, dropout=0.0).model.config)
    config.num_labels = labels.ndim * 2 - 1
    config.update({"problem_type": problem})
    torch.manual_seed(0)
    teacher, student = (AutoModelForSequenceClassification.from_config(config) for _ in range(2))
    tokenizer, args = tiny_classifier(task).tokenizer, arguments(tmp_path, max_steps=3)
    plain = Trainer(copy.deepcopy(student), args, processing_class=tokenizer, train_dataset=examples)
    plain.train()
    options: dict[str, Any] = {"teacher": teacher, "processing_class": tokenizer, "train_dataset": examples}
    distilled = KSelectTrainer(copy.deepcopy(student), args, agent="vanilla-kd", **options)
    distilled.train()
    assert all(loss > 0 for loss in logged(distilled, "loss/logits"))
    ours = KSelectTrainer(student, args, agent="fine-tune", **options)
    ours.train()
    assert logged(ours) == pytest.approx(logged(plain), rel=1e-5)


def test_accumulated_batches_are_one(tmp_path: Path) -> None:
    teacher, student = pair()
    losses = []
    for batch_size, accumulation in ((64, 1), (16, 4)):
        trainer = KSelectTrainer(
            copy.deepcopy(student),
            arguments(
                tmp_path,
                max_steps=2,
                per_device_train_batch_size=batch_size,
                gradient_accumulation_steps=accumulation,
                lr_scheduler_type="constant",
            ),
            teacher=teacher,
            agent="vanilla-kd",
            train_dataset=rows()[:64],
        )
        trainer.train()
        losses.append(logged(trainer))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_schedule_switches_at_its_step(tmp_path: Path) -> None:
    teacher, student = pair()
    stages = [{"until": 0.5, "weights": {"hidden": 1}}, {"weights": {"gold": 1, "logits": 1}}]
    trainer = KSelectTrainer(
        student,
        arguments(tmp_path),
        teacher=teacher,
        agent="schedule",
        agent_settings={"stages": stages},
        train_dataset=rows(),
    )
    trainer.train()
    assert logged(trainer, "weight/hidden") == [1, 1, 1, 0, 0, 0]
    assert logged(trainer, "weight/gold") == [0, 0, 0, 0.5, 0.5, 0.5]
    assert len(logged(trainer, "loss/hidden")) == len(logged(trainer, "loss/logits")) == 3


def test_auto_chooses_by_facts(tmp_path: Path) -> None:
    teacher, student = pair()
    trainer = KSelectTrainer(student, arguments(tmp_path), teacher=teacher, train_dataset=rows())
    trainer.train()
    assert trainer.setup is not None
    assert trainer.setup.chosen is not None
    assert trainer.setup.plan is not None
    assert trainer.setup.plan.shape == (6, len(trainer.setup.loss.names))


@pytest.mark.parametrize("agent", ["vanilla-kd", "tinybert", "random-soft", "auto"])
def test_plan_is_that_of_a_distillers_run(agent: str, tmp_path: Path) -> None:
    teacher, student = pair()
    twin, steps = copy.deepcopy(student), 20
    trainer = KSelectTrainer(
        student, arguments(tmp_path, max_steps=steps), teacher=teacher, agent=agent, train_dataset=rows()
    )
    trainer.train()
    task = build_encoded_task(rows(), ("no", "yes"), multi_label=False)
    epochs = steps / -(-len(task.splits["train"]) // 8)
    training = TrainingConfig(epochs=epochs, batch_size=8, learning_rate=1e-3, precision="fp32")
    assert isinstance(trainer._offered, KnowledgeConfig)
    offered = replace(trainer._offered, teacher_cache=0)
    distiller = Distiller(task, teacher, twin, training, offered, max_length=task.longest)
    setup = build_policy(AgentConfig(agent), distiller, PhaseConfig(), trainer.args.seed)
    run_episode(setup.agent, setup.env, seed=0, learning=False)
    taken = [np.tile(weights, (phase, 1)) for phase, weights in setup.env.selections]
    assert trainer.setup is not None
    assert trainer.episode is None
    np.testing.assert_array_equal(trainer.setup.plan, np.concatenate(taken).astype(np.float32))


def test_an_agent_that_was_made_selects(tmp_path: Path) -> None:
    teacher, student = pair()
    names = ("gold", "logits")
    agent = make_agent("fixed", observation_space(2), action_space("soft", 2), names, weights={"logits": 1})
    trainer = KSelectTrainer(student, arguments(tmp_path), teacher=teacher, agent=agent, train_dataset=rows())
    trainer.train()
    assert logged(trainer, "weight/logits") == [1] * 6


def test_resumed_is_straight_with_projections(tmp_path: Path) -> None:
    teacher, first = pair(dropout=0.1, hidden_size=8)
    students = [first, copy.deepcopy(first)]
    trainers = [
        KSelectTrainer(
            student,
            arguments(tmp_path / "straight", save_strategy="steps", save_steps=3, save_total_limit=5),
            teacher=teacher,
            agent="uncertainty",
            knowledge=["gold", "logits", "hidden"],
            train_dataset=rows(),
        )
        for student in students
    ]
    trainers[0].train()
    assert first.model.config._attn_implementation == "sdpa"
    assert first.training_texts is None
    trainers[1].train(resume_from_checkpoint=str(tmp_path / "straight" / "checkpoint-3"))
    straight, resumed = (weights_of(trainer.model) for trainer in trainers)
    assert not any(name.startswith("kselect") for name in straight)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    checkpoint = load_file(tmp_path / "straight" / "checkpoint-3" / "model.safetensors")
    assert trainers[0].setup is not None
    assert {name for name in checkpoint if name not in straight} == {
        f"kselect.{name}" for name, _ in trainers[0].setup.loss.trained.named_parameters()
    }
    moved = [parameter.abs().sum().item() for parameter in trainers[0].setup.loss.trained["weighting"].parameters()]
    assert all(moved)
    trainers[0].save_model(str(tmp_path / "student"))
    loaded, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "student", output_loading_info=True)
    assert not info["unexpected_keys"]
    assert not info["missing_keys"]
    assert all(torch.equal(value, straight[name]) for name, value in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agent": "actor-critic"}, "no policy yet"),
        ({"agent": "vanila-kd"}, "vanilla-kd"),
        ({"agent": "vanilla-kd", "knowledge": ["gold"]}, "not on offer"),
        ({"model_init": lambda: None}, "leave out model_init"),
        ({"teacher": 3}, "teacher"),
    ],
)
def test_what_cannot_select_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    teacher, student = pair()
    with pytest.raises(KselectError, match=message):
        KSelectTrainer(
            student,
            arguments(tmp_path),
            **{"teacher": teacher, "agent": "vanilla-kd", "train_dataset": rows(), **options},
        )


@pytest.mark.parametrize("changes", [{"label_smoothing_factor": 0.1}, {"auto_find_batch_size": True}])
def test_settings_without_effect_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    teacher, student = pair()
    with pytest.raises(KselectError, match=next(iter(changes))):
        KSelectTrainer(student, arguments(tmp_path, **changes), teacher=teacher, train_dataset=rows())


def test_activation_checkpointing_where_attention_is_not_read(tmp_path: Path) -> None:
    losses = []
    for changes in ({}, {"activation_checkpointing": True}):
        teacher, student = pair()
        options: dict[str, Any] = {"teacher": teacher, "train_dataset": rows()}
        args = arguments(tmp_path, max_steps=2, **changes)
        trainer = KSelectTrainer(student, args, agent="gold:1,hidden:1", **options)
        trainer.train()
        losses.append(logged(trainer))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    with pytest.raises(KselectError, match="computes attention again"):
        KSelectTrainer(student, args, agent="gold:1,attention:1", **options).train()


def test_a_teacher_of_other_tokens_is_refused(tmp_path: Path) -> None:
    teacher, student = pair()
    teacher.model.config.vocab_size += 1
    with pytest.raises(KselectError, match="one tokenizer"):
        KSelectTrainer(student, arguments(tmp_path), teacher=teacher.model, agent="vanilla-kd", train_dataset=rows())


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    teacher, student = pair()
    teacher.save_pretrained(tmp_path / "teacher")
    file = tmp_path / "teacher" / "model.safetensors"
    save_file({name: torch.zeros_like(value) for name, value in load_file(file).items()}, file, {"format": "pt"})
    with pytest.raises(KselectError, match="is damaged, or not the file that was saved"):
        KSelectTrainer(student, arguments(tmp_path), teacher=str(tmp_path / "teacher"), train_dataset=rows())


def test_copies_of_an_example_are_held_out_together() -> None:
    copied = [*rows(), *rows()]
    task = build_encoded_task(copied, ("no", "yes"), multi_label=False)
    train, held_out = (set(task.splits[name].text_a) for name in ("train", "reward"))
    assert train.isdisjoint(held_out)
    kept = [" ".join(map(str, copied[row]["input_ids"])) for row in task.train_rows]
    assert kept == task.splits["train"].text_a
    with pytest.raises(KselectError, match="different examples"):
        build_encoded_task(rows()[:1] * 8, ("no", "yes"), multi_label=False)


def test_the_same_examples_are_measured_each_time() -> None:
    tasks = [build_encoded_task(rows(), ("no", "yes"), multi_label=False) for _ in range(2)]
    sizes = {name: len(split) for name, split in tasks[0].splits.items()}
    assert sizes["train"] + sizes["reward"] == len(rows())
    assert tasks[0].splits == tasks[1].splits
    encoded = tasks[0].encode(tasks[0].splits["reward"], pair()[0].tokenizer, MAX_LENGTH)
    known = {tuple(row["input_ids"]): row["labels"] for row in rows()}
    for ids, label in zip(encoded.input_ids, encoded.labels, strict=True):
        assert known[tuple(np.asarray(ids).tolist())] == label
