"""The history of a run from its folder, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kselect.errors import KselectError
from kselect.runs.history import read_episode, read_run
from tests.analysis.inspection.histories import phase, write_run

BOTH = {"gold": 1.0, "logits": 1.0}


def test_read_run_has_what_was_recorded(tmp_path: Path) -> None:
    measured = {"reward/phase": 0.5, "reward/loss": 0.25, "reward_unit": "nats"}
    reason = {"changes": {"gold": {"before": 0, "after": 1, "features": {"progress": 0.5}}}}
    preference = {"preference/gold": 0.75, "preference/logits": 0.25}
    phases = [
        phase({"gold": 0, "logits": 1}, 3, **preference, **{"state/progress": 0.0}),
        phase(BOTH, 5, **measured, **preference, **reason, **{"state/progress": 0.375}),
    ]
    run = read_run(write_run(tmp_path / "run", phases, metrics={"score": 0.5}))
    (episode,) = run.episodes
    assert run.names == ("gold", "logits")
    assert run.results["metrics"] == {"score": 0.5}
    assert episode.weights.tolist() == [[0, 1], [0.5, 0.5]]
    assert episode.ends.tolist() == [3, 8]
    assert episode.preferences is not None
    assert episode.preferences.tolist() == [[0.75, 0.25]] * 2
    assert np.isnan(episode.rewards[0])
    assert (episode.total_reward, episode.losses[1], episode.unit) == (0.5, 0.25, "nats")
    assert [dict(state) for state in episode.states] == [{"progress": 0}, {"progress": 0.375}]
    assert episode.reasons[1] == {"gold": {"progress": 0.5}}


def test_read_run_tells_interleaved_episodes_apart(tmp_path: Path) -> None:
    phases = [phase(BOTH, steps, episode=number, task=f"task {number}") for steps, number in ((1, 0), (2, 1), (3, 0))]
    run = read_run(write_run(tmp_path / "run", phases))
    assert [(each.task, each.steps.tolist()) for each in run.episodes] == [("task 0", [1, 3]), ("task 1", [2])]
    assert [each.total_reward for each in run.episodes] == [None, None]


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [phase(BOTH, 2), phase(BOTH, 3)])
    whole = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(whole[:-20])
    (folder / "results.json").unlink()
    assert [each.steps.tolist() for each in read_run(folder).episodes] == [[2]]
    assert read_run(folder).results == {}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("metrics.jsonl", "", "has no history"),
        ("metrics.jsonl", "{}\n", "one kind of knowledge on offer, and so nothing to select"),
        ("metrics.jsonl", '{"selection/gold": 1}\n{}\n', "records that are not of phases"),
        ("metrics.jsonl", "no JSON\n", "metrics.jsonl:1 is no record of a phase"),
        ("metrics.jsonl", "[1]\n", "metrics.jsonl:1 is no record of a phase"),
        ("metrics.jsonl", '{"episode": null}\n', "metrics.jsonl:1 is no record of a phase"),
        ("metrics.jsonl", "[" * 100_000 + "\n", "metrics.jsonl:1 is no record of a phase"),
        ("metrics.jsonl", '{"steps": 0, "selection/gold": 1}\n', "phases without steps or weights"),
        ("metrics.jsonl", '{"steps": 1, "selection/gold": null}\n', "phases without steps or weights"),
        ("metrics.jsonl", '{"steps": "many", "selection/gold": 1}\n', "records that are not of phases"),
        ("metrics.jsonl", '{"steps": 1, "selection/gold": 1, "changes": [1]}\n', "records that are not of phases"),
        ("metrics.jsonl", '{"steps": 1, "selection/gold": 1, "state/x": "y"}\n', "records that are not of phases"),
        ("results.json", '{"task": "mrpc"', "results.json is damaged"),
        ("results.json", "[]", "does not hold the results"),
        ("results.json", '{"task": "mrpc"}', "holds no run of an agent"),
    ],
)
def test_damaged_files_are_refused_in_a_line(tmp_path: Path, name: str, content: str, said: str) -> None:
    folder = write_run(tmp_path / "run", [phase(BOTH)])
    (folder / name).write_text(content)
    with pytest.raises(KselectError, match=said):
        read_run(folder)


def test_other_knowledge_in_another_episode_is_refused(tmp_path: Path) -> None:
    phases: list[dict[str, Any]] = [phase(BOTH, episode=0), phase({"gold": 1.0}, episode=1)]
    with pytest.raises(KselectError, match="other knowledge on offer"):
        read_run(write_run(tmp_path / "run", phases))


def test_read_episode_of_a_ledger(tmp_path: Path) -> None:
    records = json.loads('[{"phase": 0, "step": 4, "steps": 4, "weights": {"gold": 1.0}, "reward": null}]')
    assert read_episode(records, tmp_path).total_reward is None
    with pytest.raises(KselectError, match="not of phases"):
        read_episode([], tmp_path)
