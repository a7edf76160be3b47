"""The table of a pool, read from hand-made ledgers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from kselect.collection.table import failures, read_pool
from kselect.distillation.facts.facts import FACTS, Facts
from kselect.errors import KselectError
from tests.collection.tables import ENTRIES, GOLD, LOGITS, entry, write


def test_a_row_has_what_the_ledger_has(tmp_path: Path) -> None:
    runs = read_pool(write(tmp_path / "runs.jsonl", ENTRIES))
    assert [(run.selection, run.seed) for run in runs] == [(one["selection"], one["seed"]) for one in ENTRIES]
    first = runs[0]
    assert (first.condition, first.task, first.stratum) == ("weak", "sst2", "weak teacher")
    assert [first.score(mark, "reward") for mark in (0.25, 0.5, 1.0)] == [0.50, 0.60, 0.70]
    assert [first.score(mark, "dev") for mark in (0.25, 0.5, 1.0)] == [0.1, 0.2, 0.71]
    assert (first.teacher["dev"]["score"], first.teacher["reward"]["score"]) == (0.9, 0.8)
    assert (first.rows, first.facts, first.seconds) == (("gold", "logits"), None, 2.5)
    assert first.arrays(tmp_path) == tmp_path / "conditions" / "weak-0" / "gold.npz"


def test_further_texts_are_a_row_behind_the_kinds_of_knowledge(tmp_path: Path) -> None:
    (run,) = read_pool(write(tmp_path / "runs.jsonl", [entry("gold", [{"weights": GOLD}], *[0.5] * 6, texts=True)]))
    assert run.rows == ("gold", "logits", "transfer")


def test_facts_are_a_vector(tmp_path: Path) -> None:
    numbers = dict.fromkeys(Facts.__dataclass_fields__, 1.0)
    written = entry("gold", [{"weights": GOLD}], *[0.5] * 6, facts={**numbers, "teacher_less_student": 0.1})
    del numbers["steps"]
    of_another_version = entry("logits", [{"weights": LOGITS}], *[0.5] * 6, facts=numbers)
    run, other, without = read_pool(write(tmp_path / "runs.jsonl", [written, of_another_version, ENTRIES[2]]))
    assert run.read_facts().vector().shape == (len(FACTS),)
    assert run.read_facts().vector()[FACTS.index("teacher_less_student")] == np.float32(0.5)  # in units of 20 points
    with pytest.raises(KselectError, match=r"logits in weak under seed 0 lacks facts \('steps'\)"):
        other.read_facts()
    with pytest.raises(KselectError, match="lacks facts"):
        without.read_facts()


def test_of_several_entries_of_a_run_the_last_finished_one_counts(tmp_path: Path) -> None:
    stages = [{"weights": GOLD}]
    failed = {"error": "no memory", **{name: ENTRIES[0][name] for name in ("condition", "seed", "selection")}}
    earlier, later = (entry("gold", stages, *[score] * 6) for score in (0.1, 0.2))
    other_settings = entry("gold", stages, *[0.3] * 6)
    other_settings["settings"]["knowledge"] = {"knowledge": ["gold"]}
    never = {**failed, "selection": "all"}
    ledger = tmp_path / "runs.jsonl"
    for entries, scores in (
        ([failed, earlier], [0.1]),
        ([earlier, failed], [0.1]),
        ([earlier, later, failed], [0.2]),
        ([earlier, later, other_settings], [0.3]),
        ([failed, never], []),
    ):
        assert [run.score(1.0, "dev") for run in read_pool(write(ledger, entries))] == scores
    assert failures(write(ledger, [failed, never, earlier])) == 1


def test_runs_of_a_condition_before_and_after_a_change_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    former, renamed, changed = (entry(name, [{"weights": GOLD}], *[0.5] * 6) for name in ("gold", "all", "logits"))
    renamed["settings"]["condition"]["stratum"] = "another name"
    changed["settings"]["condition"] |= {"labelled": 9}
    former["settings"]["condition"] |= {"labelled": 8}
    read_pool(write(tmp_path / "runs.jsonl", [former, renamed]))
    assert not caplog.records
    assert len(read_pool(write(tmp_path / "runs.jsonl", [former, renamed, changed]))) == 3
    assert "weak under seed 0 has runs from before and after" in caplog.text


def test_a_score_that_is_not_defined_is_nan(tmp_path: Path) -> None:
    (run,) = read_pool(write(tmp_path / "runs.jsonl", [entry("gold", [{"weights": GOLD}], None, *[0.5] * 5)]))
    assert math.isnan(run.score(0.25, "reward"))


def test_what_is_no_pool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KselectError, match="does not exist"):
        read_pool(tmp_path / "runs.jsonl")
    without = {name: value for name, value in ENTRIES[0].items() if name != "teacher"}
    with pytest.raises(KselectError, match=r"weak, 0, gold.*teacher"):
        read_pool(write(tmp_path / "runs.jsonl", [without]))
    (run,) = read_pool(write(tmp_path / "runs.jsonl", ENTRIES[:1]))
    with pytest.raises(KselectError, match=r"evaluated at 0\.25 \(reward, dev\), 0\.5 .*, 1 .*: not at 0\.75 on dev"):
        run.score(0.75, "dev")
    with pytest.raises(KselectError, match=r"not at 0\.5 on train"):
        run.score(0.5, "train")
