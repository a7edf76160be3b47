"""The published ledgers are read and tabled to the figures that were published."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kselect.errors import KselectError
from kselect.runs.run_log import Ledger
from kselect.training.comparison import KEY, compare

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "studies" / "results"


def rows(script: str, *words: str) -> list[str]:
    command = [sys.executable, str(ROOT / "studies" / script), *words]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [line for line in output.splitlines() if line.startswith("|")]


@pytest.fixture
def compare_agents(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "studies"))
    return import_module("compare_agents")


def test_agents_have_the_published_figures(compare_agents) -> None:
    mrpc, *_ = compare(compare_agents.read_entries(RESULTS / "selection.jsonl"), "fine-tune")
    assert (mrpc.task, mrpc.examples, mrpc.metrics) == ("mrpc", 368, ["accuracy", "f1", "score"])
    (row,) = [row for row in mrpc.rows if row.label == "online"]
    assert f"{row.metrics['score'].mean:.1f} ± {row.metrics['score'].sd:.1f}" == "76.4 ± 1.2"
    assert row.difference is not None
    assert f"{row.difference.mean:+.1f} ± {row.difference.se:.1f}" == "+2.5 ± 1.8"
    assert f"{row.deciding:.1f}" == "13.8"
    assert row.seconds is not None
    assert row.deciding is not None
    assert round(row.seconds.mean - row.deciding) == 347


@pytest.mark.parametrize("path", [RESULTS / "baselines.jsonl", *sorted((RESULTS / "cases").glob("*.jsonl"))])
def test_every_ledger_of_agents_is_read(compare_agents, path: Path) -> None:
    for comparison in compare(compare_agents.read_entries(path)):
        assert all(row.metrics and not row.errors for row in comparison.rows)


def test_runs_under_different_settings_are_refused(compare_agents, tmp_path: Path) -> None:
    entry, *_ = Ledger(RESULTS / "selection.jsonl", KEY).entries()
    ledger = Ledger(tmp_path / "runs.jsonl", KEY)
    ledger.append(entry)
    ledger.append({**entry, "seed": 9, "settings": {**entry["settings"], "temperature": 9.0, "new": None}})
    assert len(compare_agents.read_entries(ledger.path)) == 2  # agents may differ in it, and None counts as missing
    ledger.append({**entry, "seed": 8, "settings": {**entry["settings"], "epochs": 9.0}})
    with pytest.raises(KselectError, match="has runs on mrpc under different settings"):
        compare_agents.read_entries(ledger.path)


@pytest.mark.nightly
def test_tuning_and_levels_have_the_published_figures() -> None:
    assert "| 3 | 3 | 0.0002 | 80.9 | 0.745 | 1 |" in rows("tune_baseline.py", "table")
    explained = map(str, sorted((RESULTS / "explain").glob("*.json")))
    assert "| mnli | -9.07 ± 3.68 | -2.15 ± 1.27 | **-11.22 ± 2.48** |" in rows("compare_levels.py", *explained)
