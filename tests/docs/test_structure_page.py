"""docs/structure.md: its commands are accepted, and its cases are those of the configurations."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from kselect.cli.commands import COMMANDS
from kselect.config.comparison import CompareConfig
from kselect.knowledge.marginals import HEAD_PAIRS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "structure.md").read_text()
TABLE = [line for line in PAGE[PAGE.index("## Configurations") :].splitlines() if line.startswith("| `")]


def test_its_commands_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = "".join(re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    lines = [line for line in blocks.splitlines() if line.startswith("kselect ")]
    assert len(lines) == 6
    for line in lines:
        name, *words = shlex.split(line)[1:]
        assert COMMANDS[name].settings(words) is not None


def test_its_program_runs() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    space: dict[str, Any] = {}
    exec(compile(program, "docs/structure.md", "exec"), space)
    sums = space["teacher"].marginals.labels.sum(-1)
    torch.testing.assert_close(sums, space["mask"].float())
    assert space["emissions"].grad.abs().sum() > 0


def test_every_case_has_its_configurations() -> None:
    configurations: set[str] = set()
    for line in TABLE:
        names, pair, _, *_ = [cell.strip() for cell in line.strip("|").split("|")]
        heads = re.findall(r"`([a-z-]+)`", pair) or ["parser", "parser"]
        for name in re.findall(r"`([a-z0-9-]+)`", names):
            config = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
            assert config["head"] == heads[1]
            assert (heads[0], heads[1]) in HEAD_PAIRS
            configurations.add(name)
    configs = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "configs").glob("*.yaml")}
    assert configurations == {name for name, config in configs.items() if config.get("task_type", "text") != "text"}


def test_the_agents_of_a_case_are_those_of_its_configuration() -> None:
    for line in TABLE:
        names, _, _, *agents = [cell.strip() for cell in line.strip("|").split("|")]
        named = set(re.findall(r"`([^`]+)`", " ".join(agents)))
        for name in re.findall(r"`([a-z0-9-]+)`", names):
            text = (ROOT / "configs" / f"{name}.yaml").read_text().replace("\\\n#", " ")
            compared = CompareConfig(re.findall(r"--agents (\S+)", text)[0].split(",")).labelled
            assert named | {"fine-tune"} == {*compared.values(), "fine-tune"}, name
