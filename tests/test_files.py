"""Files are there in full or not at all, whoever writes them."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kselect import io
from kselect.agents.serialization import write_agent
from kselect.analysis.recording.table import DTYPES, ExampleTable
from kselect.distillation.snapshot import Snapshot
from kselect.errors import KselectError
from kselect.io import TEMPORARY, UnwritableError, replacing
from kselect.models.loading import load_classifier
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder
from kselect.runs.run_log import Ledger
from tests.tiny import tiny_classifier, tiny_task

ROOM = 2**16  # bytes


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond a limit, as a disk that is full does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def save_rows(path: Path, noise: np.ndarray) -> None:
    table: dict[str, Any] = {name: noise.astype(np.int32) for name in DTYPES}
    ExampleTable(**table).save(path)


WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "text": lambda path, noise: io.write_text(path, str(noise.tolist())),
    "agent.safetensors": lambda path, noise: write_agent(path.parent, {"class": len(noise)}, {"noise": noise}, {}),
    "snapshot": lambda path, noise: Snapshot({"noise": torch.tensor(noise)}, {}).save(path),
    "rows.parquet": save_rows,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_litter(tmp_path: Path, name: str) -> None:
    rng, path = np.random.default_rng(0), tmp_path / name
    WRITERS[name](path, rng.integers(2**30, size=8))
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with full_disk(), pytest.raises(KselectError, match=f"{name}.* cannot be written \\(.*File too large") as error:
        WRITERS[name](path, rng.integers(2**30, size=ROOM))
    assert "\n" not in str(error.value)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    WRITERS[name](path, rng.integers(2**30, size=ROOM))
    assert path.stat().st_size > ROOM


def test_what_is_no_error_of_the_system_passes_and_leaves_no_litter_either(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def stopped() -> None:
        with replacing(path) as (partial,):
            partial.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_of_several_files_all_are_replaced_or_none(tmp_path: Path) -> None:
    paths = [tmp_path / "below" / "first", tmp_path / "second"]
    with replacing(*paths) as partials:
        for partial in partials:
            partial.write_text("old")
    with pytest.raises(KselectError, match=r"first and .*second cannot be written"), replacing(*paths) as partials:
        partials[0].write_text("new")  # and nothing for the second
    assert [path.read_text() for path in paths] == ["old", "old"]
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [paths[1], paths[0]]


def test_what_a_kill_leaves_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / f".file{TEMPORARY}").write_text("half")
    with replacing(path) as (partial,):
        partial.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KselectError, match=r"cannot be written \((Not a directory|File exists)\)"):
        io.write_text(tmp_path / "file" / "below", "text")


def test_a_model_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    folder, small, large = tmp_path / "student", *(tiny_classifier(tiny_task(), hidden_size=size) for size in (16, 64))
    small.save_pretrained(folder)
    (folder / "notes.txt").write_text("mine")
    before = {file: file.read_bytes() for file in folder.iterdir()}
    with full_disk(), pytest.raises(UnwritableError, match=r"student cannot be written \(.*File too large") as error:
        large.save_pretrained(folder)
    assert "\n" not in str(error.value)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]
    large.save_pretrained(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert load_classifier(folder, tiny_task()).width == 64


def test_a_line_that_finds_no_room_is_reported_and_written_when_there_is(tmp_path: Path) -> None:
    with RunFolder.create(RunPlace(tmp_path, "tiny", "all", 0, "run"), {"seed": 0}) as run:
        long = {"step": 4, "phase": 0, "task": "x" * 2 * ROOM}
        with full_disk(), pytest.raises(UnwritableError, match=r"metrics\.jsonl cannot be written \(File too large"):
            run.log_phase(long)
        assert run.restore_metrics([{"step": 4, "phase": 0}]) == 1
        assert (run.path / "metrics.jsonl").read_text() == '{"step": 4, "phase": 0}\n'
        ledger = Ledger(tmp_path / "runs.jsonl", ("seed",))
        with full_disk(), pytest.raises(UnwritableError, match=r"runs\.jsonl cannot be written"):
            ledger.append({"seed": 0, "note": "x" * 2 * ROOM})
        ledger.append({"seed": 1})
        assert ledger.entries() == [{"seed": 1}]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_files_have_the_permissions_that_the_umask_leaves(tmp_path: Path, mask: int) -> None:
    former = os.umask(mask)
    try:
        tiny_classifier(tiny_task(), layers=1).save_pretrained(tmp_path / "student")
        for name in WRITERS:
            WRITERS[name](tmp_path / name, np.arange(8))
    finally:
        os.umask(former)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 8
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~mask}


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_missing_permission_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, call, refuse)  # root may write anywhere
    for name, write in WRITERS.items():
        with pytest.raises(UnwritableError, match=r"cannot be written \(Permission denied\)"):
            write(tmp_path / name, np.arange(8))
    assert list(tmp_path.iterdir()) == []
