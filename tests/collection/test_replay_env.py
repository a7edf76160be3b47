"""A pool as an environment: every score is one of the pool's, and only branches that were run can be followed."""

from __future__ import annotations

import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from kselect.collection.replay import race, switch
from kselect.collection.replay_env import ReplayEnv
from kselect.collection.table import read_pool
from kselect.errors import KselectError
from tests.collection.tables import ENTRIES, GOLD, LOGITS, entry, write

NAMES = ("gold", "logits", "logits>gold")
SECOND = entry(
    "logits>gold", [{"until": 0.5, "weights": LOGITS}, {"weights": GOLD}], 0.2, 0.5, 0.55, 0.1, 0.2, 0.5, seed=1
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return write(tmp_path / "runs.jsonl", [*ENTRIES, SECOND])


def play(env: ReplayEnv, *names: str, seed: int = 0) -> tuple[list[float], dict[str, Any]]:
    env.reset(options={"condition": "weak", "seed": seed})
    rewards = []
    for name in names:
        _, reward, terminated, _, info = env.step(env.names.index(name))
        rewards.append(reward)
    assert terminated
    return rewards, info


def test_it_is_an_environment(ledger: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("kselect/Replay-v0", ledger=str(ledger), render_mode="rgb_array")
        check_env(env.unwrapped)
    assert env.unwrapped.names == NAMES  # type: ignore[attr-defined]


def test_rewards_are_the_changes_of_the_score_at_the_marks(ledger: Path) -> None:
    env = ReplayEnv(ledger)
    rewards, info = play(env, "gold", "gold", "gold")
    assert rewards == pytest.approx([0.50, 0.10, 0.10])
    assert (info["selection"], info["reward_score"], info["dev_score"]) == ("gold", pytest.approx(0.70), 0.71)


def test_a_switch_is_followed_where_it_was_run(ledger: Path) -> None:
    env = ReplayEnv(ledger)
    for seed, final in ((0, 0.76), (1, 0.5)):
        for first, second in product(("logits", "logits>gold"), repeat=2):  # they are the same until half
            for last in ("gold", "logits>gold"):
                rewards, info = play(env, first, second, last, seed=seed)
                assert info["selection"] == "logits>gold"
                assert info["dev_score"] == final
                assert sum(rewards) == pytest.approx(info["reward_score"])
    (outcome, _) = switch(read_pool(ledger), "logits", "gold", mark=0.5)
    assert outcome.score == 0.76


def test_without_a_branch_the_run_goes_on(ledger: Path) -> None:
    env = ReplayEnv(ledger)
    env.reset(options={"seed": 0})
    assert env.action_mask().tolist() == [1, 1, 1]
    *_, info = env.step(0)
    assert info["action_mask"].tolist() == [1, 0, 0]
    assert play(env, "gold", "logits", "logits>gold")[0] == play(env, "gold", "gold", "logits")[0]
    _, info = play(env, "logits", "gold", "logits")
    assert info["selection"] == "logits"
    assert info["action_mask"].tolist() == [0, 0, 0]


def test_a_race_at_the_end_is_the_best_of_all_episodes(ledger: Path) -> None:
    env = ReplayEnv(ledger)
    for outcome in race(read_pool(ledger), NAMES, mark=1.0, split="reward"):
        returned = [sum(play(env, *plan, seed=outcome.seed)[0]) for plan in product(NAMES, repeat=3)]
        assert max(returned) == pytest.approx(outcome.score)


def test_a_restored_episode_goes_on_as_the_straight_one(ledger: Path) -> None:
    env = ReplayEnv(ledger)
    env.reset(seed=1)
    env.step(1)
    state = env.clone_state()
    straight = [env.step(1)[:2], env.step(0)[:2], env.reset()[1]["seed"]]
    env.reset(seed=2)
    env.restore_state(state)
    again = [env.step(1)[:2], env.step(0)[:2], env.reset()[1]["seed"]]
    assert repr(straight) == repr(again)


def test_the_constant_prediction_is_where_scores_start(tmp_path: Path) -> None:
    entries = [{**one, "constant": {"score": 0.4}} for one in ENTRIES if one["selection"] != "logits>gold"]
    env = ReplayEnv(write(tmp_path / "runs.jsonl", entries))
    rewards, _ = play(env, "gold", "gold", "gold")
    assert rewards == pytest.approx([0.10, 0.10, 0.10])
    observation, info = env.reset()
    assert info["reward_score"] == 0.4
    assert observation[:3] == pytest.approx([0.0, 0.0, 0.4])  # the teacher scores 0.8


def test_rendering_shows_what_was_selected(ledger: Path) -> None:
    env = ReplayEnv(ledger, render_mode="ansi")
    play(env, "logits", "logits", "gold")
    lines = env.render().splitlines()
    assert [line.split("|")[1] for line in lines[:2]] == ["  █", "██ "]


def test_rendering_shows_changes_between_decisions(tmp_path: Path) -> None:
    stages: list[dict[str, Any]] = [{"until": 0.25, "weights": LOGITS}, {"weights": GOLD}]
    moving = [{"weights": LOGITS, "to": GOLD}]
    entries = [entry("early", stages, *[0.5] * 6), entry("moving", moving, *[0.5] * 6)]
    env = ReplayEnv(write(tmp_path / "runs.jsonl", entries), decisions=(0.0, 0.5), render_mode="ansi")
    for name, rows in (("early", [" ██", "█  "]), ("moving", ["░▓", "▓░"])):
        play(env, name, name)
        assert [line.split("|")[1] for line in env.render().splitlines()[:2]] == rows


def test_runs_in_which_an_agent_selected_are_not_taken_for_each_other(tmp_path: Path) -> None:
    agents = [entry(name, [], *[score] * 6) for name, score in (("online", 0.3), ("random-hard", 0.9))]
    for one in agents:
        one["settings"]["agent"] = {"agent": one["selection"]}
    ledger = write(tmp_path / "runs.jsonl", [*ENTRIES[:3], *agents])
    assert ReplayEnv(ledger).names == NAMES
    with pytest.raises(KselectError, match="No condition has a run of each of online"):
        ReplayEnv(ledger, selections=["online"])
    assert race(read_pool(ledger), ["gold", "online", "random-hard"], 0.25)[0].cost == 1.5


def test_several_ledgers_are_one_pool(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.jsonl", entries) for i, entries in enumerate((ENTRIES[:2], ENTRIES[2:]))]
    assert ReplayEnv(paths).names == NAMES
    with pytest.raises(KselectError, match="twice in weak under seed 0"):
        ReplayEnv([paths[0], paths[0]])


def test_an_episode_takes_milliseconds(ledger: Path) -> None:
    env = ReplayEnv(ledger)
    play(env, *NAMES)
    start = time.process_time()
    for _ in range(100):
        play(env, *NAMES)
    assert (time.process_time() - start) / 100 < 0.02


@pytest.mark.parametrize("algorithm", ["DQN", "PPO"])
def test_stable_baselines_finds_the_best_plan(algorithm: str, ledger: Path) -> None:
    sb3 = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    env = ReplayEnv(ledger)
    sizes = {"learning_starts": 20, "target_update_interval": 30, "exploration_fraction": 0.5}
    if algorithm == "PPO":
        sizes = {"n_steps": 60, "batch_size": 60, "n_epochs": 4}
    model = getattr(sb3, algorithm)("MlpPolicy", env, learning_rate=3e-3, device="cpu", seed=0, **sizes)
    model.learn(total_timesteps=600)
    observation, _ = env.reset(options={"seed": 0})
    terminated = False
    while not terminated:
        action, _ = model.predict(observation, deterministic=True)
        observation, _, terminated, _, info = env.step(action)
    assert info["reward_score"] >= 0.7  # 0.75 is best, and logits alone reach 0.6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decisions": (0.0, 0.3)}, "Decisions at 0, 0.3 cannot be replayed: give 0 and rising ones of 0, 0.25, 0.5."),
        ({"decisions": (0.25, 0.5)}, "Decisions at 0.25, 0.5 cannot be replayed"),
        ({"selections": ["gold", "all"]}, "No condition has a run of each of gold, all"),
        ({"conditions": ["strong"]}, "No condition has a run of each of any selection"),
        ({"render_mode": "human"}, "Unknown render_mode 'human'"),
    ],
)
def test_what_cannot_be_replayed_is_refused(settings: dict[str, Any], message: str, ledger: Path) -> None:
    with pytest.raises(KselectError, match=message):
        ReplayEnv(ledger, **settings)
    with pytest.raises(KselectError, match="no complete runs of strong under seed 3"):
        ReplayEnv(ledger).reset(options={"condition": "strong", "seed": 3})
    with pytest.raises(KselectError, match="Unknown option of reset 'conditions': did you mean 'condition'"):
        ReplayEnv(ledger).reset(options={"conditions": "weak"})
