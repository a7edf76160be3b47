"""The best student by the reward split: which it is, when a run stops, and that a resumed run is a straight one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kselect.agents.schedule import Schedule
from kselect.config import PhaseConfig, StoppingConfig
from kselect.distillation.snapshot import Snapshot
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.training.best_student import BestStudent, watch_best
from kselect.training.runner import EpisodeRunner
from tests.tiny import tiny_distiller

STEPS = 2


def make_run(config: StoppingConfig) -> tuple[EpisodeRunner, list[BestStudent]]:
    """A run that overshoots: at this learning rate the loss on reward rises after a few phases."""
    distiller = tiny_distiller(learning_rate=2e-2, epochs=3)
    env = DistillationEnv(distiller, "soft", PhaseConfig("constant", phase_steps=STEPS), measure_rewards=False)
    best = watch_best(env, config)
    stages = [{"weights": [1.0] * len(env.names), "until": 1}]
    agent = Schedule(env.observation_space, env.action_space, stages=stages)
    return EpisodeRunner(agent, [env], seeds=[3], learning=False, callbacks=best), best


def weights(runner: EpisodeRunner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in runner.distillers[0].student.model.state_dict().items()}


@pytest.fixture(scope="module")
def straight() -> tuple[list[dict[str, Any]], list[dict[str, torch.Tensor]]]:
    """The records of a run that is only watched, and the student's weights after each phase."""
    runner, (_,) = make_run(StoppingConfig(early_stopping_patience=99))
    after: list[dict[str, torch.Tensor]] = []
    (episode,) = runner.run(lambda record: after.append(weights(runner)))
    assert not episode.truncated
    return episode.history, after


def expected_stop(history: list[dict[str, Any]], patience: int, threshold: float = 0.0) -> int:
    """The number of phases after which a run stops, by a plain scan."""
    best, stale = -float("inf"), 0
    for number, record in enumerate(history, 1):
        stale = 0 if number == 1 or record["return"] > best + threshold else stale + 1
        best = max(best, record["return"])
        if stale == patience:
            return number
    return len(history)


def test_a_run_stops_after_its_patience(straight: tuple[list[dict[str, Any]], Any]) -> None:
    history, _ = straight
    stops = {patience: expected_stop(history, patience) for patience in (1, 2)}
    assert stops[1] < len(history)
    for patience, phases in stops.items():
        runner, (best,) = make_run(StoppingConfig(early_stopping_patience=patience))
        (episode,) = runner.run()
        assert len(episode.history) == phases
        assert episode.truncated == (phases < len(history))
        assert best.best == max(record["return"] for record in history[:phases])


def test_small_gains_do_not_count_under_a_threshold(straight: tuple[list[dict[str, Any]], Any]) -> None:
    history, _ = straight
    runner, _ = make_run(StoppingConfig(early_stopping_patience=1, early_stopping_threshold=0.05))
    (episode,) = runner.run()
    assert len(episode.history) == expected_stop(history, 1, 0.05)


def test_the_best_weights_are_loaded_at_the_end(straight: tuple[list[dict[str, Any]], Any]) -> None:
    history, after = straight
    number = max(range(len(history)), key=lambda i: history[i]["return"])
    assert number < len(history) - 1
    runner, (best,) = make_run(StoppingConfig(load_best_student_at_end=True))
    (episode,) = runner.run()
    assert not episode.truncated
    assert best.results()["best"] == {"step": STEPS * (number + 1), "return": history[number]["return"], "loaded": True}
    assert all(value.equal(after[number][name]) for name, value in weights(runner).items())
    assert any(not value.equal(after[-1][name]) for name, value in weights(runner).items())


@pytest.mark.parametrize("stopped", [1, 2, 4])
def test_a_resumed_run_is_a_straight_one(stopped: int, tmp_path: Path) -> None:
    config = StoppingConfig(early_stopping_patience=2, load_best_student_at_end=True)
    whole, (reference,) = make_run(config)
    (expected,) = whole.run()
    assert expected.truncated

    class StoppedError(Exception):
        pass

    first, _ = make_run(config)

    def stop(record: dict[str, Any]) -> None:
        if record["phase"] + 1 == min(stopped, len(expected.history)):
            first.snapshot().save(tmp_path / "state")
            raise StoppedError

    with pytest.raises(StoppedError):
        first.run(stop)
    second, (best,) = make_run(config)
    second.restore(Snapshot.load(tmp_path / "state"))
    (episode,) = second.run()
    assert [record["return"] for record in episode.history] == [record["return"] for record in expected.history]
    assert best.results() == reference.results()
    assert all(value.equal(weights(whole)[name]) for name, value in weights(second).items())


def test_a_run_killed_where_it_stops_takes_no_further_phase(tmp_path: Path) -> None:
    config = StoppingConfig(early_stopping_patience=1)
    whole, _ = make_run(config)
    phases = len(whole.run()[0].history)
    first, _ = make_run(config)

    def save(record: dict[str, Any]) -> None:
        if record["phase"] + 1 == phases:
            first.snapshot().save(tmp_path / "state")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.run(save)
    second, _ = make_run(config)
    second.restore(Snapshot.load(tmp_path / "state"))
    assert len(second.run()[0].history) == phases


def test_a_snapshot_of_other_callbacks_is_refused() -> None:
    runner, _ = make_run(StoppingConfig(early_stopping_patience=1))
    snapshot = runner.snapshot()
    other, _ = make_run(StoppingConfig())
    with pytest.raises(KselectError, match="another version of kselect"):
        other.restore(snapshot)


def test_nothing_is_measured_by_default() -> None:
    runner, best = make_run(StoppingConfig())
    assert best == []
    assert not runner.vector.get_attr("measure_rewards")[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"early_stopping_patience": 0}, "give a positive number"),
        ({"early_stopping_threshold": -1.0}, "give 0 or more"),
        ({"early_stopping_threshold": 0.1}, "give early_stopping_patience, too"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(KselectError, match=said):
        StoppingConfig(**settings)
