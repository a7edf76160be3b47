"""What commands show in TensorBoard: read back with its own reader, held against its page, and seen in a browser."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kselect.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "tensorboard.md").read_text()
SMALL = ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--epochs", "1.5"]
TEACHER = ["--task", "synthetic-acceptability", "--hidden_size", "16", "--heads", "2", "--encoder_layers", "2"]
PHASES = ["--layers", "1", "--phases", "constant", "--phase_steps", "3"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each kind, as `tensorboard --logdir` gets it."""
    folder = tmp_path_factory.mktemp("runs")
    distilled = ["--task", "synthetic-acceptability", "--teacher", str(folder / "teacher" / "model"), *PHASES]
    policy = str(folder / "policy" / "policy")
    vanilla = ["--agent", "vanilla-kd", "--measure_rewards", "true", "--record"]
    for command, name, words in (
        ("train-teacher", "teacher", TEACHER),
        ("train-policy", "policy", [*distilled, "--episodes", "2", "--agent_settings", "entropy=0.05"]),
        ("distill", "student", [*distilled, "--agent", policy]),
        ("distill", "vanilla", [*distilled, *vanilla]),
        ("compare", "compare", [*distilled, "--agents", "fine-tune", "--seeds", "0"]),
    ):
        assert main([command, *SMALL, *words, "--runs_dir", str(folder), "--run_name", name]) == 0
    return folder


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def all_tags(folder: Path) -> set[str]:
    """Every tag of a run and its sub-runs, but for what TensorBoard itself reads."""
    found = set()
    for path in {events.parent for events in folder.rglob("events.out.*")}:
        tags = read(path).Tags()
        found |= {tag for kind in ("scalars", "images", "tensors", "histograms") for tag in tags[kind]}
    return {tag.removesuffix("/text_summary") for tag in found if not tag.startswith("custom_scalars")}


def documented() -> list[re.Pattern[str]]:
    """The names in the first columns of the page's tables, as expressions."""
    cells = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    return [re.compile(re.sub("<.*?>", ".+", name)) for name in names]


def test_every_tag_is_documented(runs: Path) -> None:
    tags, names = all_tags(runs), documented()
    assert len(tags) > 60
    unknown = {tag for tag in tags if not any(name.fullmatch(tag) for name in names)}
    assert not unknown
    figures = {tag.partition("/")[2] for tag in tags if tag.startswith("agent/")}
    assert {"value", "advantage", "policy_loss"} <= figures
    assert not {figure for figure in figures if figure not in PAGE}


def test_every_field_of_the_metrics_is_documented(runs: Path) -> None:
    lines = [json.loads(line) for path in runs.glob("*/metrics.jsonl") for line in path.read_text().splitlines()]
    names = documented()
    assert not {field for line in lines for field in line if not any(name.fullmatch(field) for name in names)}


def groups(folder: Path) -> set[str]:
    return {tag.partition("/")[0] for tag in read(folder).Tags()["scalars"]}


def test_nothing_idle_is_drawn(runs: Path) -> None:
    assert groups(runs / "teacher") == {"loss", "relative_loss", "signal", "cost", "result"}
    vanilla = {"loss", "relative_loss", "signal", "selection", "reward", "recording", "cost", "result"}
    assert groups(runs / "vanilla") == vanilla
    learned = {"loss", "relative_loss", "signal", "selection", "preference", "state", "reward", "agent"}
    assert groups(runs / "student") == learned | {"cost", "result"}
    assert groups(runs / "policy") == {"agent", "episode", "result"}
    assert groups(runs / "policy" / "episodes" / "001-synthetic-acceptability") == learned | {"cost"}


def test_a_baseline_lies_beside_a_learned_run(runs: Path) -> None:
    learned, fixed = (read(runs / name).Scalars("reward/total") for name in ("student", "vanilla"))
    assert [event.step for event in learned] == [event.step for event in fixed] == [3, 6, 9, 12, 15]
    results = json.loads((runs / "vanilla" / "results.json").read_text())
    assert fixed[-1].value == pytest.approx(results["reward"], abs=1e-6)


def test_episodes_have_their_return_and_a_heat_map(runs: Path) -> None:
    events, results = read(runs / "policy"), json.loads((runs / "policy" / "results.json").read_text())
    assert [event.value for event in events.Scalars("episode/return")] == pytest.approx(results["rewards"], abs=1e-6)
    assert [event.step for event in events.Images("episode/selection")] == [0, 1]
    history = [phase for phase in results["history"] if phase["episode"] == 1]
    share = sum(phase["steps"] * phase["weights"]["hidden"] for phase in history) / 15
    assert events.Scalars("episode/share_hidden")[1].value == pytest.approx(share, abs=1e-6)
    sub_run = read(runs / "policy" / "episodes" / "001-synthetic-acceptability")
    assert {"heat_map/selection", "heat_map/preference"} == set(sub_run.Tags()["images"])
    assert [event.step for event in sub_run.Scalars("agent/advantage")] == [3, 6, 9, 12, 15]


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """Serve a folder, and yield the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port)]
    server = subprocess.Popen([*words, "--load_fast", "false"], stderr=subprocess.DEVNULL)
    try:
        patience = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < patience, "TensorBoard does not answer"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """A tab of a headless browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 800})
        browser.close()


@pytest.mark.nightly
def test_a_browser_shows_it_all(runs: Path, page: Any) -> None:
    page.set_default_timeout(120_000)

    def shown(tab: str, *texts: str) -> None:
        page.goto(f"{address}/#{tab}")
        page.reload()
        for text in texts:
            page.get_by_text(text, exact=True).first.wait_for()

    with tensorboard(runs) as address:
        columns = ("agent", "knowledge", "learning_rate", "result/score", "result/parameters")
        # The teacher's run lies in the same folder, and has the same few columns.
        shown("hparams", *columns, "vanilla-kd", "policy-actor-critic", "fine-tune")
        assert page.get_by_text("checkpoint_every", exact=True).count() == 0
        shown("custom_scalars", "weight by kind of knowledge", "reward of each phase", "loss on the reward split")
        shown("text", "decisions/text_summary", "knowledge", "because of")
        shown("images", "episode/selection", "heat_map/selection")
        image = page.locator("img[src*='individualImage']").first
        image.wait_for()
        assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [640, 44 * 5 + 80]
        assert image.bounding_box()["width"] > 250  # as large as its labels are legible in
