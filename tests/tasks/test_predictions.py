from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.predictions import TABLE_SUFFIXES, Format, SubmissionFormat, TableFormat
from kselect.tasks.readers import read_table
from kselect.tasks.task import TextTask
from tests.glue_files import LABELS


def whole(written: Format, ids: list[str], answers: list[tuple[Any, Any]]) -> str:
    """The text of a file whose rows are written one by one."""
    rows = [written.rows([name], [answer]) for name, answer in zip(ids, answers, strict=True)]
    assert "".join(rows) == written.rows(ids, answers)
    return written.header + "".join(rows)


# GLUE's own words: digits, but label names for MNLI, QNLI and RTE.
DIGITS = ("cola", "sst2", "mrpc", "qqp", "wnli")


@pytest.mark.parametrize("name", [name for name in LABELS if name != "stsb"])
def test_submissions_of_classes(name: str) -> None:
    labels = LABELS[name]
    task = TextTask(name, tuple(labels), {}, GLUE_FORMATS[name].metrics)
    answers = [(labels[-1], None), (labels[0], None)]
    last, first = (str(len(labels) - 1), "0") if name in DIGITS else (labels[-1], labels[0])
    assert whole(SubmissionFormat(task), ["0", "7"], answers) == f"index\tprediction\n0\t{last}\n7\t{first}\n"


def test_submission_of_scores_stays_within_bounds() -> None:
    task = TextTask("stsb", (), {}, ("pearson", "spearman"))
    text = whole(SubmissionFormat(task), ["0", "1", "2"], [(-0.2, None), (3.14159, None), (5.4, None)])
    assert text == "index\tprediction\n0\t0.000\n1\t3.142\n2\t5.000\n"


def test_names_of_submissions() -> None:
    names = [name for format in GLUE_FORMATS.values() for name in format.submissions.values()]
    assert names == ["CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI-m", "MNLI-mm", "QNLI", "RTE", "WNLI"]


def test_table_predictions_have_probabilities() -> None:
    task = TextTask("mine", ("no", "yes"), {}, ())
    answers = [("no", (0.5, 0.5)), ("yes", (0.25, 0.75)), ("no", (1.0, 0.0))]
    assert whole(TableFormat(task, "name", probabilities=True), ["a", "b", "c"], answers) == (
        "name\tprediction\tp(no)\tp(yes)\n"
        "a\tno\t0.500000\t0.500000\n"
        "b\tyes\t0.250000\t0.750000\n"
        "c\tno\t1.000000\t0.000000\n"
    )


def test_own_scores() -> None:
    task = TextTask("mine", (), {}, ())
    assert whole(TableFormat(task), ["0"], [(7.25, None)]) == "index\tprediction\n0\t7.2500\n"


def test_what_a_tsv_cannot_hold(message_of: Callable[..., str]) -> None:
    task = TextTask("mine", ("no", "y\tes"), {}, ())
    assert message_of(lambda: TableFormat(task, probabilities=True).header) == (
        "'p(y\\tes)' holds a tab or a line break, which a TSV cannot: rename it."
    )


def test_table_predictions_in_every_format_read_back(tmp_path: Path) -> None:
    task = TextTask("toy", ("no", "yes, but"), {}, ("accuracy",))
    ids, answers = ["a", 'b "c"'], [("yes, but", (0.268941, 0.731059)), ("no", (0.880797, 0.119203))]
    tables = []
    for suffix in TABLE_SUFFIXES:
        path = tmp_path / f"answers{suffix}"
        path.write_text(whole(TableFormat(task, "name", suffix, True), ids, answers))
        tables.append(read_table(path))
    for table in tables:
        assert (table.texts("name"), table.texts("prediction")) == (ids, ["yes, but", "no"])
        assert np.allclose(table.scores("p(no)"), [0.268941, 0.880797])
    scores = TextTask("toy", (), {}, ("pearson",))
    row = whole(TableFormat(scores, suffix=".jsonl"), ["0"], [(7.25, None)])
    assert row == '{"index": "0", "prediction": 7.25}\n'
