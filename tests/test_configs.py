"""The configurations that come along: commands take them, and those that their comments tell of are commands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from kselect.cli.commands import COMMANDS
from kselect.cli.compared_tasks import settings_of_run
from kselect.cli.main import main
from kselect.config import AgentConfig, check_head_of
from kselect.recipes import check, check_decider
from kselect.tasks.glue import GLUE_FORMATS
from tests.glue_files import write_tsv
from tests.tiny import tiny_classifier, tiny_task

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
every_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


def commands(path: Path) -> list[list[str]]:
    """What a comment tells to type, word by word."""
    comment = "\n".join(line[1:] for line in path.read_text().splitlines() if line.startswith("#"))
    lines = comment.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if re.match(r" {3}kselect ", line)]


@every_config
def test_its_commands_are_accepted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    told = [words[1:] for words in commands(path) if words[0] == "kselect"]
    assert told
    for name, *words in told:
        settings = COMMANDS[name].settings(words)
        assert settings is not None
        check_head_of(settings.task.task_type, settings.model.head)
        assert "--config" not in words or words[words.index("--config") + 1] == f"configs/{path.name}"


@pytest.mark.slow
@pytest.mark.parametrize("name", GLUE_FORMATS)
def test_every_task_of_glue_has_a_configuration_that_runs(name: str, tmp_path: Path) -> None:
    tiny_classifier(tiny_task(), layers=7, hidden_size=8).save_pretrained(tmp_path / "encoder")
    write_tsv(tmp_path / "glue", name)
    small = ["--max_length", "16", "--epochs", "0.1", "--precision", "fp32", "--runs_dir", str(tmp_path / "runs")]
    small += ["--data_dir", str(tmp_path / "glue")]
    teacher = ["--task", name, "--encoder", str(tmp_path / "encoder"), "--run_name", "teacher"]
    assert main(["train-teacher", *teacher, *small]) == 0
    student = ["--teacher", str(tmp_path / "runs" / "teacher" / "model"), "--agent", "vanilla-kd", "--run_name", "x"]
    assert main(["distill", "--config", str(ROOT / "configs" / f"{name}-bert.yaml"), *student, *small]) == 0
    assert json.loads((tmp_path / "runs" / "x" / "student" / "config.json").read_text())["num_hidden_layers"] == 6


@every_config
def test_its_agents_can_be_compared(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for _, name, *words in commands(path):
        if name == "compare":
            settings = COMMANDS[name].settings(words)
            assert settings is not None
            for agent in map(AgentConfig, settings.comparison.labelled.values()):
                check_decider(agent.agent)
                check(agent, settings_of_run(settings, agent, 0).knowledge)
