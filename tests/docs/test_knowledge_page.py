"""What docs/knowledge.md shows, run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from kselect.cli.commands import COMMANDS
from kselect.config import DEFAULT_KNOWLEDGE, LEVELS, PARSER_KNOWLEDGE, TEXT_KNOWLEDGE, WORD_KNOWLEDGE
from kselect.knowledge.layer_map import PRESETS, parse_layer_map
from kselect.knowledge.registry import BUILDERS
from tests.architectures import CONFIGS
from tests.tiny import tiny_classifier, tiny_task

PAGES = Path(__file__).parents[2] / "docs"
PAGE = (PAGES / "knowledge.md").read_text()
STRUCTURE = PAGES / "structure.md"


def rows_of(page: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


ROWS = rows_of(PAGE)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "runs" / "teacher" / "model")
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    try:
        exec(compile(program, "docs/knowledge.md", "exec"), space)
    finally:
        BUILDERS.pop("hidden-norm", None)
    assert "hidden-norm" in capsys.readouterr().out
    assert space["report"].losses["hidden-norm"] > 0


def test_every_kind_is_in_the_table() -> None:
    kinds = {name: row[-1] for row in ROWS if len(row) == 5 for name in re.findall(r"`([a-z-]+)`", row[0])}
    assert tuple(kinds) == tuple(name for name in TEXT_KNOWLEDGE if name not in LEVELS)
    assert tuple(row[0].strip("`") for row in ROWS if len(row) == 4) == LEVELS
    of_words = [row[0].strip("`") for row in rows_of(STRUCTURE.read_text()) if len(row) == 4]
    assert [name for name in of_words if name in WORD_KNOWLEDGE] == list(WORD_KNOWLEDGE)
    assert tuple(name for name, offered in kinds.items() if offered == "by default") == DEFAULT_KNOWLEDGE


def test_the_page_names_what_a_parser_offers() -> None:
    assert [name for name in PARSER_KNOWLEDGE if f"there is `{name}`" not in PAGE] == []


def test_its_commands_are_accepted() -> None:
    blocks = "".join(re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    lines = [line for line in blocks.splitlines() if line.startswith("kselect ")]
    assert len(lines) == 2
    for line in lines:
        name, *words = shlex.split(line.replace("configs/", f"{PAGES.parent}/configs/"))[1:]
        assert COMMANDS[name].settings(words) is not None


def test_every_layer_map_is_as_the_table_says() -> None:
    maps = {row[0].strip("`"): row[1] for row in ROWS if len(row) == 3 and "--" not in row[0]}
    assert set(PRESETS) < set(maps)
    for text, pairs in maps.items():
        assert ", ".join(f"{student}:{teacher}" for student, teacher in parse_layer_map(text, 3, 6)) == pairs


def test_every_tested_architecture_is_named() -> None:
    text = PAGE.lower().replace("-", "")
    assert [name for name in CONFIGS if name.replace("-", "") not in text] == []
