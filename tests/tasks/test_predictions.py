from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.predictions import TABLE_SUFFIXES, glue_submission, table_predictions
from kselect.tasks.readers import read_table
from kselect.tasks.task import TextTask
from tests.glue_files import LABELS

# GLUE's own words: digits, but label names for MNLI, QNLI and RTE.
DIGITS = ("cola", "sst2", "mrpc", "qqp", "wnli")


@pytest.mark.parametrize("name", [name for name in LABELS if name != "stsb"])
def test_submissions_of_classes(name: str) -> None:
    labels = LABELS[name]
    task = TextTask(name, tuple(labels), {}, GLUE_FORMATS[name].metrics)
    logits = np.eye(len(labels))[[len(labels) - 1, 0]]
    last, first = (str(len(labels) - 1), "0") if name in DIGITS else (labels[-1], labels[0])
    assert glue_submission(task, ["0", "7"], logits) == f"index\tprediction\n0\t{last}\n7\t{first}\n"


def test_submission_of_scores_stays_within_bounds() -> None:
    task = TextTask("stsb", (), {}, ("pearson", "spearman"))
    text = glue_submission(task, ["0", "1", "2"], np.array([[-0.2], [3.14159], [5.4]]))
    assert text == "index\tprediction\n0\t0.000\n1\t3.142\n2\t5.000\n"


def test_names_of_submissions() -> None:
    names = [name for format in GLUE_FORMATS.values() for name in format.submissions.values()]
    assert names == ["CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI-m", "MNLI-mm", "QNLI", "RTE", "WNLI"]


def test_table_predictions_have_probabilities() -> None:
    task = TextTask("mine", ("no", "yes"), {}, ())
    logits = np.array([[0.0, 0.0], [0.0, np.log(3)], [1000.0, -1000.0]])
    assert table_predictions(task, ["a", "b", "c"], logits, "name") == (
        "name\tprediction\tp(no)\tp(yes)\n"
        "a\tno\t0.500000\t0.500000\n"
        "b\tyes\t0.250000\t0.750000\n"
        "c\tno\t1.000000\t0.000000\n"
    )


def test_own_scores() -> None:
    task = TextTask("mine", (), {}, ())
    assert table_predictions(task, ["0"], np.array([[7.25]])) == "index\tprediction\n0\t7.2500\n"


def test_what_a_tsv_cannot_hold(message_of: Callable[..., str]) -> None:
    task = TextTask("mine", ("no", "y\tes"), {}, ())
    assert message_of(table_predictions, task, ["a"], np.zeros((1, 2))) == (
        "'p(y\\tes)' holds a tab or a line break, which a TSV cannot: rename it."
    )


def test_table_predictions_in_every_format_read_back(tmp_path: Path) -> None:
    task = TextTask("toy", ("no", "yes, but"), {}, ("accuracy",))
    ids, logits = ["a", 'b "c"'], np.array([[0.0, 1.0], [2.0, 0.0]])
    tables = []
    for suffix in TABLE_SUFFIXES:
        path = tmp_path / f"answers{suffix}"
        path.write_text(table_predictions(task, ids, logits, "name", suffix))
        tables.append(read_table(path))
    for table in tables:
        assert (table.texts("name"), table.texts("prediction")) == (ids, ["yes, but", "no"])
        assert np.allclose(table.scores("p(no)"), [0.268941, 0.880797])
    scores = TextTask("toy", (), {}, ("pearson",))
    assert (
        table_predictions(scores, ["0"], np.array([[7.25]]), suffix=".jsonl") == '{"index": "0", "prediction": 7.25}\n'
    )
