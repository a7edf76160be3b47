"""Advice held against scores: right, wrong, or more seeds are needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from kselect.analysis.doctor import Advice, Claim, Outcomes, judge, read_outcomes, tally
from kselect.errors import KselectError


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
        ({"gold": [0.7, 0.7], "logits": [0.7, 0.7]}, "undecided", "undecided"),
        ({"gold": [0.5, 0.9], "logits": [0.5, 0.9]}, "undecided", "undecided"),
        ({"gold": [0.5, 0.9], "logits": "gold"}, "wrong", "right"),
        ({"gold": [0.7, 0.7], "logits": "gold"}, "wrong", "right"),
        ({"gold": [0.7, 0.8], "logits": "kd", "kd": "gold"}, "undecided", "undecided"),
    ],
)
def test_verdicts(outcomes: Outcomes, of_better: str, of_no_better: str) -> None:
    assert judge(that("logits", "gold", True), outcomes) == of_better
    assert judge(that("logits", "gold", False), outcomes) == of_no_better


def test_agents_stand_for_the_knowledge_that_they_weigh() -> None:
    by_agent = {"fine-tune": ABOVE["gold"], "vanilla-kd": ABOVE["logits"]}
    assert judge(that("logits", "gold", True), by_agent) == "right"
    by_rung = {"fine-tune": ABOVE["gold"], "kd": ABOVE["logits"]}
    assert judge(that("logits", "gold", True), by_rung) == "right"


LEAST = 2.0**-7
"""A margin that floats hold exactly, as they do the scores beside it."""


def interval(low: float, high: float) -> dict[str, dict[str, float]]:
    """Scores of two seeds whose paired interval this is: of two values d apart, its half is t(0.975, 1) d / 2."""
    apart = (high - low) / 12.706204736432095
    middle = (low + high) / 2
    return {"gold": {"0": 0.0, "1": 0.0}, "logits": {"0": middle - apart / 2, "1": middle + apart / 2}}


@pytest.mark.parametrize(
    ("low", "high", "of_better", "of_no_better"),
    [
        (0.1, 2.0, "right", "wrong"),  # in margins: above 0, and reaches the margin
        (1.1, 2.0, "right", "wrong"),
        (0.1, 1.01, "right", "wrong"),
        (0.1, 0.99, "wrong", "right"),  # above 0, but never a difference
        (-0.1, 0.99, "wrong", "right"),
        (-2.0, -0.1, "wrong", "right"),
        (-0.1, 1.01, "undecided", "undecided"),
        (-2.0, 2.0, "undecided", "undecided"),
    ],
)
def test_no_interval_is_both_better_and_no_better(low: float, high: float, of_better: str, of_no_better: str) -> None:
    outcomes = interval(LEAST * low, LEAST * high)
    assert judge(that("logits", "gold", True), outcomes, LEAST) == of_better
    assert judge(that("logits", "gold", False), outcomes, LEAST) == of_no_better


def test_students_of_the_same_seeds_are_compared_pair_by_pair() -> None:
    gold = {"0": 0.60, "1": 0.75, "2": 0.90}
    logits = {seed: score + 0.03 + 0.001 * int(seed) for seed, score in reversed(gold.items())}
    assert judge(that("logits", "gold", True), {"gold": gold, "logits": logits}) == "right"
    more = {**logits, "7": 0.1}  # has no partner
    assert judge(that("logits", "gold", True), {"gold": gold, "logits": more}) == "right"
    for unpaired in (list(logits.values()), {f"1{seed}": score for seed, score in logits.items()}):
        assert judge(that("logits", "gold", True), {"gold": gold, "logits": unpaired}) == "undecided"
    alike = {seed: score + 0.25 for seed, score in gold.items()}  # by as much under each seed: no noise to go by
    assert judge(that("logits", "gold", True), {"gold": gold, "logits": alike}) == "undecided"
    assert judge(that("logits", "gold", True), {"gold": {"0": 0.5}, "logits": logits}) == "undecided"


def test_a_claim_of_a_temperature_is_held_against_students_of_it() -> None:
    for name in ("logits@2.0", "logits@2", "vanilla-kd@2", "kd@2"):
        outcomes = {name: ABOVE["logits"], "kd@1": ABOVE["gold"], "kd": BELOW["logits"]}
        assert judge(that("logits@2.0", "logits@1", True), outcomes) == "right"
    assert judge(that("logits@2.3", "logits@1", True), outcomes) == "undecided"
    assert judge(that("logits@2.0", "kd@1", True), {**outcomes, "logits@2": "kd@1"}) == "wrong"


def test_the_margin_decides_what_is_a_difference() -> None:
    little = {"gold": [0.700, 0.701, 0.702], "logits": [0.705, 0.706, 0.707]}
    assert judge(that("logits", "gold", True), little) == "wrong"
    assert judge(that("logits", "gold", True), little, margin=0.001) == "right"
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
    expected = {"fine-tune": {"0": 0.5, "1": 0.75}, "vanilla-kd": {"0": 0.625}}
    entries = [run("fine-tune", 0.5), run("fine-tune", 0.75, 1), run("vanilla-kd", 0.625)]
    entries.append(run("fine-tune", 1.0, task="rte"))
    for number, entry in enumerate(entries):
        (tmp_path / f"run-{number}").mkdir()
        (tmp_path / f"run-{number}" / "results.json").write_text(json.dumps(entry))
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "results.json").write_text(json.dumps({"task": "mrpc", "metrics": {"score": 0.9}}))
    assert read_outcomes(tmp_path, "mrpc") == expected
    assert read_outcomes(tmp_path / "run-2", "mrpc") == {"vanilla-kd": {"0": 0.625}}
    lines = tmp_path / "ledger.jsonl"
    lines.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert read_outcomes(lines, "mrpc") == expected
    lists = tmp_path / "lists.json"
    plain = {"fine-tune": [0.5, 0.75], "vanilla-kd": [0.625]}
    lists.write_text(json.dumps(plain))
    assert read_outcomes(lists, "mrpc") == plain
    lists.write_text(json.dumps({"task": "mrpc", "scores": plain, "seeds": [0, 1]}))
    assert read_outcomes(lists, "mrpc") == plain
    rungs = {"kd-pt": {"level": "instance", "metrics": {"0": {"score": 0.5}, "1": {"score": 0.75}}}}
    lists.write_text(json.dumps({"task": "mrpc", "rungs": rungs, "seeds": [0, 1]}))
    assert read_outcomes(lists, "mrpc") == {"kd-pt": {"0": 0.5, "1": 0.75}}
    lines.write_text('{"rung": "kd", "seed": 0, "metrics": {"score": 0.5}}\n')
    assert read_outcomes(lines, "mrpc") == {"kd": {"0": 0.5}}


def ladder(scores: Mapping[str, list[float]], **same_as: str) -> dict[str, object]:
    rungs = {
        name: {"same_as": same_as.get(name), "metrics": {str(seed): {"score": s} for seed, s in enumerate(of_name)}}
        for name, of_name in scores.items()
    }
    return {"task": "mrpc", "rungs": rungs}


def test_a_rung_that_is_another_is_known_to_be(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(ladder({"kd": [0.7, 0.7], "kd_pt": [0.7, 0.7]}, kd_pt="kd")))
    outcomes = read_outcomes(path, "mrpc")
    assert outcomes == {"kd": {"0": 0.7, "1": 0.7}, "kd_pt": "kd"}
    assert judge(that("logits", "kd_pt", False), outcomes) == "right"
    path.write_text(json.dumps(ladder({"kd": [0.7, 0.7], "kd_pt": [0.7, 0.7]})))
    assert judge(that("logits", "kd_pt", False), read_outcomes(path, "mrpc")) == "undecided"


def test_runs_of_other_temperatures_are_told_apart(tmp_path: Path) -> None:
    def leave(name: str, temperature: str | None, told: dict[str, object]) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(told))
        if temperature is not None:
            (tmp_path / name / "config.yaml").write_text(f"task: mrpc\ntemperature: {temperature}\n")

    scores = {"fine-tune": [0.5], "label-smoothing": [0.5], "kd-sim": [0.51], "kd-pt": [0.6], "kd": [0.6]}
    leave("ladder", "1.0", ladder(scores, **{"kd-pt": "kd", "label-smoothing": "fine-tune"}))
    leave("own", "2.0", run("vanilla-kd", 0.7))
    leave("unknown", None, run("vanilla-kd", 0.75, 1))
    leave("falling", "4->1", run("all", 0.8))
    leave("constant", "3->3", run("all", 0.8))
    apart = read_outcomes(tmp_path, "mrpc", 2.0)
    own = {"0": 0.7, "1": 0.75}
    assert apart == {
        "fine-tune": {"0": 0.5},
        "label-smoothing": "fine-tune",
        "kd-sim": {"0": 0.51},
        "kd-pt@1": "kd@1",
        "kd@1": {"0": 0.6},
        "vanilla-kd": own,
        "vanilla-kd@2": "vanilla-kd",
        "all@4->1": {"0": 0.8},
        "all@3": {"0": 0.8},
    }
    assert read_outcomes(tmp_path / "own", "mrpc", 2.0) == {"vanilla-kd": {"0": 0.7}}
    assert read_outcomes(tmp_path / "own" / "results.json", "mrpc", 2.3) == {"vanilla-kd@2": {"0": 0.7}}
    assert set(read_outcomes(tmp_path, "mrpc")) == {*scores, "vanilla-kd", "all"}
    (tmp_path / "own" / "config.yaml").write_text("temperature: [")
    with pytest.raises(KselectError, match="cannot be read"):
        read_outcomes(tmp_path, "mrpc", 2.0)


def test_a_seed_counts_once(tmp_path: Path) -> None:
    for name, entry in (
        ("first", run("all", 0.5)),
        ("second", run("all", 0.75, 1)),
        ("second.old-1", run("all", 0.6, 1)),  # set aside by --fresh
        ("again", run("all", 0.5)),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(entry))
    assert read_outcomes(tmp_path, "mrpc") == {"all": {"0": 0.5, "1": 0.75}}
    assert read_outcomes(tmp_path / "second.old-1", "mrpc") == {"all": {"1": 0.6}}
    (tmp_path / "again" / "results.json").write_text(json.dumps(run("all", 0.25)))
    with pytest.raises(
        KselectError, match=r"outcomes have all under seed 0 twice, with scores 0\.25 and 0\.5: give runs"
    ):
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
        assert read_outcomes(lines, "mrpc") == {"all": {str(seed): score for seed, score in enumerate(scores)}}
    lines.write_text('{"task": "mr\n' + text, encoding="utf-8")
    with pytest.raises(KselectError, match="cannot be read"):
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
    with pytest.raises(KselectError, match=told):
        read_outcomes(path, "mrpc")
    with pytest.raises(KselectError, match="cannot be read"):
        read_outcomes(tmp_path / "missing.json", "mrpc")
