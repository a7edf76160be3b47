"""A checkpoint is there whole or not at all, and is not taken too often."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kselect.distillation.snapshot import Snapshot
from kselect.errors import KselectError
from kselect.runs.checkpoint import Checkpoint

STATE = Snapshot({"run/w": torch.arange(6.0).reshape(2, 3), "agent/step": torch.tensor(7)}, {"n": 2**90, "x": 0.1})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoints" / "latest.safetensors")
    assert checkpoint.load() is None
    checkpoint.save(lambda: STATE)
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded.facts == STATE.facts
    assert loaded.tensors.keys() == STATE.tensors.keys()
    assert all(torch.equal(loaded.tensors[name], value) for name, value in STATE.tensors.items())
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["latest.safetensors"]
    checkpoint.drop()
    assert checkpoint.load() is None


def test_the_old_checkpoint_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "latest.safetensors")
    checkpoint.save(lambda: STATE)
    unwritable = Snapshot(STATE.tensors, {"n": object()})
    with pytest.raises(TypeError):
        checkpoint.save(lambda: unwritable)
    (tmp_path / ".latest.safetensors.part").write_bytes(b"half of it")  # as a kill would leave it
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded.facts == STATE.facts
    checkpoint.save(lambda: STATE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest-before.safetensors", "latest.safetensors"]


def test_damage_and_foreign_files_are_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "latest.safetensors")
    checkpoint.save(lambda: STATE)
    whole = checkpoint.path.read_bytes()
    for part in (0, 5, len(whole) // 2, len(whole) - 1):
        checkpoint.path.write_bytes(whole[:part])
        with pytest.raises(KselectError, match=r"latest\.safetensors is damaged .*: start over\.") as error:
            checkpoint.load()
        assert "\n" not in str(error.value)
    checkpoint.path.write_bytes(whole[:-5] + b"12345")
    with pytest.raises(KselectError, match=r"latest\.safetensors is damaged .its content does not match"):
        checkpoint.load()
    save_file(STATE.tensors, checkpoint.path)
    with pytest.raises(KselectError, match=r"latest\.safetensors does not hold the state of a run: start over"):
        checkpoint.load()


def test_where_the_latest_is_damaged_the_one_before_is_used_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoint(tmp_path / "latest.safetensors", run="mine")
    earlier, later = (Snapshot(STATE.tensors, {"n": number}) for number in (1, 2))
    checkpoint.save(lambda: earlier)
    checkpoint.save(lambda: later)
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(whole[: len(whole) // 2])
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded.facts == {"n": 1}
    assert "latest.safetensors is damaged" in caplog.text
    assert "resumes from" in caplog.text
    with pytest.raises(TypeError):
        checkpoint.save(lambda: Snapshot(STATE.tensors, {"n": object()}))
    again = checkpoint.load()
    assert again is not None
    assert again.facts == {"n": 1}
    checkpoint.save(lambda: later)
    newest = checkpoint.load()
    assert newest is not None
    assert newest.facts == {"n": 2}


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "latest.safetensors", run="seed 0").save(lambda: STATE)
    with pytest.raises(KselectError, match=r"latest\.safetensors is of a run with other settings or another seed"):
        Checkpoint(tmp_path / "latest.safetensors", run="seed 1").load()


def test_it_is_due_after_so_many_seconds(tmp_path: Path) -> None:
    path = tmp_path / "latest.safetensors"
    assert Checkpoint(path, every=0).due
    assert not Checkpoint(path, every=60).due
    checkpoint = Checkpoint(path, every=0.05)
    time.sleep(0.06)
    assert checkpoint.due
    checkpoint.save(lambda: STATE)
    assert not checkpoint.due


def test_a_slow_one_is_due_more_rarely(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "latest.safetensors", every=0.01)

    def slowly() -> Snapshot:
        time.sleep(0.02)
        return STATE

    checkpoint.save(slowly)
    time.sleep(0.1)  # ten times the interval, but a hundred times the cost is two seconds
    assert not checkpoint.due
