"""A comparison against statistics worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from scipy.stats import ttest_rel

from kselect.analysis.plotting import can_draw
from kselect.errors import KselectError
from kselect.training.comparison import compare, figure, records, table

SCORES = {"base": [0.70, 0.72, 0.68], "better": [0.75, 0.78, 0.72], "same": [0.70, 0.71, 0.70]}


def entry(label: str, seed: int, score: float, task: str = "mine", **more: Any) -> dict[str, Any]:
    seconds = {"student": 8.0 if label == "base" else 10.0, "reward": 1.0, "deciding": 0.5, "updating": 0.5}
    return {
        **{"task": task, "label": label, "seed": seed, "settings": {}, "examples": 100},
        **{"metrics": {"accuracy": score, "score": score, "loss": 0.5}, "seconds": seconds},
        **{"constant": {"accuracy": 0.5, "score": 0.5}, **more},
    }


def entries() -> list[dict[str, Any]]:
    teacher = {**entry("teacher", 0, 0.9), "seed": None}
    return [teacher, *(entry(label, seed, s) for label, scores in SCORES.items() for seed, s in enumerate(scores))]


def test_compare_pairs_by_seed_and_adjusts_for_all_rows() -> None:
    (found,) = compare(entries(), "base")
    assert found.metrics == ["accuracy"]  # of which the score is a copy
    assert found.references == {
        "constant prediction": {"accuracy": 0.5, "score": 0.5},
        "teacher": entries()[0]["metrics"],
    }
    base, better, same = found.rows
    assert base.difference is None
    assert better.metrics["accuracy"].mean == pytest.approx(75)
    assert better.metrics["accuracy"].sd == pytest.approx(3)
    assert better.metrics["score"] == better.metrics["accuracy"]
    assert all("score" not in record for record in records([found]))
    assert better.difference is not None
    assert better.difference.mean == pytest.approx(5)
    assert better.difference.se == pytest.approx(1 / math.sqrt(3))
    raw = [ttest_rel(SCORES[label], SCORES["base"]).pvalue for label in ("better", "same")]
    assert raw[0] < raw[1]
    assert better.p_value == pytest.approx(2 * raw[0])
    assert same.p_value == pytest.approx(max(2 * raw[0], raw[1]))
    assert (base.relative_cost, better.relative_cost) == (1, 1.2)
    assert better.deciding == pytest.approx(2)


def test_compare_uses_the_seeds_that_both_have_and_keeps_failures() -> None:
    runs = [run for run in entries() if (run["label"], run["seed"]) not in (("base", 2), ("same", 0), ("same", 1))]
    runs += [{"task": "mine", "label": "broken", "seed": seed, "settings": {}, "error": "too long"} for seed in (0, 1)]
    (found,) = compare(runs, "base")
    rows = {row.label: row for row in found.rows}
    assert rows["better"].difference is not None
    assert rows["better"].difference.count == 2
    assert rows["same"].difference is None
    assert rows["broken"].errors == {0: "too long", 1: "too long"}
    assert rows["broken"].seconds is None
    _, lines = table(found)
    (line,) = [line for line in lines if line[0] == "broken"]
    assert line[1] == "seed 0 failed: too long; seed 1 failed: too long"
    assert {len(line) for line in lines} == {len(table(found)[0])}
    record = records([found])[-1]
    assert (record["agent"], record["seeds"]) == ("broken", 0)


def test_compare_of_one_seed_gives_no_interval() -> None:
    (found,) = compare([run for run in entries() if run["seed"] in (None, 0)], "base")
    row = table(found)[1][3]
    assert row[:5] == ["better", "75.0", "+5.0", "", ""]
    assert records([found])[3]["low"] is None


def test_compare_of_another_baseline_is_refused() -> None:
    with pytest.raises(KselectError, match="Unknown baseline 'bse': did you mean 'base'"):
        compare(entries(), "bse")


def test_compare_adjusts_over_tasks_too() -> None:
    both = entries() + [{**run, "task": "other"} for run in entries()]
    (one,), two = compare(entries(), "base"), compare(both, "base")
    assert [comparison.task for comparison in two] == ["mine", "other"]
    assert one.rows[1].p_value is not None
    assert two[0].rows[1].p_value == pytest.approx(2 * one.rows[1].p_value)


@pytest.mark.skipif(not can_draw(), reason="without matplotlib")
def test_figure_has_a_panel_for_each_task() -> None:
    plot = figure(compare([*entries(), *({**run, "task": "other"} for run in entries())]))
    assert [axes.get_title() for axes in plot.axes] == ["mine", "other"]
