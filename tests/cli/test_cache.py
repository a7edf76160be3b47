"""`kselect cache` on entries that real runs left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kselect.cli.main import main
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.cache_entry import CacheEntry
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task

ROOT = Path(__file__).parents[2]


@pytest.fixture
def filled(cache_dir: Path) -> Path:
    """Two entries, of one task and two teachers."""
    for seed in (0, 1):
        teacher = tiny_classifier(tiny_task(), seed=seed)
        teacher.model.name_or_path = f"runs/teacher-{seed}"
        distiller = tiny_distiller({"knowledge": ["gold", "logits", "hidden"]}, teacher=teacher)
        distiller.reset(0)
        distiller.advance([1, 1, seed], 1)
    return cache_dir


def test_list_shows_the_entries(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Teacher outputs in {filled}"
    rows = {line.split()[2]: line for line in lines if "runs/teacher" in line}
    entries = {entry.about["teacher"]: entry for entry in CacheFolder().entries()}
    assert rows.keys() == entries.keys() == {"runs/teacher-0", "runs/teacher-1"}
    for teacher, entry in entries.items():
        row = rows[teacher].split()
        assert row[:2] == [entry.key[:12], "synthetic-acceptability"]
        assert row[3] == "float32"
        size, per_token = row[-4:-2]
        assert size == f"{sum(path.stat().st_size for path in entry.folder.iterdir()) / 2**20:.1f}"
        assert per_token == f"{entry.bytes / entry.about['tokens']:.0f}"
    assert " logits " in rows["runs/teacher-0"]
    assert " logits hidden_states:2,4 " in rows["runs/teacher-1"]
    assert lines[-1].split()[0] == "total"


def test_verify_names_a_damaged_file_and_how_to_fix_it(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "verify"]) == 0
    assert capsys.readouterr().out == "4 files of 2 entries are what was written.\n"
    (path,) = filled.glob("*/hidden_states-2.npy")
    content = bytearray(path.read_bytes())
    content[500] ^= 4
    path.write_bytes(content)
    assert main(["cache", "verify"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"kselect: error: {path}: not what was written.")
    assert err.count("\n") == 1
    command = err.rstrip(".\n").rpartition("kselect ")[2].split()
    assert main(command) == 0
    assert main(["cache", "verify"]) == 0
    assert capsys.readouterr().out.endswith("\n1 file of 1 entry is what was written.\n")


def test_clear_deletes_and_says_how_much(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = CacheFolder().entries()
    assert main(["cache", "clear", "--entry", first.key[:4]]) == 0
    assert capsys.readouterr().out.startswith("Cleared 1 entry, 0.")
    assert [entry.key for entry in CacheFolder().entries()] == [second.key]
    with second.filling():
        assert main(["cache", "clear"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"A run is filling {second.key[:12]}: clear it once the run has stopped." in err
    assert main(["cache", "clear", "--cache_dir", str(filled)]) == 0
    assert list(filled.glob("*/*.npy")) == []
    capsys.readouterr()
    for action in ("list", "verify", "clear"):
        assert main(["cache", action]) == 0
        assert capsys.readouterr().out == f"{filled} holds no teacher outputs.\n"


def test_an_empty_entry_does_not_mean_all(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear", "--entry", ""]) == 2
    assert "entry is empty" in capsys.readouterr().err
    assert len(CacheFolder().entries()) == 2


def test_clear_reports_deleted_entries_and_those_being_filled(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = CacheFolder().entries()
    size = f"{first.bytes / 2**20:.1f}"
    with second.filling():
        assert main(["cache", "clear"]) == 2
    out, err = capsys.readouterr()
    assert out == f"Cleared 1 entry, {size} MiB, from {filled}.\n"
    assert f"A run is filling {second.key[:12]}:" in err
    assert [entry.key for entry in CacheFolder().entries()] == [second.key]


def test_an_entry_whose_first_pass_was_killed(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed = CacheEntry(filled / ("f" * 32))
    program = (
        "import os, sys; from pathlib import Path; from kselect.distillation.teacher.cache_entry import CacheEntry\n"
        "from kselect.io import replacing\n"
        "entry = CacheEntry(Path(sys.argv[1]))\n"
        "with entry.filling(), replacing(entry.folder / 'logits.npy') as (file,):\n"
        "    file.touch(); print('filling', flush=True); input()"
    )
    command = [sys.executable, "-c", program, str(killed.folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "filling\n"
        shown = {}
        for state in ("being filled", "unfinished"):
            assert main(["cache"]) == 0
            (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("f" * 12)]
            assert row.split()[1:-3] == state.split()
            assert main(["cache", "verify"]) == 0
            counted, shown[state] = capsys.readouterr().out.splitlines()
            assert counted == "4 files of 2 entries are what was written."
            if state == "being filled":
                process.kill()
                process.wait()
    assert [path.name for path in killed.folder.iterdir()] == [".logits.npy.part"]
    assert shown["being filled"] == f"{'f' * 12} is being filled by a run: nothing to verify yet."
    assert shown["unfinished"].startswith(f"{'f' * 12} is unfinished")
    assert main(["cache", "verify", "--entry", "f" * 12]) == 0
    assert capsys.readouterr().out.splitlines() == [shown["unfinished"]]
    with killed.filling():
        assert list(killed.folder.iterdir()) == []  # as the next pass begins
    assert main(shown["unfinished"].rpartition("kselect ")[2].split()[:4]) == 0
    assert not killed.folder.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lits"], "--action is 'lits': expected list, verify or clear."),
        (["list", "clear"], "'clear' belongs to no option"),
        (["clear", "--entry", "zz"], "holds no entry"),
        (["list", "--cache_dir", __file__], "cannot be read (Not a directory): give another cache_dir."),
    ],
)
def test_bad_input_is_refused(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


def test_what_is_not_an_entry_is_left_alone(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (filled / "thesis").mkdir()
    (filled / ("a" * 32)).write_text("a file")
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith("Cleared 2 entries")
    assert sorted(path.name for path in filled.iterdir()) == ["a" * 32, "locks", "thesis"]


def test_verify_names_an_index_that_cannot_be_read(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = CacheFolder().entries()
    (first.folder / "index.json").write_text("{")
    assert main(["cache", "list"]) == 0
    assert first.key[:12] in capsys.readouterr().out
    assert main(["cache", "verify"]) == 2
    assert f"{first.folder}/index.json: not what was written" in capsys.readouterr().err


def test_an_entry_that_is_not_there_is_named(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear", "--entry", "zz"]) == 2
    said = capsys.readouterr().err
    assert "Unknown entry 'zz'" in said
    known = said.partition("Known: ")[2].rstrip(".\n").split(", ")
    assert set(known) == {entry.key[:12] for entry in CacheFolder().entries()}  # as the list shows them
    assert len(CacheFolder().entries()) == 2


def test_nobody_waits_for_torch(filled: Path) -> None:
    program = (
        "import sys; from kselect.cli.main import main; main(['cache', sys.argv[1]]); assert 'torch' not in sys.modules"
    )
    for action in ("list", "clear"):
        subprocess.run([sys.executable, "-c", program, "cache", action], cwd=ROOT, check=True, capture_output=True)
