from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from kselect.errors import KselectError
from kselect.runs.run_log import Ledger


def test_what_is_the_same_run_the_key_says(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "made" / "runs.jsonl", ("agent", "seed"))
    assert ledger.entries() == []
    ledger.append({"agent": "all", "seed": 0, "score": 0.5})
    assert ledger.holds({"agent": "all", "seed": 0})
    assert not ledger.holds({"agent": "all", "seed": 1})
    ledger.append({"agent": "all", "seed": 1, "score": math.nan, "text": "ä\u2028b"})
    again = Ledger(ledger.path, ledger.key)
    assert again.entries() == [
        {"agent": "all", "seed": 0, "score": 0.5},
        {"agent": "all", "seed": 1, "score": None, "text": "ä\u2028b"},
    ]


def test_a_line_that_was_cut_off_is_no_run_and_goes_with_the_next(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl", ("seed",))
    ledger.append({"seed": 0})
    with ledger.path.open("a") as file:
        file.write('{"seed": 1, "sco')
    assert ledger.entries() == [{"seed": 0}]
    ledger.append({"seed": 2})
    assert ledger.path.read_text() == '{"seed": 0}\n{"seed": 2}\n'


def test_a_damaged_line_is_reported_by_its_number(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl", ("seed",))
    ledger.path.write_text('{"seed": 0}\n{"seed": \n{"seed": 2}\n')
    with pytest.raises(KselectError, match=r"runs\.jsonl:2 is not JSON: fix that line"):
        ledger.holds({"seed": 1})


def test_several_may_add_at_once(tmp_path: Path) -> None:
    """Lines of many pages, which no system writes in one piece."""
    ledger = Ledger(tmp_path / "runs.jsonl", ("seed",))

    def add(first: int) -> None:
        for seed in range(first, first + 25):
            ledger.append({"seed": seed, "history": "x" * 30000})

    writers = [threading.Thread(target=add, args=(first,)) for first in (0, 100, 200, 300)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len({entry["seed"] for entry in ledger.entries()}) == len(ledger.entries()) == 100


def test_unset_settings_do_not_distinguish_runs(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl", ("settings",))
    ledger.append({"settings": {"epochs": 3, "gone": None}})
    assert ledger.holds({"settings": {"epochs": 3, "new": None}})
    assert not ledger.holds({"settings": {"epochs": 3, "new": 1}})


def test_ledger_tries_failed_runs_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl", ("seed",))
    ledger.append({"seed": 0, "error": "out of memory"})
    ledger.append({"seed": 1, "score": 0.5})
    ledger.append({"seed": 1, "error": "late"})
    assert not ledger.holds({"seed": 0})
    assert ledger.holds({"seed": 1})
    assert list(ledger.latest().values()) == [{"seed": 0, "error": "out of memory"}, {"seed": 1, "score": 0.5}]
    ledger.append({"seed": 0, "score": 0.7})
    assert ledger.holds({"seed": 0})
    assert [entry["score"] for entry in ledger.latest().values()] == [0.7, 0.5]
