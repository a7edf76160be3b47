"""The policy that comes with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kselect.agents.portfolio import Portfolio
from kselect.agents.registry import load_agent
from kselect.cli.main import main
from kselect.config import TEXT_SOURCES, AgentConfig
from kselect.distillation.facts.facts import GAP
from kselect.errors import KselectError
from kselect.io import read_json
from kselect.recipes import recipe_defaults
from kselect.recipes.shipped import SHIPPED, policy_folder

SMALL = ["--train_limit", "120", "--epochs", "1"]


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_a_small_portfolio_with_a_card(name: str) -> None:
    folder = policy_folder(name)
    assert folder is not None
    assert isinstance(load_agent(folder), Portfolio)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 200_000
    assert (folder / "README.md").is_file()
    assert recipe_defaults(AgentConfig(name), {})["skip_unsupported"]


def test_it_is_what_a_distillation_follows_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    task = ["--task", "synthetic-acceptability", *SMALL]
    assert main(["train-teacher", *task, "--run_name", "teacher"]) == 0
    assert main(["distill", *task, "--teacher", "runs/teacher/model", "--layers", "2", "--run_name", "student"]) == 0
    results = read_json(tmp_path / "runs" / "student" / "results.json")
    assert results["agent"] == "auto"
    assert f"chose {results['choice']['selection']}" in capsys.readouterr().out
    assert not results["choice"]["selection"].endswith("texts")  # there are none


@pytest.mark.parametrize("disagreement", [0.02, 0.2])
@pytest.mark.parametrize(("points_ahead", "learns_from_teacher"), [(-10, False), (10, True), (20, True)])
def test_a_teacher_of_the_same_labels_is_learned_from_if_it_is_ahead(
    points_ahead: float, learns_from_teacher: bool, disagreement: float
) -> None:
    folder = policy_folder("auto")
    assert folder is not None
    agent = load_agent(folder)
    assert isinstance(agent, Portfolio)
    assert agent.names is not None
    agent.names = tuple(name for name in agent.names if name not in TEXT_SOURCES)  # no further texts
    context = np.zeros(agent.context_size)
    context[list(agent.known.values())] = 1
    context[agent.facts["teacher_less_probe"]] = points_ahead / 100 / GAP
    context[agent.facts["disagreement"]] = disagreement
    assert (agent.choose({"context": context}) != "gold") == learns_from_teacher


def test_a_folder_of_that_name_is_given_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "auto").mkdir()
    assert policy_folder("./auto") == Path("./auto")
    assert policy_folder("auto") != Path("auto")
    with pytest.raises(KselectError, match="No trained policy"):
        recipe_defaults(AgentConfig("./auto"), {})
