"""The same command finds the folder that it left unfinished, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kselect.distillation.snapshot import Snapshot
from kselect.errors import KselectError
from kselect.io import UnwritableError
from kselect.runs.resume import LAST_GOOD, RunPlace
from kselect.runs.run_dir import RunFolder

CONFIG = {"learning_rate": 1e-4, "layers": [1, 3], "runs_dir": "runs", "checkpoint_every": 30.0}
STATE = Snapshot({"run/w": torch.zeros(2)}, {})


def open_run(runs: Path, name: str | None = None, fresh: bool = False, **changed: Any) -> RunFolder:
    config = {**CONFIG, "run_name": name, "fresh": fresh, **changed}
    return RunFolder.open(RunPlace(runs, "mrpc", "online", 3, name), config, fresh)


def stopped(runs: Path, name: str | None = None, **changed: Any) -> Path:
    with open_run(runs, name, **changed) as run:
        run.checkpoint.save(lambda: STATE)
    return run.path


@pytest.mark.parametrize("name", [None, "mine"])
def test_an_unfinished_run_of_the_same_settings_goes_on(tmp_path: Path, name: str | None) -> None:
    path = stopped(tmp_path, name)
    with open_run(tmp_path, name, runs_dir="elsewhere", checkpoint_every=5.0) as again:
        assert again.resumed
        assert again.path == path
        assert again.checkpoint.load() is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_without_a_name_the_newest_goes_on_and_other_settings_are_left_alone(tmp_path: Path) -> None:
    config = (stopped(tmp_path) / "config.yaml").read_text()
    for name in (
        "mrpc-online-3-29990101-000000",
        "mrpc-online-3-29990102-000000",
        "mrpc-online-3-29990103-000000.old-1",
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(config)
        (tmp_path / name / "environment.json").write_text("{}")
    with open_run(tmp_path) as again:
        assert again.path.name == "mrpc-online-3-29990102-000000"
    with open_run(tmp_path, learning_rate=1e-3) as other:
        assert not other.resumed
    assert other.path.name not in ("mrpc-online-3-29990101-000000", "mrpc-online-3-29990102-000000")


def test_a_run_that_is_under_way_is_left_alone(tmp_path: Path) -> None:
    for fresh in (False, True):
        with open_run(tmp_path, "mine"), pytest.raises(KselectError, match="mine is being written by another process"):
            open_run(tmp_path, "mine", fresh=fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with open_run(tmp_path) as first, open_run(tmp_path) as second, open_run(tmp_path, fresh=True) as third:
        assert len({first.path, second.path, third.path}) == 3
        assert not second.resumed
    assert not list(tmp_path.glob("*.old-*"))


def test_other_settings_under_the_same_name_are_refused_by_name(tmp_path: Path) -> None:
    path = stopped(tmp_path, "mine")
    before = sorted(path.rglob("*"))
    message = (
        f"{path} holds an unfinished run of other settings: learning_rate was 0.0001, is 0.001; layers was [1, 3], "
        "is 3. Give those, another run_name, or fresh to start over."
    )
    with pytest.raises(KselectError, match=re.escape(message)):
        open_run(tmp_path, "mine", learning_rate=1e-3, layers=3)
    with pytest.raises(KselectError, match="epochs was not a setting, is 3"):
        open_run(tmp_path, "mine", epochs=3)
    assert sorted(path.rglob("*")) == before


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_a_run_killed_before_its_settings_were_written_is_taken(tmp_path: Path, fresh: bool) -> None:
    path = stopped(tmp_path, "mine")
    (path / "config.yaml").rename(path / ".config.yaml.part")  # as a kill amid writing it leaves things
    (path / "checkpoints" / "latest.safetensors").unlink()
    for events in path.glob("events.out.*"):
        events.unlink()
    with open_run(tmp_path, "mine", fresh) as run:
        assert (run.path, run.resumed) == (path, False)
        assert (path / "config.yaml").exists()
    assert [other.name for other in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_another_run_is_beginning_is_not_taken(tmp_path: Path) -> None:
    with open_run(tmp_path, "mine") as run:
        run.close()
    path = run.path
    for other in [path / "config.yaml", *path.glob("events.out.*")]:
        other.unlink()
    with FileLock(path / "checkpoints" / "lock"), pytest.raises(KselectError, match="being written by another process"):
        open_run(tmp_path, "mine")


def test_a_finished_run_is_refused_and_a_diverged_one_too(tmp_path: Path) -> None:
    with open_run(tmp_path, "done") as run:
        run.checkpoint.save(lambda: STATE)
        run.write_results({"metrics": {}})
    assert not (run.path / "checkpoints").exists()
    with pytest.raises(
        KselectError, match="done is not empty, its run is finished: give another run_name, or fresh to start over"
    ):
        open_run(tmp_path, "done")
    for name, state in (("diverged", STATE), ("elsewhere", None)):
        with open_run(tmp_path, name) as run:
            run.checkpoint.save(lambda: STATE)
            said = run.write_diverged("It diverged.", state)
        assert ("last-good" in said) == (run.path / LAST_GOOD).exists() == (state is not None)
        with pytest.raises(KselectError, match=f"{name} is not empty, its run diverged"):
            open_run(tmp_path, name)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    for fresh, said in ((False, "notes is not empty, and holds no run"), (True, "notes is not a run folder")):
        with pytest.raises(KselectError, match=said):
            open_run(tmp_path, "notes", fresh=fresh)
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"


def test_a_run_is_marked_as_diverged_before_anything_can_fail(tmp_path: Path) -> None:
    """Stopped at any point of it, the run is not resumed, which would make it diverge again."""
    with open_run(tmp_path, "mine") as run:
        run.checkpoint.save(lambda: STATE)
        (run.path / LAST_GOOD).mkdir()  # so that the last good state cannot be saved
        with pytest.raises(UnwritableError, match=Path(LAST_GOOD).name):
            run.write_diverged("It diverged.", STATE)
        assert run.checkpoint.path.exists()  # dropped last
    with pytest.raises(KselectError, match="mine is not empty, its run diverged"):
        open_run(tmp_path, "mine")


@pytest.mark.parametrize("name", [None, "mine"])
def test_fresh_sets_aside_and_starts_over(tmp_path: Path, name: str | None) -> None:
    first = stopped(tmp_path, name)
    for number in (1, 2):
        with open_run(tmp_path, name, fresh=True) as run:
            assert not run.resumed
            assert run.checkpoint.load() is None
        if name:
            assert run.path == first
            assert (tmp_path / f"mine.old-{number}" / "config.yaml").exists()
    assert len(list(tmp_path.glob("*.old-*"))) == 2
    assert len(list(tmp_path.iterdir())) == 3
    with open_run(tmp_path, name) as again:
        assert again.path == run.path


def test_a_folder_that_somebody_has_set_aside_by_hand_is_in_nobodys_way(tmp_path: Path) -> None:
    stopped(tmp_path, "mine")
    for name in ("mine.old-notes", "mine.old-7", "mine.old-"):
        (tmp_path / name).mkdir()
    with open_run(tmp_path, "mine", fresh=True) as run:
        assert not run.resumed
    assert (tmp_path / "mine.old-8" / "config.yaml").exists()


def test_fresh_of_nothing_is_a_new_run(tmp_path: Path) -> None:
    with open_run(tmp_path / "runs", "mine", fresh=True) as run:
        assert not run.resumed
    assert "fresh" not in run.config


def phase(step: int) -> dict[str, Any]:
    return {"step": step, "phase": step, "loss/gold": 1 / step}


def test_what_was_written_after_the_checkpoint_is_dropped(tmp_path: Path) -> None:
    path = stopped(tmp_path, "mine")
    with open_run(tmp_path, "mine") as run:
        run.rewind(0)
        for step in (1, 2, 3, 4):
            run.log_phase(phase(step))
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "loss')  # as a kill leaves it
    with open_run(tmp_path, "mine") as run:
        run.rewind(2)
        run.log_phase(phase(3))
    with open_run(tmp_path, "mine") as run:
        run.rewind(3)
        run.log_phase(phase(4))
        run.write_results({"metrics": {"accuracy": 0.5}})
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    events = EventAccumulator(str(path)).Reload()
    assert [event.step for event in events.Scalars("loss/gold")] == [1, 2, 3, 4]
    server = plugin_event_accumulator.EventAccumulator(str(path)).Reload()  # what the server reads with
    assert [event.step for event in server.Tensors("loss/gold")] == [1, 2, 3, 4]
    assert len(server.Tensors("custom_scalars__config__")) == 1
    assert [event.step for event in events.Scalars("result/accuracy")] == [4]


def test_pieces_run_elsewhere_are_recorded(tmp_path: Path) -> None:
    path = stopped(tmp_path, "mine")
    with open_run(tmp_path, "mine"):
        assert "earlier" not in json.loads((path / "environment.json").read_text())
    environment = json.loads((path / "environment.json").read_text())
    (path / "environment.json").write_text(json.dumps(environment | {"threads": 99}))
    with open_run(tmp_path, "mine"):
        pass
    now = json.loads((path / "environment.json").read_text())
    assert [piece["threads"] for piece in now["earlier"]] == [99]
    assert now["threads"] == environment["threads"]
