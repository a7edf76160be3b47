"""Callbacks see a run in order, stop it where they ask to, and change nothing of one that they only watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kselect.agents.registry import make_agent
from kselect.config import PhaseConfig
from kselect.distillation.callback import DistillerCallback, TrainingControl
from kselect.envs.distillation import DistillationEnv
from kselect.runs.checkpoint import Checkpoint
from kselect.training.api import learn, rollout
from kselect.training.runner import EpisodeRunner
from tests.tiny import tiny_distiller

HOOKS = [name for name in vars(DistillerCallback) if name.startswith("on_")]


class Recorder(DistillerCallback):
    """Records the hooks that are called, with their arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattribute__(self, name: str) -> Any:
        if name not in HOOKS:
            return super().__getattribute__(name)
        return lambda *arguments: self.calls.append((name, arguments))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def of(self, hook: str) -> list[tuple[Any, ...]]:
        return [arguments for name, arguments in self.calls if name == hook]


class Stop(DistillerCallback):
    """Stops the training in a hook when it is called for the n-th time."""

    def __init__(self, hook: str, count: int) -> None:
        self.count = count
        setattr(self, hook, self._stop)

    def _stop(self, *arguments: Any) -> None:
        self.count -= 1
        if self.count == 0:
            arguments[-1].should_training_stop = True


def make_env(**settings: Any) -> DistillationEnv:
    return DistillationEnv(tiny_distiller(), phases=PhaseConfig("constant", 3), **settings)


def make_learner(env: DistillationEnv) -> Any:
    return make_agent("actor-critic", env.observation_space, env.action_space, env.distiller.names)


def test_callbacks_are_called_in_order() -> None:
    env, recorder = make_env(), Recorder()
    episodes = learn(make_learner(env), env, 2, callbacks=[recorder])
    expected = ["on_train_begin"]
    for episode in episodes:
        expected += ["on_episode_begin", "on_rewind"]
        for record in episode.history:
            expected += ["on_phase_begin", *["on_losses", "on_step_end"] * record["steps"]]
            expected += ["on_advance_end", "on_phase_end"]
        expected.append("on_episode_end")
    assert recorder.names == [*expected, "on_train_end"]
    assert [arguments[0] for arguments in recorder.of("on_phase_end")] == [
        record for episode in episodes for record in episode.history
    ]
    assert [arguments[0] for arguments in recorder.of("on_episode_end")] == episodes
    assert [arguments[:2] for arguments in recorder.of("on_episode_begin")] == [
        (0, env.task_name),
        (1, env.task_name),
    ]
    phases = [arguments[:2] for arguments in recorder.of("on_phase_begin")]
    assert phases == [(i, record["phase"]) for i, episode in enumerate(episodes) for record in episode.history]
    steps = [arguments[0] for arguments in recorder.of("on_step_end")]
    assert steps == 2 * list(range(1, env.total_steps + 1))


def test_callbacks_of_an_environment_see_the_same() -> None:
    recorders = Recorder(), Recorder()
    own, other = make_env(callbacks=[recorders[0]]), make_env()
    for env, callbacks in ((own, []), (other, [recorders[1]])):
        rollout(make_learner(env), env, learning=True, callbacks=callbacks)
    assert recorders[0].names == recorders[1].names
    assert recorders[0].names[-2:] == ["on_train_end", "on_evaluate"]
    assert own.distiller.callbacks == [recorders[0]]
    assert other.distiller.callbacks == []


def test_a_callback_that_watches_changes_nothing() -> None:
    results = []
    for callbacks in ([], [Recorder()]):
        env = make_env()
        results.append(rollout(make_learner(env), env, learning=True, callbacks=callbacks))
    assert results[0].history == results[1].history
    assert results[0].metrics == results[1].metrics


@pytest.mark.parametrize(
    ("hook", "count", "steps"),
    [("on_step_end", 5, 5), ("on_phase_end", 2, 6), ("on_phase_begin", 2, 4), ("on_train_begin", 1, 0)],
)
def test_a_callback_stops_rollout_with_a_valid_result(hook: str, count: int, steps: int) -> None:
    env = make_env()
    result = rollout(make_learner(env), env, learning=True, callbacks=[Stop(hook, count)])
    assert result.truncated
    assert env.distiller.step == steps
    assert sum(record["steps"] for record in result.history) == steps
    assert 0 <= result.metrics["score"] <= 1
    assert result.metrics == pytest.approx(
        vars(env.distiller.evaluate("dev"))["metrics"] | {"loss": result.metrics["loss"]}
    )
    # It is asked for anew in the next run.
    whole = rollout(make_learner(env), env, learning=True)
    assert not whole.truncated
    assert sum(record["steps"] for record in whole.history) == env.total_steps


def test_a_callback_stops_learn_between_episodes() -> None:
    env = make_env()
    episodes = learn(make_learner(env), env, 3, callbacks=[Stop("on_episode_end", 2)])
    assert [episode.truncated for episode in episodes] == [False, False]


def test_on_save_is_called_with_the_checkpoint(tmp_path: Path) -> None:
    env, recorder = make_env(), Recorder()
    runner = EpisodeRunner(make_learner(env), [env], seeds=[0], learning=True, callbacks=[recorder])
    checkpoint = Checkpoint(tmp_path / "state.safetensors")
    runner.run(lambda record: runner.save(checkpoint) if record["phase"] == 1 else None)
    ((path, control),) = recorder.of("on_save")
    assert path == checkpoint.path
    assert path.exists()
    assert isinstance(control, TrainingControl)
    assert runner.saved_steps == 6


def test_a_distiller_without_a_runner_is_stopped_for_one_run() -> None:
    distiller = tiny_distiller()
    distiller.callbacks.append(Stop("on_step_end", 2))
    weights = [1.0] * len(distiller.names)
    distiller.advance(weights, 5)
    assert distiller.step == 2
    distiller.advance(weights, 5)  # the request holds until the next run
    assert distiller.step == 3
    distiller.reset(0)
    distiller.advance(weights, 5)
    assert distiller.step == 5


def test_a_run_that_was_stopped_leaves_nothing_behind_in_its_distiller() -> None:
    env = make_env()
    rollout(make_learner(env), env, learning=True, callbacks=[Stop("on_step_end", 2)])
    assert not env.distiller.control.should_training_stop
    assert env.distiller.step == 2
    env.distiller.advance([1.0] * len(env.distiller.names), 3)
    assert env.distiller.step == 5
