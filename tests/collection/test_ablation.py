from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from kselect.collection.ablations import EVERYTHING, ablated, ablations
from kselect.collection.contributions import contributions, heat_map, rows, save_heat_map
from kselect.collection.suite import Suite
from kselect.collection.table import Run
from kselect.config import KnowledgeConfig
from kselect.errors import KselectError

KINDS = ("gold", "logits", "hidden")


def test_selections_differ_from_everything_in_one_kind() -> None:
    found = ablations(KINDS)
    assert len(found) == 1 + len(KINDS) * (2 + 4)
    assert found["logits alone"] == [{"until": 1.0, "weights": {"logits": 1, "transfer": 0.0}}]
    assert found["without gold"][0]["weights"] == {"logits": 1, "hidden": 1, "transfer": 0.0}
    for kind in KINDS:
        for quarter in range(4):
            stages = found[f"without {kind} in quarter {quarter + 1}"]
            assert stages[-1]["until"] == 1
            missing, begin = [], 0.0
            for stage in stages:
                if kind not in stage["weights"]:
                    missing.append((begin, stage["until"]))
                begin = stage["until"]
            assert missing == [(quarter / 4, (quarter + 1) / 4)]


def runs(seeds: int = 2) -> list[Run]:
    """Runs in which gold is worth 4 points, half of them in the last quarter, logits 1, and hidden nothing."""
    worth = {"gold": 4.0, "logits": 1.0, "hidden": 0.0}
    found = []
    for name, stages in ablations(KINDS).items():
        score, begin = 0.0, 0.0
        for stage in stages:
            for kind in stage["weights"]:
                if kind in worth:
                    early = min(stage["until"], 0.75) - min(begin, 0.75)
                    late = max(stage["until"], 0.75) - max(begin, 0.75)
                    share = early / 1.5 + late * 2 if kind == "gold" else early + late
                    score += worth[kind] * share
            begin = stage["until"]
        for seed in range(seeds):
            marks = {1.0: {"dev": {"score": (60 + seed + score) / 100}}}
            found.append(Run("c", "t", "s", seed, name, stages, KINDS, {}, marks, {}, None, 1.0))
    return found


def test_contributions_are_those_of_the_runs() -> None:
    found = {each.kind: each for each in contributions(runs())}
    for kind, worth in {"gold": 4.0, "logits": 1.0, "hidden": 0.0}.items():
        needed, alone = found[kind].needed, found[kind].alone
        assert needed is not None
        assert alone is not None
        assert needed.mean == pytest.approx(worth)
        assert alone.mean == pytest.approx(worth - 5)
        assert needed.count == 2
    quarters = [each.mean for each in found["gold"].by_quarter if each is not None]
    assert quarters == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])


def test_missing_runs_leave_cells_empty(tmp_path: Path) -> None:
    some = [run for run in runs(1) if run.selection in (EVERYTHING, "gold alone", "without gold in quarter 2")]
    (only,) = contributions(some)
    assert only.needed is None
    _, ((*cells, seeds),) = rows([only])
    assert cells == ["c", "gold", "-1.0", "", "", "+0.7", "", ""]
    assert seeds == "1"
    pytest.importorskip("matplotlib")
    save_heat_map([only], tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000
    assert len(heat_map([only]).axes) == 2


def test_an_undefined_score_is_a_missing_run() -> None:
    defined = runs()
    undefined = [replace(run, marks={1.0: {"dev": {"score": math.nan}}}) if run.seed else run for run in defined]
    assert contributions(undefined) == contributions(run for run in defined if run.seed == 0)


def test_a_suite_without_kinds_is_refused() -> None:
    with pytest.raises(KselectError, match="two kinds of knowledge or more"):
        ablated(Suite({}, {}, KnowledgeConfig(), {}))
