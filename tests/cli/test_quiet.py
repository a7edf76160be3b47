"""With --quiet a command prints its results, and on standard error nothing but errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from kselect.cli.console import Progress, notice
from kselect.cli.main import main
from kselect.logging import get_logger, set_verbosity
from tests.tiny import tiny_classifier, tiny_task

SMALL = ["--train_limit", "160", "--max_length", "8", "--batch_size", "8", "--precision", "fp32"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    tiny_classifier(tiny_task()).save_pretrained(folder)
    return folder


def words(command: str, teacher: Path, runs: Path, *more: str) -> list[str]:
    task = ["--task", "synthetic-acceptability", "--teacher", str(teacher), "--layers", "2"]
    return [command, *task, *SMALL, "--runs_dir", str(runs), "--run_name", "run", *more]


@pytest.mark.parametrize(
    ("command", "more", "progress"),
    [
        ("doctor", [], "Examining the teacher on synthetic-acceptability: 5/5 steps (100 %)"),
        ("distill", ["--agent", "all", "--epochs", "1"], "Distilling synthetic-acceptability under all: "),
        ("compare", ["--agents", "all", "--seeds", "0", "--epochs", "1"], "Comparing 1 agent on synthetic-acc"),
    ],
)
def test_quiet_leaves_results_and_nothing_else(
    command: str, more: list[str], progress: str, teacher: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    level = get_logger().level
    capfd.readouterr()
    assert main(words(command, teacher, tmp_path / "loud", *more)) == 0
    loud = capfd.readouterr()
    assert progress in loud.err
    assert main(words(command, teacher, tmp_path / "quiet", *more, "--quiet")) == 0
    quiet = capfd.readouterr()
    assert quiet.err == ""
    titles = [line.split("  ")[0] for line in loud.out.replace("loud", "quiet").splitlines()]
    assert [line.split("  ")[0] for line in quiet.out.splitlines()] == titles  # their times differ
    assert get_logger().level == level


def test_quiet_shows_errors(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--task", "synthetic-acceptability", "--teacher", str(tmp_path / "none"), "-q"]) == 2
    assert capfd.readouterr().err.startswith("kselect: error: ")


def test_notices_and_progress_follow_the_verbosity(capfd: pytest.CaptureFixture[str]) -> None:
    level = get_logger().level
    try:
        for verbosity, shown in (("error", False), ("warning", True), ("debug", True)):
            set_verbosity(verbosity)
            notice("Two texts were cut.")
            with Progress(2, "Job", every=0.0) as progress:
                progress.part("Part")(1, 2)
                progress.advance()
            assert ("Two texts were cut.\nPart: 1/2 examples (50 %)\nJob: 1/2" in capfd.readouterr().err) is shown
    finally:
        get_logger().setLevel(level)
