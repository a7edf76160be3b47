"""Sub-runs of episodes and studies, read back with TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from kselect.runs.curves import SELECTION, EpisodeReport, RunCurves
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder
from kselect.runs.tensorboard import HPARAMS, LAYOUT, METRICS

SETTINGS = {"agent": "all", "task": "mrpc", "seed": 3, "layers": [0, 2], "knowledge": ["gold", "logits"], "epochs": 2}


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def plugin_data(folder: Path) -> dict[str, HParamsPluginData]:
    metadata = read(folder).summary_metadata
    return {tag: HParamsPluginData.FromString(m.plugin_data.content) for tag, m in metadata.items() if "hparams" in tag}


def phase(number: int, episode: int, own: int) -> dict[str, Any]:
    """A phase of two steps, of one of two tasks in turn."""
    about = {"step": 2 * number + 2, "phase": own, "steps": 2, "episode": episode, "episode_step": 2 * own + 2}
    curves = {"loss/gold": float(number), "agent/value": 0.5, "agent/policy_loss": float(-number), "reward/se": None}
    return {**about, "task": ("mrpc", "rte")[episode % 2], **curves, "changes": {"gold": {"before": 1, "after": 0}}}


def report(number: int) -> EpisodeReport:
    image = np.full((8, 16, 3), number, dtype=np.uint8)
    return EpisodeReport(4, {"return": 10.0 * number}, {SELECTION: image}, {"decisions": "a"}, number, "mrpc")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "episodes").iterdir())


def test_parallel_episodes_are_sub_runs_on_their_own_axes(tmp_path: Path) -> None:
    curves = RunCurves(tmp_path, SETTINGS)
    for number in range(4):
        curves.phase(phase(number, number % 2, number // 2))
    for number in range(2):
        curves.episode(EpisodeReport(4, {"return": 10.0 * number}, number=number, task=("mrpc", "rte")[number]))
    curves.close()
    assert names(tmp_path) == ["000-mrpc", "001-rte"]
    assert points(tmp_path / "episodes" / "000-mrpc", "loss/gold") == [(2, 0.0), (4, 2.0)]
    assert points(tmp_path / "episodes" / "001-rte", "loss/gold") == [(2, 1.0), (4, 3.0)]
    assert points(tmp_path / "episodes" / "001-rte", "agent/value") == [(2, 0.5), (4, 0.5)]
    assert points(tmp_path, "agent/policy_loss") == [(2, 0.0), (4, -1.0), (6, -2.0), (8, -3.0)]
    assert points(tmp_path, "episode/return") == [(0, 0.0), (1, 10.0)]
    assert set(read(tmp_path).Tags()["scalars"]) == {"agent/policy_loss", "episode/return"}


def test_a_folder_of_episodes_that_is_rewound_has_every_point_once(tmp_path: Path) -> None:
    """It is stopped after the third phase of episode 1, and resumes after its first."""
    place = RunPlace(tmp_path, "mrpc", "policy", 0, "mine")
    with RunFolder.create(place, {"epochs": 1}) as folder:
        for number in range(2):
            folder.log_phase(phase(number, 0, number))
        folder.log_episode(report(0))
        for number in range(2, 5):
            folder.log_phase(phase(number, 1, number - 2))
    with RunFolder.open(place, {"epochs": 1}) as folder:
        assert folder.resumed
        folder.rewind(3)
        folder.log_episode(report(0))
        folder.log_phase(phase(3, 1, 1))
        folder.log_episode(EpisodeReport(4, {"return": 1.0}, number=1, task="rte"))
    path = tmp_path / "mine"
    assert names(path) == ["000-mrpc", "001-rte"]
    assert points(path, "episode/return") == [(0, 0.0), (1, 1.0)]
    assert points(path, "agent/policy_loss") == [(2, 0.0), (4, -1.0), (6, -2.0), (8, -3.0)]
    assert points(path / "episodes" / "000-mrpc", "loss/gold") == [(2, 0.0), (4, 1.0)]
    assert points(path / "episodes" / "001-rte", "loss/gold") == [(2, 2.0), (4, 3.0)]
    for folder_of, tag in ((path, "episode/selection"), (path / "episodes" / "000-mrpc", SELECTION)):
        assert len(read(folder_of).Images(tag)) == 1
    server = plugin_event_accumulator.EventAccumulator(str(path / "episodes" / "000-mrpc")).Reload()
    assert len(server.Tensors("decisions/text_summary")) == 1
    assert len((path / "metrics.jsonl").read_text().splitlines()) == 4


def test_a_reader_that_is_running_forgets_what_is_written_anew(tmp_path: Path) -> None:
    curves = RunCurves(tmp_path, SETTINGS)
    for number in range(3):
        curves.phase(phase(number, 0, number))
    curves.close()
    readers = [read(tmp_path), read(tmp_path / "episodes" / "000-mrpc")]
    curves = RunCurves(tmp_path, SETTINGS)
    curves.phase(phase(0, 0, 0))
    curves.phase(phase(1, 0, 1))
    curves.close()
    for reader, tag in zip(readers, ("agent/policy_loss", "loss/gold"), strict=True):
        assert len(reader.Scalars(tag)) == 3
        assert [event.step for event in reader.Reload().Scalars(tag)] == [2, 4]


def test_runs_of_every_kind_have_the_same_columns(tmp_path: Path) -> None:
    curves = RunCurves(tmp_path, SETTINGS)
    curves.phase({"step": 2, "phase": 0, "steps": 2, "loss/gold": 0.5})
    curves.run("mrpc-all-0", {"seed": 0}, {"score": 0.5}, [{"step": 8, "selection/gold": 1.0}])
    curves.end({"score": 0.75, "parameters": 100})
    curves.close()
    study, run = plugin_data(tmp_path), plugin_data(tmp_path / "runs" / "mrpc-all-0")
    assert study["_hparams_/experiment"] == run["_hparams_/experiment"]
    experiment = study["_hparams_/experiment"].experiment
    assert [info.name for info in experiment.hparam_infos] == list(HPARAMS)
    assert [info.name.tag for info in experiment.metric_infos] == [f"result/{name}" for name in METRICS]
    rows = [each["_hparams_/session_start_info"].session_start_info.hparams for each in (study, run)]
    assert [row["seed"].number_value for row in rows] == [3, 0]
    assert rows[0]["layers"].string_value == "0, 2"
    assert rows[0]["knowledge"].string_value == "gold, logits"
    assert "teacher" not in rows[0]  # of which nothing is known
    assert points(tmp_path, "result/parameters") == [(2, 100.0)]
    assert points(tmp_path / "runs" / "mrpc-all-0", "result/score") == [(8, 0.5)]


def test_columns_show_the_run_that_a_policy_is_from(tmp_path: Path) -> None:
    policy = tmp_path / "runs" / "mine" / "policy"
    policy.mkdir(parents=True)
    curves = RunCurves(tmp_path / "other", {"agent": str(policy), "teacher": ["user/model", "large"]})
    curves.phase({"step": 2, "loss/gold": 0.5})
    curves.close()
    row = plugin_data(tmp_path / "other")["_hparams_/session_start_info"].session_start_info.hparams
    assert (row["agent"].string_value, row["teacher"].string_value) == ("mine", "user/model, large")


def test_a_run_without_training_has_no_row(tmp_path: Path) -> None:
    curves = RunCurves(tmp_path, SETTINGS)
    curves.end({"accuracy": 0.5})
    curves.close()
    assert plugin_data(tmp_path) == {}
    assert points(tmp_path, "result/accuracy") == [(0, 0.5)]


def test_quantities_of_different_sizes_have_charts_of_their_own() -> None:
    charts = [chart for group in LAYOUT.values() for chart in group.values()]
    assert all(kind == "Multiline" and len(tags) == 1 for kind, tags in charts)
    reward = [tags[0] for _, tags in LAYOUT["Reward"].values()]
    assert reward == ["reward/phase$", "reward/total$", "reward/loss$"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_drawn(tmp_path: Path, value: float) -> None:
    curves = RunCurves(tmp_path, SETTINGS)
    curves.phase({"step": 2, "loss/gold": value, "loss/logits": 1.0})
    curves.close()
    assert read(tmp_path).Tags()["scalars"] == ["loss/logits"]
