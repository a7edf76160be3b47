"""docs/collecting.md: its suite is read, its commands and its code work, and its tables are complete."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from kselect.cli.commands import COMMANDS
from kselect.collection.conditions import Condition, StudentSpec, TeacherSpec
from kselect.collection.suite import SECTIONS, read_suite
from tests.collection.tables import ENTRIES, write

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "collecting.md").read_text()


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def test_the_suite_is_read(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(blocks("yaml")[0])
    suite = read_suite(tmp_path / "suite.yaml")
    assert list(suite.conditions) == ["sst2-good", "sst2-weak", "reviews-noisy"]
    assert suite.conditions["sst2-weak"].teacher.examples == 150


def test_commands_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    lines = [line for line in "".join(blocks("")).splitlines() if line.startswith("kselect ")]
    assert len(lines) == 7
    for _, command, *words in map(shlex.split, lines):
        if not {"runs/portfolio", "runs/offline"} & {*words}:  # which are not there
            assert COMMANDS[command].settings(words) is not None


def test_the_tables_name_every_setting() -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    names = [member.name for group in (Condition, TeacherSpec, StudentSpec) for member in fields(group)]
    for name in (*SECTIONS, "defaults", "dev_examples", *names):
        assert f"`{name}`" in rows, name


def test_replaying_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "pool").mkdir(parents=True)
    write(tmp_path / "runs" / "pool" / "runs.jsonl", ENTRIES)
    exec(blocks("python")[0], {})
    assert capsys.readouterr().out.splitlines() == [
        *("weak 0 gold 0.5 0.71 0.9", "weak 0 logits 0.55 0.61 0.9", "weak 0 logits>gold 0.55 0.76 0.9"),
        *("weak 1 gold 0.3 0.51 0.9", "weak 1 logits 0.2 0.62 0.9"),
        *("weak 0 logits 0.61 1.25", "weak 1 gold 0.51 1.25"),
        "weak 0 0.76",
    ]


def test_a_pool_is_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "pool").mkdir(parents=True)
    write(tmp_path / "runs" / "pool" / "runs.jsonl", [one for one in ENTRIES if one["selection"] != "logits>gold"])
    exec(blocks("python")[1].replace("5000", "150").replace("sst2-weak", "weak"), {})
    assert capsys.readouterr().out.strip() in ("gold 0.71", "logits 0.61")
