from __future__ import annotations

import json
import math
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kselect.errors import KselectError
from kselect.runs.run_log import Ledger
from tests.damage import damaged, read_or_refused

KEY = ("agent", "seed")


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


WHOLE = {"agent": "all", "seed": 0, "metrics": {"score": 0.5, "f1": 0.25}, "seconds": 3.5}
LINES = f"{json.dumps(WHOLE)}\n{json.dumps({**WHOLE, 'seed': 1, 'error': 'out of memory'})}\n".encode()
DAMAGE = {
    "empty line": b"\n" + LINES,
    "not JSON": b"agent: all\n",
    "not UTF-8": LINES.replace(b"all", b"\xff\xfe\x00"),
    "BOM": b"\xef\xbb\xbf" + LINES,
    "a return within": LINES.replace(b'": ', b'": \r', 1).replace(b'"all"', b'"a\rll"', 1),
    "a text": b'""\n',
    "a list": b"[]\n",
    "null": b"null\n",
    "nested": b"[" * 100_000 + b"\n",
    "nested key": b'{"agent": "all", "seed": ' + b"[" * 900 + b"]" * 900 + b"}\n",
    "long number": b'{"agent": "all", "seed": ' + b"9" * 5000 + b"}\n",
    "no seed": LINES.replace(b'"seed"', b'"sead"'),
    "no metrics": LINES.replace(b'"metrics"', b'"metrix"'),
    "no score": LINES.replace(b'"score"', b'"skore"'),
    "a text for a score": LINES.replace(b"0.5", b'"0.5"'),
    "null for a score": LINES.replace(b"0.5", b"null"),
    "a list for metrics": LINES.replace(b'{"score": 0.5, "f1": 0.25}', b"[0.5]"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_entries_are_refused_in_a_line(name: str, tmp_path: Path) -> None:
    assert read_ledger(tmp_path, LINES)[1] == {Ledger(tmp_path, KEY).identity(WHOLE)}
    with pytest.raises(KselectError, match=r"runs\.jsonl:\d+ .*: fix that line, or remove it with its run\.$"):
        read_ledger(tmp_path, DAMAGE[name])


def test_a_ledger_with_random_damage_is_read_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        content = damaged(LINES, rng)
        entries, _ = read_or_refused(partial(read_ledger, tmp_path, content)) or ([], set())
        assert all(set(KEY) <= entry.keys() for entry in entries)
        assert all("error" in entry or isinstance(entry["metrics"]["score"], int | float) for entry in entries)


def read_ledger(folder: Path, content: bytes) -> tuple[list[dict[str, Any]], set[str]]:
    ledger = Ledger(folder / "runs.jsonl", KEY, {"metrics": ("score",)})
    ledger.path.write_bytes(content)
    return ledger.entries(), ledger.finished()
