"""docs/agents.md: its tables are complete and right, its schedule loads, its example runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kselect.agents.registry import LEARNERS, ONLINE, knowledge_of
from kselect.recipes import NAMED, RECIPES
from kselect.recipes.shipped import SHIPPED
from tests.tiny import tiny_classifier, tiny_task

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()
ROWS = dict(re.findall(r"^\| `(\S+)` \| (.*) \|$", PAGE, re.MULTILINE))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_it_has_a_row_for_every_agent_and_no_other() -> None:
    assert set(ROWS) == {*NAMED, *ONLINE, *SHIPPED}
    assert PAGE.index("| `actor-critic`") > PAGE.index("## Agents that learn") > PAGE.index("| `all`")
    assert all(PAGE.index(f"| `{name}`") > PAGE.index("## Agents that learn") for name in LEARNERS)


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.stages])
def test_a_row_names_what_its_recipe_weighs(name: str) -> None:
    text = ROWS[name].replace("query-, key- and value-relations", "query-relations key-relations value-relations")
    if name == "minilmv2":
        text += " gold"  # the same, says the row, as the one before
    assert [kind for kind in RECIPES[name].knowledge or () if kind not in text] == []


def test_rows_name_the_papers_that_the_help_names() -> None:
    for name, line in NAMED.items():
        paper = re.search(r"\((?:soft; )?([A-Z]\w+ et al\. \d{4})", line)
        assert paper is None or paper[1] in ROWS[name]


def test_its_schedule_is_one() -> None:
    (text,) = blocks("yaml")
    settings = yaml.safe_load(text)
    assert knowledge_of(settings["agent"], settings["agent_settings"]) == ("hidden", "attention", "gold", "logits")
    shipped = Path(__file__).parents[2] / "configs" / "mrpc-schedule.yaml"
    assert yaml.safe_load(shipped.read_text())["agent_settings"] == settings["agent_settings"]


def test_its_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, sb3_code = blocks("python")
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "runs" / "teacher" / "model")
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "docs/agents.md", "exec"), names)
    weights = [list(phase["weights"].values()) for phase in names["result"].history]
    assert len({tuple(row) for row in weights}) > 1  # it changes its mind as losses fall
    assert (tmp_path / "neediest" / "agent.json").is_file()
    pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    exec(compile(sb3_code, "docs/agents.md", "exec"), names)
    assert (tmp_path / "sb3-policy" / "agent.json").is_file()
