"""Parallel episodes on Ray: the policy of local processes, on two machines, and through deaths."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kselect.agents.learner import Learner
from kselect.agents.registry import make_agent
from kselect.cli.main import main
from kselect.config import PhaseConfig, ResourceConfig
from kselect.distillation.divergence import TrainingDivergedError
from kselect.envs.distillation import DistillationEnv
from kselect.training.api import learn
from kselect.training.episode import Episode
from kselect.training.workers import WorkerDiedError
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'kselect[ray]'")
two_machines = pytest.importorskip("tests.ray_cluster").two_machines
RayVectorEnv = pytest.importorskip("kselect.training.ray_envs").RayVectorEnv

pytestmark = pytest.mark.nightly

RESOURCES = ResourceConfig(engine="ray")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with two_machines():
        yield


class MortalEnv(DistillationEnv):
    """Ends its process in the middle of an episode, as often as a file has letters."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(tiny_distiller({}), phases=PhaseConfig("adaptive", 3))
        self.path = path

    @property
    def process(self) -> tuple[str, int]:
        """The machine and the process where it is."""
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        if self.path is not None and self.distiller.step > 0:
            deaths = self.path.read_text()
            self.path.write_text(deaths[1:])
            if deaths:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)


class DivergingEnv(DistillationEnv):
    def __init__(self) -> None:
        super().__init__(tiny_distiller({}))

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        raise TrainingDivergedError.at(3, "the loss of gold", 0.1)


def learned(path: Path | None = None, make: Any = MortalEnv) -> tuple[Learner, list[Episode]]:
    """Learn from four episodes on two machines, of which those on one die as `path` says."""
    like = make()
    agent = make_agent("actor-critic", like.observation_space, like.action_space, like.distiller.names)
    assert isinstance(agent, Learner)
    vector = RayVectorEnv([make, make if path is None else partial(make, path)], like, RESOURCES)
    try:
        return agent, learn(agent, vector, 4, seed=2)
    finally:
        vector.close()


def same(one: tuple[Learner, list[Episode]], other: tuple[Learner, list[Episode]]) -> bool:
    (ours, facts), (theirs, others) = (agent.state() for agent, _ in (one, other))
    histories = [[episode.history for episode in episodes] for _, episodes in (one, other)]
    return (
        facts == others
        and histories[0] == histories[1]
        and all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    )


def test_environments_are_on_both_machines_until_the_vector_is_closed() -> None:
    vector = RayVectorEnv([MortalEnv, MortalEnv], MortalEnv(), RESOURCES)
    places = vector.get_attr("process")
    assert len({machine for machine, _ in places}) == 2
    assert vector.get_attr("process") == places
    vector.close()
    patience = time.monotonic() + 60
    while any(Path(f"/proc/{process}").exists() for _, process in places):
        assert time.monotonic() < patience
        time.sleep(0.1)


def test_the_agent_does_not_notice_that_processes_die(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "deaths"
    path.write_text("xxx")
    mortal = learned(path)
    assert path.read_text() == ""
    assert caplog.text.count("another one takes the steps of its episode again") == 3
    assert same(mortal, learned())


def test_processes_that_die_again_and_again_end_the_training(tmp_path: Path) -> None:
    path = tmp_path / "deaths"
    path.write_text("xxxxxxxxx")
    with pytest.raises(WorkerDiedError, match="run it again to resume from the last episodes"):
        learned(path)
    assert path.read_text() == "xxxxx"  # it died once, and three times anew


def test_divergence_on_another_machine_is_divergence() -> None:
    with pytest.raises(TrainingDivergedError, match=r"^Training diverged at step 3: the loss of gold is not finite"):
        learned(make=DivergingEnv)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    tiny_classifier(tiny_task()).save_pretrained(folder)
    return folder


def words(teacher: Path, runs: Path, name: str, *engine: str) -> list[str]:
    words = ["train-policy", "--task", "synthetic-acceptability", "--teacher", str(teacher), "--layers", "1"]
    words += ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--epochs", "1"]
    words += ["--episodes", "4", "--parallel", "2", "--checkpoint_every", "0"]
    return [*words, "--runs_dir", str(runs), "--run_name", name, *engine]


def phases(folder: Path) -> list[dict[str, Any]]:
    """Return the phases of a run as it has logged them, without what they cost."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if not name.startswith("cost/")} for line in lines]


def test_a_policy_is_that_of_local_processes(teacher: Path, tmp_path: Path) -> None:
    assert main(words(teacher, tmp_path, "here")) == 0
    assert main(words(teacher, tmp_path, "there", "--engine", "ray")) == 0
    assert phases(tmp_path / "here") == phases(tmp_path / "there")
    here, there = ((tmp_path / name / "policy" / "agent.safetensors").read_bytes() for name in ("here", "there"))
    assert here == there


def test_training_that_is_stopped_on_ray_goes_on_in_local_processes(teacher: Path, tmp_path: Path) -> None:
    def stop() -> None:
        """Ctrl-C in the second round."""
        path, patience = tmp_path / "stopped" / "metrics.jsonl", time.monotonic() + 300
        while not (path.exists() and '"episode": 2' in path.read_text()):
            assert time.monotonic() < patience
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    assert main(words(teacher, tmp_path, "stopped", "--engine", "ray")) == 130
    thread.join()
    assert main(words(teacher, tmp_path, "stopped")) == 0
    assert main(words(teacher, tmp_path, "straight")) == 0
    stopped, straight = ((tmp_path / name / "policy" / "agent.safetensors") for name in ("stopped", "straight"))
    assert stopped.read_bytes() == straight.read_bytes()
