"""`kselect inspect` on runs, policies and comparisons of tiny models, on the terminal and as a page."""

from __future__ import annotations

import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from kselect.cli.main import main
from tests.analysis.inspection.histories import phase, reader_of_progress, write_run
from tests.analysis.inspection.test_page import check_self_contained
from tests.tiny import tiny_classifier, tiny_task

SMALL = ["--task", "synthetic-acceptability", "--train_limit", "80", "--max_length", "32", "--batch_size", "8"]
SMALL += ["--precision", "fp32", "--layers", "1", "--epochs", "1", "--learning_rate", "3e-3"]
EVIL = "<script>alert(1)"  # a run_name holds no slash
LABEL = "<script>alert('2')</script>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy's training, a student under that policy, one that learns on the way, and a comparison."""
    folder = tmp_path_factory.mktemp("runs")
    tiny_classifier(tiny_task(), layers=2).save_pretrained(folder / "teacher")
    base = [*SMALL, "--teacher", str(folder / "teacher"), "--runs_dir", str(folder)]
    assert main(["train-policy", *base, "--episodes", "2", "--run_name", "policy"]) == 0
    policy = str(folder / "policy" / "policy")
    assert main(["distill", *base, "--agent", policy, "--run_name", EVIL]) == 0
    assert main(["distill", *base, "--agent", "online", "--run_name", "online", "--phase_steps", "1"]) == 0
    agents = f"{LABEL}=gold:1,logits:1,all"
    assert main(["compare", *base, "--agents", agents, "--seeds", "0,1", "--run_name", "study"]) == 0
    return folder


def inspected(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    capsys.readouterr()
    assert main(["inspect", *map(str, words)]) == 0
    return capsys.readouterr().out


def table(out: str, title: str) -> dict[str, list[str]]:
    """Cells of a printed table by its first column."""
    (block,) = re.findall(rf"^{re.escape(title)}[^\n]*\n[^\n]*\n[- ]+\n((?:.+\n)+)", out, re.MULTILINE)
    rows = [row for line in block.splitlines() if len(row := re.split(r"\s{2,}", line.strip())) > 1]
    return {row[0]: row[1:] for row in rows}


def fails(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    capsys.readouterr()
    assert main(["inspect", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err.removeprefix("kselect: error: ").strip()


def test_a_policys_training(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = inspected(capsys, runs / "policy")
    assert out.startswith("policy: actor-critic on synthetic-acceptability, seed 0, 2 episodes, 20 training steps\n")
    results = json.loads((runs / "policy" / "results.json").read_text())
    shares = {name: 0.0 for name in results["history"][0]["weights"]}
    for record in results["history"]:
        for name, weight in record["weights"].items():
            shares[name] += record["steps"] * (weight > 0) / 20
    selected = table(out, "Selection, share of the training steps")
    assert {name: row[-1] for name, row in selected.items()} == {k: f"{100 * v:.0f} %" for k, v in shares.items()}
    returns = table(out, "Return by episode")
    assert [row[1] for row in returns.values()] == [f"{reward:.4f}" for reward in results["rewards"]]
    for title in ("Preference of the agent", "Difference from all and from chance", "Loss on the reward split"):
        assert f"\n{title}\n" in out
    assert "by its policy at the time rather than the one that it ended with.\n" in out
    assert table(out, "Sensitivity of the log-odds")


def test_a_student_under_a_policy(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = inspected(capsys, runs / EVIL)
    results = json.loads((runs / EVIL / "results.json").read_text())
    scores = table(out, "Score and loss on dev")
    assert scores["student"] == [f"{results['metrics'][name]:.4f}" for name in ("score", "loss")]
    assert scores["teacher"] == [f"{results['teacher_metrics'][0][name]:.4f}" for name in ("score", "loss")]
    phases = [json.loads(line) for line in (runs / EVIL / "metrics.jsonl").read_text().splitlines()]
    assert f"over {len(phases) - 1} decisions" in out  # the policy is there, so all are explained


def test_a_student_whose_policy_is_gone_is_explained_by_what_was_recorded(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "online", tmp_path / "online")
    out = inspected(capsys, tmp_path / "online")
    assert "Decisions that changed the selection" in out
    assert "Sensitivity of the log-odds" not in out or "at the decisions that changed a kind" in out


def test_a_policy_alone(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = inspected(capsys, runs / "policy" / "policy")
    assert set(table(out, "Preference as a run goes on")) == set(table(out, "Preference at what it saw in training"))
    assert "\nEverything else is as before the first training step. These are preferences after all learning; " in out
    reader_of_progress().save(tmp_path / "policy")
    out = inspected(capsys, tmp_path / "policy")
    assert set(table(out, "Sensitivity of the log-odds")) == {"progress"}


def test_a_comparison_has_a_row_for_each_agent(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = inspected(capsys, runs / "study")
    rows = table(out, "synthetic-acceptability: selection of each agent")
    entries = [json.loads(line) for line in (runs / "study" / "runs.jsonl").read_text().splitlines()]
    for label, kinds in ((LABEL, 2), ("all", 5)):
        scores = [100 * entry["metrics"]["score"] for entry in entries if entry["label"] == label]
        assert rows[label][:2] == [f"{np.mean(scores):.1f} ± {np.std(scores, ddof=1):.1f}", "2"]
        assert rows[label][2:] == ["100 ± 0"] * kinds


def test_training_ends_with_what_was_selected(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = [*SMALL, "--teacher", str(runs / "teacher"), "--runs_dir", str(runs), "--run_name", "last"]
    capsys.readouterr()
    assert main(["distill", *base, "--agent", "gold:1,logits:0.5"]) == 0
    out = capsys.readouterr().out
    assert table(out, "Selection, mean weight")["gold"] == ["67 %"] * 5
    assert set(table(out, "Score and loss on dev")) == {"student", "teacher", "constant prediction"}
    assert out.endswith(f"\nstudent: {runs / 'last' / 'student'}\n")


@pytest.mark.parametrize("name", ["policy", EVIL, "online", "study", "policy/policy"])
def test_a_page_is_self_contained_and_escapes_names(
    runs: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = inspected(capsys, runs / name, "--html", tmp_path / "report.html")
    assert out.endswith(f"\npage: {tmp_path / 'report.html'}\n")
    outline = check_self_contained((tmp_path / "report.html").read_text())
    assert "svg" in outline.tags
    titles = [line for line in out.splitlines() if line in outline.texts]
    assert len(titles) >= 3  # the same sections
    if name == EVIL:
        assert outline.texts.count(EVIL) or any(text.startswith(EVIL) for text in outline.texts)
    if name == "study":
        assert LABEL in outline.texts


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.skipif(find_spec("playwright") is None, reason="needs the package playwright")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_opens_in_a_browser(runs: Path, tmp_path: Path, scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    from playwright.sync_api import sync_playwright  # an extra

    inspected(capsys, runs / "policy", "--html", tmp_path / "report.html")
    messages: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        view = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]  # a Literal
        view.on("console", lambda message: messages.append(message.text))
        view.on("pageerror", lambda error: messages.append(str(error)))
        view.on("request", lambda request: requests.append(request.url))
        view.goto((tmp_path / "report.html").as_uri())
        assert view.title().startswith("policy: actor-critic")
        assert view.locator("h2").all_inner_texts()[0].startswith("Selection")
        cells = view.locator("rect.cell")
        assert cells.count() > 20
        box = cells.first.bounding_box()
        assert box is not None
        assert box["width"] > 5
        assert view.locator("path.line").count() >= 2
        ink, paper = (view.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
        brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
        assert (brightness[0] < brightness[1]) == (scheme == "light")
        assert abs(brightness[0] - brightness[1]) > 400
        assert not view.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        browser.close()
    assert messages == []
    assert requests == [(tmp_path / "report.html").as_uri()]


def test_bad_input_is_refused_in_a_line(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "folder is missing" in fails(capsys)
    nowhere = fails(capsys, tmp_path / "nowhere")
    assert "is not the folder of a run, a policy or a comparison" in nowhere
    assert "or auto, which comes with kselect" in nowhere
    assert "(--folder)" in nowhere
    assert "is not the folder" in fails(capsys, tmp_path)
    assert "holds no run of an agent" in fails(capsys, write_teacher(tmp_path / "of a teacher"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.yaml").write_text("task: mrpc\n")
    assert "has no history" in fails(capsys, tmp_path / "empty")
    torn = write_run(tmp_path / "torn", [phase({"gold": 1.0})])
    (torn / "config.yaml").write_text("task: [")
    assert "config.yaml:1 is not valid YAML" in fails(capsys, torn)
    shutil.copytree(runs / "policy" / "policy", tmp_path / "policy")
    (tmp_path / "policy" / "agent.safetensors").write_bytes(b"torn")
    assert "agent.safetensors is damaged" in fails(capsys, tmp_path / "policy")
    away = tmp_path / "none" / "report.html"
    assert "whose folder does not exist" in fails(capsys, runs / "policy", "--html", away)
    assert not away.parent.exists()


def test_bad_ledgers_are_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = tmp_path / "runs.jsonl"
    ledger.write_text('{"task": "mrpc", "rung": "kd", "seed": 0}\n')
    assert "holds no comparison of agents" in fails(capsys, tmp_path)
    ledger.write_text("torn\n")
    assert "runs.jsonl:1 is not JSON" in fails(capsys, tmp_path)
    entry = {"task": "mrpc", "label": "all", "seed": 0, "settings": {}}
    ledger.write_text(json.dumps({**entry, "error": "too hot"}) + "\n")
    assert "has no finished run yet" in fails(capsys, tmp_path)
    numbers = {"metrics": {"score": 1.0}, "constant": {"score": 0.0}}
    ledger.write_text(json.dumps(entry | numbers) + "\n")
    assert "not of phases" in fails(capsys, tmp_path)


def write_teacher(folder: Path) -> Path:
    write_run(folder, [phase({"gold": 1.0})])
    (folder / "results.json").write_text('{"task": "mrpc", "metrics": {"score": 1.0}}')
    return folder
