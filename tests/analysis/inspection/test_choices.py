"""What is said of a portfolio whose choices are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kselect.agents.portfolio import Portfolio
from kselect.analysis.inspection.policy import report_of_policy
from kselect.analysis.inspection.report import Report
from kselect.cli.main import main
from tests.analysis.inspection.test_policy import cells
from tests.collection.test_fit import portfolio


def names(report: Report, title: str, fact: str) -> list[str]:
    return [cell.split(" (")[0] for cell in cells(report, title)[fact]]


def test_choices_follow_the_fact_that_matters() -> None:
    agent = portfolio(confidence=0.5)
    for name in ("texts", "late"):
        agent.selections[name]["requires"] = ["transfer"]
    report = report_of_policy(Path("mine"), agent)
    low, _, high = names(report, "What is chosen with further texts", "ahead")
    assert (low, high) == ("gold", "texts")
    low, _, high = names(report, "What is chosen without further texts", "ahead")
    assert (low, high) == ("gold", "logits")
    assert len(set(names(report, "What is chosen with further texts", "unrelated"))) == 1
    assert agent.names == ("gold", "logits", "hidden", "transfer")


def test_where_no_texts_are_on_offer_there_is_one_table() -> None:
    titles = [section.title for section in report_of_policy(Path("mine"), portfolio(("gold", "logits"))).sections]
    assert titles == ["What is chosen", "Expected gain of each trait"]


def test_expected_gains_are_those_that_made_the_scores() -> None:
    agent = portfolio()
    rows = cells(report_of_policy(Path("mine"), agent), "Expected gain of each trait")
    assert len(rows) == len(agent.traits)
    gains = [[float(cell.split(" ± ")[0]) for cell in row] for row in rows.values()]
    centre, scale = agent.centre[0], agent.scale[0]
    labels, outputs, _, texts, *_ = np.array(gains)
    true = [8 * centre, 8 * scale, 0.0]  # of outputs on texts over labels: 4 points each for each unit of `ahead`
    assert outputs + texts - labels == pytest.approx(true, abs=0.7)


def test_a_policy_that_knows_no_names_shows_its_gains(tmp_path: Path) -> None:
    agent = portfolio()
    agent.names = None
    assert [section.title for section in report_of_policy(tmp_path, agent).sections] == ["Expected gain of each trait"]


def test_the_policy_of_the_package_is_inspected_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "auto"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"auto: a policy of {Portfolio.__name__}")
    assert "teacher_less_probe" in out
