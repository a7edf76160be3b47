"""Advice held against scores: right, wrong, or more seeds are needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kselect.errors import UserError
from kselect.insight.doctor import Advice, Claim, judge, read_outcomes, tally


def that(name: str, other: str, better: bool) -> Advice:
    return Advice("worth", "So it is.", {"ahead": 0.1}, Claim(name, other, better))


ABOVE = {"gold": [0.70, 0.71, 0.72], "logits": [0.80, 0.81, 0.79]}
BELOW = {"gold": [0.80, 0.81, 0.79], "logits": [0.70, 0.71, 0.72]}
ALIKE = {"gold": [0.700, 0.701, 0.702], "logits": [0.701, 0.702, 0.700]}
WIDE = {"gold": [0.60, 0.75, 0.90], "logits": [0.70, 0.85, 0.80]}


@pytest.mark.parametrize(
    ("outcomes", "of_better", "of_no_better"),
    [
        (ABOVE, "right", "wrong"),
        (BELOW, "wrong", "right"),
        (ALIKE, "wrong", "right"),
        (WIDE, "undecided", "undecided"),
        ({"gold": [0.7], "logits": [0.9]}, "undecided", "undecided"),
        ({"gold": [0.7, 0.7]}, "undecided", "undecided"),
        ({"gold": [0.7, 0.7], "logits": [0.8, 0.8]}, "undecided", "undecided"),
        ({"gold": [0.7, 0.7], "logits": [0.7, 0.7]}, "wrong", "right"),
        ({"gold": [0.5, 0.9], "logits": [0.5, 0.9]}, "wrong", "right"),
    ],
)
def test_verdicts(outcomes: dict[str, list[float]], of_better: str, of_no_better: str) -> None:
    assert judge(that("logits", "gold", True), outcomes) == of_better
    assert judge(that("logits", "gold", False), outcomes) == of_no_better


def test_agents_stand_for_the_knowledge_that_they_weigh() -> None:
    by_agent = {"fine-tune": ABOVE["gold"], "vanilla-kd": ABOVE["logits"]}
    assert judge(that("logits", "gold", True), by_agent) == "right"
    by_rung = {"fine-tune": ABOVE["gold"], "kd": ABOVE["logits"]}
    assert judge(that("logits", "gold", True), by_rung) == "right"


def test_the_margin_decides_what_is_a_difference() -> None:
    little = {"gold": [0.700, 0.701, 0.702], "logits": [0.705, 0.706, 0.707]}
    assert judge(that("logits", "gold", True), little) == "right"
    slight = {"gold": [0.700, 0.703, 0.702], "logits": [0.703, 0.702, 0.705]}
    assert judge(that("logits", "gold", False), slight, margin=0.01) == "right"
    assert judge(that("logits", "gold", False), slight, margin=0.001) == "undecided"


def test_the_tally_leaves_out_what_no_score_can_show() -> None:
    every = [that("logits", "gold", True), that("gold", "logits", True), that("kd-pt", "gold", True)]
    every.append(Advice("time", "It takes long.", {"gold": 3.0}))
    assert tally(every, ABOVE) == {"right": 1, "wrong": 1, "undecided": 1}


def run(agent: str, score: float, seed: int = 0, task: str = "mrpc") -> dict[str, object]:
    return {"task": task, "agent": agent, "seed": seed, "metrics": {"score": score, "f1": 0.1}}


def test_outcomes_are_read_from_runs_lines_and_lists(tmp_path: Path) -> None:
    expected = {"fine-tune": [0.5, 0.75], "vanilla-kd": [0.625]}
    entries = [run("fine-tune", 0.5), run("fine-tune", 0.75, 1), run("vanilla-kd", 0.625)]
    entries.append(run("fine-tune", 1.0, task="rte"))
    for number, entry in enumerate(entries):
        (tmp_path / f"run-{number}").mkdir()
        (tmp_path / f"run-{number}" / "results.json").write_text(json.dumps(entry))
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "results.json").write_text(json.dumps({"task": "mrpc", "metrics": {"score": 0.9}}))
    assert read_outcomes(tmp_path, "mrpc") == expected
    assert read_outcomes(tmp_path / "run-2", "mrpc") == {"vanilla-kd": [0.625]}
    lines = tmp_path / "ledger.jsonl"
    lines.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert read_outcomes(lines, "mrpc") == expected
    lists = tmp_path / "lists.json"
    lists.write_text(json.dumps(expected))
    assert read_outcomes(lists, "mrpc") == expected
    lists.write_text(json.dumps({"task": "mrpc", "scores": expected, "seeds": [0, 1]}))
    assert read_outcomes(lists, "mrpc") == expected
    rungs = {"kd-pt": {"level": "instance", "metrics": {"0": {"score": 0.5}, "1": {"score": 0.75}}}}
    lists.write_text(json.dumps({"task": "mrpc", "rungs": rungs, "seeds": [0, 1]}))
    assert read_outcomes(lists, "mrpc") == {"kd-pt": [0.5, 0.75]}
    lines.write_text('{"rung": "kd", "seed": 0, "metrics": {"score": 0.5}}\n')
    assert read_outcomes(lines, "mrpc") == {"kd": [0.5]}


def test_a_seed_counts_once(tmp_path: Path) -> None:
    for name, entry in (
        ("first", run("all", 0.5)),
        ("second", run("all", 0.75, 1)),
        ("second.old-1", run("all", 0.6, 1)),  # set aside by --fresh
        ("again", run("all", 0.5)),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(entry))
    assert sorted(read_outcomes(tmp_path, "mrpc")["all"]) == [0.5, 0.75]
    assert read_outcomes(tmp_path / "second.old-1", "mrpc") == {"all": [0.6]}
    (tmp_path / "again" / "results.json").write_text(json.dumps(run("all", 0.25)))
    with pytest.raises(UserError, match=r"outcomes have all under seed 0 twice, with scores 0\.25 and 0\.5: give runs"):
        read_outcomes(tmp_path, "mrpc")


def test_a_line_that_is_being_written_is_no_run_yet(tmp_path: Path) -> None:
    lines = tmp_path / "ledger.jsonl"
    text = "".join(
        json.dumps(run("all", score, seed) | {"note": "a\u2028b"}, ensure_ascii=False) + "\n"
        for seed, score in enumerate([0.5, 0.75])
    )
    for end, scores in (
        ("", [0.5, 0.75]),
        ('{"task": "mr', [0.5, 0.75]),
        (json.dumps(run("all", 1, 2)), [0.5, 0.75, 1]),
    ):
        lines.write_text(text + end, encoding="utf-8")
        assert read_outcomes(lines, "mrpc") == {"all": scores}
    lines.write_text('{"task": "mr\n' + text, encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read"):
        read_outcomes(lines, "mrpc")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read"),
        ("[]", "has no scores of mrpc"),
        ('{"task": "rte", "scores": {"gold": [0.7]}}', "has no scores of mrpc"),
    ],
)
def test_outcomes_that_are_none_are_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "outcomes.json"
    path.write_text(text)
    with pytest.raises(UserError, match=told):
        read_outcomes(path, "mrpc")
    with pytest.raises(UserError, match="cannot be read"):
        read_outcomes(tmp_path / "missing.json", "mrpc")
