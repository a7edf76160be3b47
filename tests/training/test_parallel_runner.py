"""Episodes side by side: one agent learns from all streams, and each is as it would be alone."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from kselect.agents import ActorCritic, DeterministicActorCritic
from kselect.agents.learner import Learner
from kselect.agents.registry import make_agent
from kselect.cli.main import main
from kselect.config import PhaseConfig
from kselect.distillation.divergence import TrainingDivergedError
from kselect.distillation.snapshot import Snapshot
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.runs.checkpoint import Checkpoint
from kselect.training.api import learn, make_runner
from kselect.training.runner import EpisodeRunner
from kselect.training.workers import WorkerDiedError, stop_worker_envs
from tests.agents.identity import IdentityEnv, distance
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task


class Stream(IdentityEnv):
    """The identity with the attributes of a run."""

    reward_unit = 1.0
    task_name = "identity"
    names = tuple("abcd")
    initial_losses: ClassVar[dict[str, float]] = {}

    def __init__(self, soft: bool = False, seed: int = 0, length: int = 16) -> None:
        super().__init__(soft=soft, seed=seed)
        self.length = self.total_steps = length

    def spent(self) -> dict[str, float]:
        return {}

    def begin_costs(self) -> None: ...

    def settle_costs(self) -> None: ...

    def decide_at(self, shares: Sequence[float]) -> None: ...

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, _ = super().step(action)
        return observation, reward, terminated, truncated, {"weights": dict.fromkeys("abcd", 0.25)}


class DeafStream(Stream):
    """Hears no SIGTERM, once it is in a process of its own."""

    def reset(self, **_: object) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        if multiprocessing.parent_process() is not None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return super().reset()


class DivergingStream(Stream):
    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        raise TrainingDivergedError.at(3, "the loss of gold", 0.1)


def distillation(phases: Any = "growing", **knowledge: Any) -> DistillationEnv:
    return DistillationEnv(tiny_distiller(knowledge), phases=PhaseConfig(phases, 3))


def learner(env: Any) -> Learner:
    agent = make_agent("actor-critic", env.observation_space, env.action_space, env.distiller.names)
    assert isinstance(agent, Learner)
    return agent


def same_state(one: Learner, other: Learner) -> bool:
    ours, theirs = one.state(), other.state()
    return ours[1] == theirs[1] and all(np.array_equal(ours[0][name], theirs[0][name]) for name in theirs[0])


def test_a_vector_of_one_plays_the_same_episodes_as_a_series() -> None:
    env = distillation()
    alone = learner(env)
    one = learn(alone, env, 2, seed=5)
    vector = SyncVectorEnv([distillation])
    beside = learner(env)
    other = learn(beside, vector, 2, seed=5)
    assert [episode.history for episode in one] == [episode.history for episode in other]
    assert [episode.total_reward for episode in one] == [episode.total_reward for episode in other]
    assert [episode.seconds.keys() for episode in one] == [episode.seconds.keys() for episode in other]
    assert all(min(episode.seconds.values()) >= 0 for episode in other)
    assert same_state(alone, beside)


def test_two_streams_teach_one_agent() -> None:
    vector = SyncVectorEnv([lambda: Stream(seed=1), lambda: Stream(seed=2)])
    env = IdentityEnv(soft=False)
    agent = ActorCritic(env.observation_space, env.action_space)
    assert distance(agent, env) > 0.2
    episodes = learn(agent, vector, 16)
    assert distance(agent, env) < 0.1
    assert [len(episode.history) for episode in episodes] == [16] * 16


def test_what_follows_an_end_is_not_seen_by_the_agent() -> None:
    """A stream that ends early goes on, and resets one step late: none of it may be taken for a decision."""
    vector = SyncVectorEnv([lambda: Stream(length=4), lambda: Stream(length=16)])
    env = IdentityEnv(soft=False)
    agent = ActorCritic(env.observation_space, env.action_space)
    episodes = learn(agent, vector, 4)
    assert [len(episode.history) for episode in episodes] == [4, 16, 4, 16]
    remembered = agent.decisions.read_by_stream()
    assert remembered["stream"].tolist() == [0] * 8 + [1] * 32
    assert np.flatnonzero(remembered["starts"]).tolist() == [0, 4, 8, 24]
    assert np.flatnonzero(remembered["terminated"]).tolist() == [3, 7, 23, 39]
    progress = remembered["context"][:, 0]
    assert progress.tolist() == 2 * [i / 4 for i in range(4)] + 2 * [i / 16 for i in range(16)]


def test_advantages_do_not_run_from_one_stream_into_another() -> None:
    env = IdentityEnv(soft=False)
    env.reset()
    rng = np.random.default_rng(0)
    decisions = [[(env._observe(), rng.integers(2, size=4), rng.random()) for _ in range(6)] for _ in range(2)]
    one, other = (ActorCritic(env.observation_space, env.action_space, update_every=None) for _ in range(2))
    for stream in (0, 1):  # one after the other, the second without an end
        one.begin()
        for step, (observation, action, reward) in enumerate(decisions[stream]):
            one.observe(observation, action, reward, observation, terminated=stream == 0 and step == 5)
    for step in range(6):  # side by side
        for stream in (0, 1):
            observation, action, reward = decisions[stream][step]
            other.observe(observation, action, reward, observation, stream == 0 and step == 5, stream=stream)
    judged = [
        agent._advantages(fields, fields["reward"])
        for agent in (one, other)
        for fields in [agent.decisions.read_by_stream()]
    ]
    assert np.array_equal(judged[0][0], judged[1][0])
    assert np.array_equal(judged[0][1], judged[1][1])


@pytest.mark.parametrize("kind", [ActorCritic, DeterministicActorCritic])
def test_an_update_due_in_one_stream_is_not_forgotten_by_the_next(
    kind: type[ActorCritic | DeterministicActorCritic],
) -> None:
    env = IdentityEnv(soft=kind is DeterministicActorCritic)
    options: dict[str, Any] = {"warmup": 1} if kind is DeterministicActorCritic else {}
    agent = kind(env.observation_space, env.action_space, update_every=None, **options)
    observation, _ = env.reset()
    action = agent.act(observation, explore=True)
    agent.observe(observation, action, 0.1, observation, True, stream=0)
    agent.observe(observation, action, 0.2, observation, False, stream=1)
    assert agent.update()
    assert not agent.update()
    assert agent.state()[1]["due"] == 0


def test_dissimilarity_compares_within_a_stream() -> None:
    from kselect.agents.exploration import DissimilarityBonus

    bonus = DissimilarityBonus()
    left, right = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    for stream, action in ((0, left), (1, right)):
        assert bonus(action, starts=True, stream=stream) == 0
    again = DissimilarityBonus()
    again.restore(bonus.state())
    for each in (bonus, again):
        assert each(left, starts=False, stream=0) == 0
        assert each(left, starts=False, stream=1) == 1


class StopError(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("phases", [1, 20])
def test_stopped_rounds_go_on_from_the_last_that_was_over(tmp_path: Path, phases: int) -> None:
    def make() -> EpisodeRunner:
        envs = [distillation("adaptive"), distillation("adaptive")]
        return make_runner(learner(envs[0]), SyncVectorEnv([lambda: envs[0], lambda: envs[1]]), 4, seed=2)

    straight = make()
    straight.run()
    stopped, seen = make(), []
    checkpoint = Checkpoint(tmp_path / "state.safetensors")

    def stop(record: dict[str, Any]) -> None:
        seen.append(record)
        if len(seen) == phases:
            checkpoint.save(stopped.snapshot)
            raise StopError

    with pytest.raises(StopError):
        stopped.run(stop)
    snapshot = checkpoint.load()
    assert snapshot is not None
    resumed = make()
    resumed.restore(snapshot)
    assert resumed.records == straight.records[: len(resumed.records)]
    assert len(resumed.episodes) % 2 == 0
    resumed.run()
    assert [episode.history for episode in resumed.episodes] == [episode.history for episode in straight.episodes]
    assert isinstance(resumed.agent, Learner)
    assert isinstance(straight.agent, Learner)
    assert same_state(resumed.agent, straight.agent)


@pytest.mark.slow
def test_costs_of_a_stopped_round_are_not_forgotten() -> None:
    def make() -> EpisodeRunner:
        envs = [distillation(), distillation()]
        return make_runner(learner(envs[0]), SyncVectorEnv([lambda: envs[0], lambda: envs[1]]), 4, seed=2)

    def stop(record: dict[str, Any]) -> None:
        if len(stopped.records) and record["phase"] == 2:
            raise StopError

    stopped, resumed = make(), make()
    with pytest.raises(StopError):
        stopped.run(stop)
    assert stopped.snapshot_steps == stopped.total_steps // 2
    facts = stopped.snapshot().facts
    assert [cost["student"] > 0 for cost in facts["costs"]] == [True, True]
    costs = [dict.fromkeys(cost, 1000.0) for cost in facts["costs"]]
    resumed.restore(Snapshot(stopped.snapshot().tensors, {**facts, "costs": costs}))
    spent = []
    *earlier, third, fourth = resumed.run(lambda record: spent.append(resumed.spent))
    assert [episode.seconds for episode in earlier] == [episode.seconds for episode in stopped.episodes]
    assert all(1000 <= seconds < 1100 for episode in (third, fourth) for seconds in episode.seconds.values())
    assert all(seconds > 2000 for part, seconds in spent[-1].items() if part not in ("probing", "teacher"))


def test_another_teacher_of_any_stream_is_noticed() -> None:
    envs = [distillation(), distillation()]
    runner = make_runner(learner(envs[0]), SyncVectorEnv([lambda: envs[0], lambda: envs[1]]), 2)
    snapshot = runner.snapshot()
    runner.restore(snapshot)
    snapshot.facts["initial_losses"] = [envs[0].initial_losses, {**envs[1].initial_losses, "logits": 0.5}]
    with pytest.raises(KselectError, match="teacher or data have changed, since the loss of logits"):
        runner.restore(snapshot)


def test_what_was_cut_off_does_not_join_the_next_episode() -> None:
    env = IdentityEnv(soft=False)
    agent = ActorCritic(env.observation_space, env.action_space)

    def stop(record: dict[str, Any]) -> None:
        raise StopError

    with pytest.raises(StopError):
        learn(agent, SyncVectorEnv([Stream, Stream]), 2, on_phase=stop)
    learn(agent, SyncVectorEnv([Stream, Stream]), 2)
    remembered = agent.decisions.read_by_stream()
    assert np.flatnonzero(remembered["starts"]).tolist() == [0, 1, 17, 18]


def test_streams_of_other_knowledge_are_refused() -> None:
    vector = SyncVectorEnv(
        [lambda: distillation(knowledge=["gold", "logits"]), lambda: distillation(knowledge=["gold", "hidden"])]
    )
    agent = learner(distillation(knowledge=["gold", "logits"]))
    with pytest.raises(KselectError, match="in the same order, not gold, logits and gold, hidden"):
        learn(agent, vector, 2)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_streams_that_are_reset_otherwise_are_refused(mode: AutoresetMode) -> None:
    env = IdentityEnv(soft=False)
    agent = ActorCritic(env.observation_space, env.action_space)
    with pytest.raises(KselectError, match="needs autoreset_mode NEXT_STEP"):
        learn(agent, SyncVectorEnv([Stream], autoreset_mode=mode), 1)


@pytest.mark.slow
def test_a_dead_process_is_reported_in_a_line_and_the_others_are_killed() -> None:
    streams = AsyncVectorEnv([Stream, DeafStream], context="spawn")
    env = IdentityEnv(soft=False)
    agent = ActorCritic(env.observation_space, env.action_space)

    def kill(record: dict[str, Any]) -> None:
        streams.processes[0].kill()
        streams.processes[1].terminate()

    with pytest.raises(WorkerDiedError, match="An environment process died"):
        learn(agent, streams, 2, on_phase=kill)
    assert streams.processes[1].is_alive()
    stop_worker_envs(streams)
    assert not streams.processes[1].is_alive()


def test_the_error_of_a_dead_process_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(WorkerDiedError()))
    assert (str(error), error.setting) == (str(WorkerDiedError()), "parallel")


@pytest.mark.slow
def test_divergence_in_another_process_is_divergence() -> None:
    streams = AsyncVectorEnv([DivergingStream], context="spawn")
    env = IdentityEnv(soft=False)
    agent = ActorCritic(env.observation_space, env.action_space)
    level, gymnasium.logger.min_level = gymnasium.logger.min_level, gymnasium.logger.ERROR + 1
    try:
        with pytest.raises(
            TrainingDivergedError, match=r"^Training diverged at step 3: the loss of gold is not finite"
        ):
            learn(agent, streams, 1)
    finally:
        gymnasium.logger.min_level = level
        stop_worker_envs(streams)


def test_episodes_that_do_not_fill_a_round_are_refused() -> None:
    env = IdentityEnv(soft=False)
    agent = ActorCritic(env.observation_space, env.action_space)
    with pytest.raises(KselectError, match="3 episodes cannot be divided among 2 environments: give a multiple of 2"):
        learn(agent, SyncVectorEnv([Stream, Stream]), 3)


@pytest.mark.slow
def test_a_policy_from_parallel_processes_distils(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--layers", "1"]
    words += ["--runs_dir", str(tmp_path / "runs"), "--epochs", "1"]
    for name in ("acceptability", "entailment"):
        tiny_classifier(tiny_task(f"synthetic-{name}")).save_pretrained(tmp_path / name)
    words += ["--task", "synthetic-acceptability", "--teacher", str(tmp_path / "acceptability")]
    also = tmp_path / "also.yaml"
    also.write_text(f"task: synthetic-entailment\nteacher: {tmp_path / 'entailment'}\nepochs: 2\n")
    policy = ["--episodes", "4", "--parallel", "2", "--also", str(also), "--run_name", "policy"]
    assert main(["train-policy", *words, *policy]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("(")[2] for line in lines[:4]] == 2 * ["synthetic-acceptability)", "synthetic-entailment)"]
    agent = str(tmp_path / "runs" / "policy" / "policy")
    assert main(["distill", *words, "--agent", agent, "--run_name", "student"]) == 0
    assert torch.get_num_threads() == 1
