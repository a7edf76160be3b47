"""Races and switches over a hand-made table, whose answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from kselect.collection.replay import race, switch
from kselect.collection.table import Run, read_pool
from kselect.errors import KselectError
from tests.collection.tables import ENTRIES, GOLD, LOGITS, entry, write


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return read_pool(write(tmp_path / "runs.jsonl", ENTRIES))


@pytest.mark.parametrize(
    ("mark", "chosen", "scores", "cost"),
    [
        (0.25, ["logits", "gold"], [0.61, 0.51], 1.25),
        (0.5, ["gold", "logits"], [0.71, 0.62], 1.5),
        (1.0, ["gold", "logits"], [0.71, 0.62], 2.0),  # a grid search
    ],
)
def test_a_race_goes_on_with_the_branch_that_leads(
    runs: list[Run], mark: float, chosen: list[str], scores: list[float], cost: float
) -> None:
    outcomes = race(runs, ["gold", "logits"], mark)
    assert [(one.condition, one.seed) for one in outcomes] == [("weak", 0), ("weak", 1)]
    assert [one.selection for one in outcomes] == chosen
    assert [one.score for one in outcomes] == scores
    assert [one.cost for one in outcomes] == [cost, cost]


def test_the_default_stays_unless_another_leads_by_the_margin(runs: list[Run]) -> None:
    assert [one.selection for one in race(runs, ["gold", "logits"], 0.25, margin=0.04)] == ["logits", "gold"]
    assert [one.selection for one in race(runs, ["gold", "logits"], 0.25, margin=0.06)] == ["gold", "gold"]
    assert [one.selection for one in race(runs, ["logits", "gold"], 0.25, margin=0.2)] == ["logits", "logits"]


def test_the_score_may_be_that_on_the_reward_split(runs: list[Run]) -> None:
    assert [one.score for one in race(runs, ["gold", "logits"], 0.5, "reward")] == [0.7, 0.6]


def test_branches_that_begin_alike_are_trained_once_until_they_part(runs: list[Run]) -> None:
    first = [run for run in runs if run.seed == 0]
    every = ["gold", "logits", "logits>gold"]
    assert [race(first, every, mark)[0].cost for mark in (0.25, 0.5, 1.0)] == [1.25, 1.5, 3.0]
    assert race(first, every, 0.25)[0].selection == "logits"  # the first of two that are equal there
    assert race(first, every, 1.0)[0].selection == "logits>gold"


def test_a_branch_alone_is_its_run(runs: list[Run]) -> None:
    assert [(one.score, one.cost) for one in race(runs, ["gold"], 0.25)] == [(0.71, 1.0), (0.51, 1.0)]


def test_an_undefined_score_never_leads(tmp_path: Path) -> None:
    entries = [
        entry("gold", [{"weights": GOLD}], None, *[0.5] * 5),
        entry("logits", [{"weights": LOGITS}], -0.1, *[0.4] * 5),
    ]
    runs = read_pool(write(tmp_path / "runs.jsonl", entries))
    for branches in (["gold", "logits"], ["logits", "gold"]):
        assert race(runs, branches, 0.25)[0].selection == "logits"


def test_a_switch_is_the_two_stage_run_where_there_is_one(runs: list[Run]) -> None:
    (one,) = switch(runs, "logits", "gold", 0.5)
    assert (one.condition, one.seed, one.selection, one.score, one.cost) == ("weak", 0, "logits>gold", 0.76, 1.0)


def test_what_was_not_run_is_not_answered(runs: list[Run]) -> None:
    assert [outcome.seed for outcome in race(runs, ["gold", "logits>gold"], 0.5)] == [0]  # the others lack a branch
    with pytest.raises(KselectError, match="No condition has a run of each of gold, unknown"):
        race(runs, ["gold", "unknown"], 0.5)
    with pytest.raises(KselectError, match="no branches"):
        race(runs, [], 0.5)
    with pytest.raises(KselectError, match="evaluated at"):
        race(runs, ["gold"], 0.3)
    with pytest.raises(KselectError, match=r"twice in weak under seed 0"):
        race([*runs, runs[0]], ["gold"], 0.5)
    for first, second, mark in (("gold", "logits", 0.5), ("logits", "gold", 0.25)):
        with pytest.raises(KselectError, match=f"changes from {first} to {second}"):
            switch(runs, first, second, mark)
    with pytest.raises(KselectError, match="logits>gold is no selection of one stage"):
        switch(runs, "logits>gold", "gold", 0.5)
