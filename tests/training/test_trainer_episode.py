"""KSelectTrainer under agents that decide within the run: the episode is that of a DistillationEnv."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Subset
from transformers import TrainerCallback, TrainerControl

from kselect.agents.agent import Agent, Observation
from kselect.agents.learner import Learner
from kselect.agents.registry import make_agent, wants_soft
from kselect.config import AgentConfig, KnowledgeConfig, PhaseConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.divergence import TrainingDivergedError
from kselect.distillation.learning_rate import LearningRate
from kselect.distillation.optimizer import make_optimizer
from kselect.distillation.snapshot import Snapshot
from kselect.envs.actions import action_space
from kselect.envs.distillation import DistillationEnv
from kselect.envs.observation import observation_space
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from kselect.recipes.policies import build_policy
from kselect.tasks.encoded_task import build_encoded_task
from kselect.training.api import run_episode
from kselect.training.episode_callback import FILE
from kselect.training.trainer import KSelectTrainer
from tests.training.test_trainer import arguments, logged, pair, rows, weights_of

LABELS = ("no", "yes")
KNOWLEDGE = KnowledgeConfig(knowledge=["gold", "logits", "hidden"], teacher_cache=0)
STEPS = 24
PEAK = 2**-10  # so that a share of it is exact


class OnlyGold(Agent):
    """Selects gold labels whatever it sees, and remembers it."""

    actions: ClassVar[tuple[str, ...]] = ("hard",)

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        return np.eye(1, self.rows, dtype=np.int8)[0]


class SameBatches(KSelectTrainer):
    """Reads the batches of a distiller's run, in their order."""

    batches: list[list[int]]

    def get_train_dataloader(self) -> Any:
        assert self.train_dataset is not None
        return DataLoader(self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator)


class StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **kwargs: Any) -> None:
        control.should_training_stop |= state.global_step == self.step


def moody_policy(name: str, folder: Path, env: DistillationEnv) -> Path:
    """Save a policy that changes its mind a lot: networks far from where they start."""
    agent = make_agent(name, env.observation_space, env.action_space, env.names, seed=1)
    assert isinstance(agent, Learner)
    assert agent.reads_state
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in agent.modules.values():
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator))
    agent.save(folder)
    return folder


def batches_of(distiller: Distiller, seed: int) -> Iterator[list[int]]:
    distiller.reset(seed)
    for _ in range(distiller.total_steps):
        yield distiller._state.sampler.next_batch(())[0].tolist()


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("actor-critic", PhaseConfig(phases="adaptive", phase_steps=2)),
        ("deterministic-actor-critic", PhaseConfig(reward_every=2, observe_facts=True)),
        pytest.param("paper", PhaseConfig(phases="constant"), marks=pytest.mark.slow),
        pytest.param("online", PhaseConfig(), marks=pytest.mark.slow),
        pytest.param("online-soft", PhaseConfig(), marks=pytest.mark.slow),
    ],
)
def test_an_episode_is_that_of_the_environment(name: str, phases: PhaseConfig, tmp_path: Path) -> None:
    teacher, student = pair()
    twin = copy.deepcopy(student)
    task = build_encoded_task(rows(), LABELS, multi_label=False)
    per_epoch = -(-len(task.splits["train"]) // 8)
    training = TrainingConfig(epochs=STEPS / per_epoch, batch_size=8, learning_rate=PEAK, precision="fp32")
    distiller = Distiller(task, teacher, twin, training, KNOWLEDGE, max_length=task.longest)
    agent = name
    if not name.startswith("online"):
        soft = wants_soft(name)
        env = DistillationEnv(distiller, "soft" if soft else "hard", phases, observe_cls=name == "paper")
        agent = str(moody_policy(name, tmp_path / "policy", env))
    args = arguments(tmp_path, max_steps=STEPS)
    batches = list(batches_of(distiller, args.seed))
    setup = build_policy(AgentConfig(agent), distiller, phases, args.seed)
    episode = run_episode(setup.agent, setup.env, seed=args.seed, learning=setup.learning)

    optimizer, rate = make_optimizer(student.model, PEAK, training.weight_decay), LearningRate(training, STEPS)
    encoded = distiller.encoded("train")
    positions = {tuple(ids.tolist()): position for position, ids in enumerate(encoded.input_ids)}
    trainer = SameBatches(
        student,
        args,
        data_collator=lambda examples: encoded.batch([positions[tuple(each["input_ids"])] for each in examples]),
        teacher=teacher,
        agent=agent,
        knowledge=KNOWLEDGE,
        phases=phases,
        train_dataset=rows(),
        optimizers=(optimizer, LambdaLR(optimizer, lambda step: rate(step) / rate.peak)),
    )
    trainer.batches = batches
    trainer.train()
    assert trainer.episode is not None
    assert not trainer.episode.truncated
    assert len(episode.history) > 3
    assert len({tuple(record["weights"].values()) for record in episode.history}) > 1
    assert trainer.episode.history == episode.history
    assert all(torch.equal(weights_of(student.model)[name], value) for name, value in weights_of(twin.model).items())


def online(folder: Path, student: Classifier, teacher: Classifier, agent: str = "online", **changes: Any) -> Any:
    settings = {"max_steps": STEPS, **changes}
    callbacks = settings.pop("callbacks", None)
    return KSelectTrainer(
        student,
        arguments(folder, **settings),
        teacher=teacher,
        agent=agent,
        train_dataset=rows(),
        callbacks=callbacks,
    )


@pytest.mark.parametrize("agent", ["online", "online-soft"])
def test_online_learns_within_the_run(agent: str, tmp_path: Path) -> None:
    initial: dict[str, NDArray[Any]] = {}

    class Remember(TrainerCallback):
        def on_train_begin(self, *positional: Any, **kwargs: Any) -> None:
            initial.update(trainer.setup.agent.state()[0])

    teacher, student = pair(dropout=0.1)
    trainer = online(tmp_path, student, teacher, agent, callbacks=[Remember()])
    trainer.train()
    history = trainer.episode.history
    assert sum(record["steps"] for record in history) == history[-1]["step"] == STEPS
    assert np.isfinite([record["reward"] for record in history]).all()
    assert sum(record["reward"] for record in history) == pytest.approx(history[-1]["return"])
    assert all(record["preference"] and record["state"] for record in history)
    assert logged(trainer, "reward/phase") == [record["reward"] for record in history]
    learned = trainer.setup.agent.state()[0]
    networks = [key for key in initial if not key.startswith(("memory.", "optimizer."))]
    assert any(not np.array_equal(initial[key], learned[key]) for key in networks)
    assert trainer.setup.plan is None
    assert trainer.episode.seconds.keys() >= {"student", "reward", "updating"}
    assert trainer.train_dataset == rows()


def test_what_is_measured_on_is_not_trained_on(tmp_path: Path) -> None:
    teacher, student = pair()
    trainer = online(tmp_path, student, teacher)
    seen: set[tuple[int, ...]] = set()
    collate = trainer.data_collator

    def remember(examples: list[dict[str, Any]]) -> Any:
        seen.update(tuple(example["input_ids"]) for example in examples)
        return collate(examples)

    trainer.data_collator = remember
    trainer.train()
    task = build_encoded_task(rows(), LABELS, multi_label=False)
    assert seen == {tuple(rows()[row]["input_ids"]) for row in task.train_rows}
    assert len(task.splits["reward"]) == len(rows()) - len(seen) > 1


def test_a_dataset_of_the_library_stays_one(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    lengths = []
    for given in (rows(), datasets.Dataset.from_list(rows())):
        teacher, student = pair()
        trainer = KSelectTrainer(student, arguments(tmp_path), teacher=teacher, agent="online", train_dataset=given)
        trainer.train()
        lengths.append([record["losses"] for record in trainer.episode.history])  # type: ignore[union-attr]
        assert trainer.train_dataset is given
    assert lengths[0] == lengths[1]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_measuring_and_deciding_change_nothing_else(accumulation: int, tmp_path: Path) -> None:
    teacher, student = pair(dropout=0.1)
    twin = copy.deepcopy(student)
    args = arguments(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=accumulation)
    agent = OnlyGold(observation_space(2), action_space("hard", 2))
    agent.names = ("gold", "logits")
    ours = KSelectTrainer(student, args, teacher=teacher, agent=agent, train_dataset=rows())
    ours.train()
    kept = build_encoded_task(rows(), LABELS, multi_label=False).train_rows
    # KSelectTrainer takes the mean over accumulated batches
    fine_tuned = KSelectTrainer(twin, args, agent="fine-tune", train_dataset=Subset(rows(), kept))  # type: ignore[arg-type]
    fine_tuned.train()
    assert logged(ours) == logged(fine_tuned)
    assert logged(ours, "grad_norm") == logged(fine_tuned, "grad_norm")
    assert ours.episode is not None
    grad_norms = logged(ours, "grad_norm")
    observed = [np.expm1(record["state"]["grad_norm"]) for record in ours.episode.history]
    assert observed == pytest.approx([0.0, *grad_norms][: len(observed)], rel=1e-5)


@pytest.mark.parametrize(
    ("agent", "steps"), [("online", (8,)), pytest.param("online-soft", (4, 8, STEPS), marks=pytest.mark.slow)]
)
def test_resumed_is_straight(agent: str, steps: tuple[int, ...], tmp_path: Path) -> None:
    teacher, first = pair(dropout=0.1, hidden_size=8)
    folder, saves = tmp_path / "straight", {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 9}
    straight = online(folder, copy.deepcopy(first), teacher, agent, **saves)
    straight.train()
    ends = [record["step"] for record in straight.episode.history]
    assert 4 in ends  # between two phases
    assert 8 not in ends
    for step in steps:
        resumed = online(tmp_path / str(step), copy.deepcopy(first), teacher, agent)
        resumed.train(str(folder / f"checkpoint-{step}"))
        assert resumed.episode.history == straight.episode.history
        assert resumed.episode.total_reward == straight.episode.total_reward
        expected, found = (weights_of(trainer.model) for trainer in (straight, resumed))
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        (arrays, facts), (others, other_facts) = (trainer.setup.agent.state() for trainer in (straight, resumed))
        assert facts == other_facts
        assert all(np.array_equal(array, others[name]) for name, array in arrays.items())


def test_a_checkpoint_is_whole_before_it_is_pushed_and_others_are_removed(tmp_path: Path) -> None:
    found: list[list[str]] = []

    class Watched(KSelectTrainer):
        def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
            found.append(sorted(path.name for path in Path(output_dir).glob("*.safetensors")))
            super()._save_optimizer_and_scheduler(output_dir)

    teacher, student = pair()
    args = arguments(tmp_path, save_strategy="steps", save_steps=3, save_total_limit=1)
    Watched(student, args, teacher=teacher, agent="online", train_dataset=rows()).train()
    assert found == 2 * [[FILE, "model.safetensors"]]


def test_a_checkpoint_within_a_phase_has_the_costs_of_its_steps(tmp_path: Path) -> None:
    teacher, student = pair()
    saves: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "max_steps": 3}
    trainer = online(tmp_path, student, teacher, **saves)
    trainer._phases = PhaseConfig(phases="constant", phase_steps=3)
    trainer.train()
    (costs,) = Snapshot.load(tmp_path / "checkpoint-2" / FILE).facts["costs"]
    assert 0 < costs["student"] < trainer.episode.seconds["student"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    teacher, student = pair()
    saves: dict[str, Any] = {"save_strategy": "steps", "save_steps": 5, "max_steps": 6}
    online(tmp_path, copy.deepcopy(student), teacher, **saves).train()
    checkpoint = str(tmp_path / "checkpoint-5")
    with pytest.raises(KselectError, match="other settings"):
        online(tmp_path, copy.deepcopy(student), teacher, "online-soft", **saves).train(checkpoint)
    with pytest.raises(KselectError, match="has 6 training steps, and this one 7"):
        online(tmp_path, copy.deepcopy(student), teacher, max_steps=7).train(checkpoint)
    with pytest.raises(KselectError, match="teacher or data have changed"):
        online(tmp_path, shrink(teacher, [1, 2]), teacher, max_steps=6).train(checkpoint)
    (tmp_path / "checkpoint-5" / FILE).unlink()
    with pytest.raises(KselectError, match=f"has no {re.escape(FILE)}"):
        online(tmp_path, copy.deepcopy(student), teacher, **saves).train(resume_from_checkpoint=checkpoint)


@pytest.mark.parametrize("agent", ["online", "vanilla-kd"])
def test_a_training_that_is_over_takes_no_further_step(agent: str, tmp_path: Path) -> None:
    teacher, student = pair()
    saves: dict[str, Any] = {"save_strategy": "steps", "save_steps": 6, "max_steps": 6}
    online(tmp_path, copy.deepcopy(student), teacher, agent, **saves).train()
    with pytest.raises(KselectError, match="nothing is left to resume"):  # in the middle of an epoch
        online(tmp_path, copy.deepcopy(student), teacher, agent, **saves).train(resume_from_checkpoint=True)


@pytest.mark.parametrize("step", [1, 4])
def test_a_training_that_is_stopped_ends_the_phase(step: int, tmp_path: Path) -> None:
    teacher, student = pair()
    trainer = online(tmp_path, student, teacher, callbacks=[StopAt(step)])
    trainer.train()
    assert trainer.episode.truncated
    assert trainer.episode.history[-1]["step"] == sum(record["steps"] for record in trainer.episode.history) == step


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    teacher, student = pair()
    with pytest.raises(TrainingDivergedError, match="learning_rate"):
        online(tmp_path, student, teacher, learning_rate=1e20, max_grad_norm=0.0).train()


def test_fp16_is_refused_where_gradients_are_observed(tmp_path: Path) -> None:
    teacher, student = pair()
    args = arguments(tmp_path)
    args.fp16 = True
    with pytest.raises(KselectError, match="bf16"):
        KSelectTrainer(student, args, teacher=teacher, agent="online", train_dataset=rows())


def test_a_policy_is_offered_the_knowledge_that_it_was_trained_with(tmp_path: Path) -> None:
    teacher, student = pair()
    task = build_encoded_task(rows(), LABELS, multi_label=False)
    env = DistillationEnv(Distiller(task, teacher, copy.deepcopy(student), None, KNOWLEDGE))
    policy = moody_policy("actor-critic", tmp_path / "policy", env)
    trainer = KSelectTrainer(student, arguments(tmp_path), teacher=teacher, agent=str(policy), train_dataset=rows())
    trainer.train()
    assert trainer.setup is not None
    assert trainer.setup.loss.names == ("gold", "logits", "hidden")
    assert trainer.episode is not None
    assert "agent" not in trainer.episode.history[-1]
