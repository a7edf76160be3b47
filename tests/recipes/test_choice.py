"""What a portfolio chose, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from gymnasium import spaces

from kselect.agents.portfolio import Gain, Portfolio
from kselect.distillation.facts.facts import Facts
from kselect.envs.observation import observation_space
from kselect.recipes.choice import describe_choice

FACTS = Facts(
    teacher_less_student=0.2,
    teacher_less_student_error=0.02,
    teacher_less_probe=0.12,
    teacher_less_probe_error=0.03,
    disagreement=0.25,
    calibration_error=0.1,
    overconfidence=0.1,
    entropy=0.3,
    labelled=500,
    unlabelled=0,
    classes=2,
    steps=100,
    epochs=3.0,
    new_parameters=0.0,
    new_head=False,
    depth=0.5,
    width=1.0,
    teacher_examples=None,
    regression=False,
    words=False,
)


def portfolio(**parts: float) -> Portfolio:
    selections = {name: {"stages": [{"weights": {name: 1}}], "traits": {}} for name in ("gold", "logits")}
    agent = Portfolio(observation_space(2), spaces.Box(0.0, 1.0, (2,), np.float32), selections=selections, facts={})
    agent.names = ("gold", "logits")
    agent.chosen, agent.expected = "logits", Gain(1.5, 0.5, parts) if parts else None
    return agent


def test_the_reason_is_the_fact_that_contributes_most() -> None:
    about, line = describe_choice(portfolio(teacher_less_probe=1.0, disagreement=0.4), FACTS)
    assert "chose logits over gold: the teacher is 12 ± 3 points ahead of a linear model of your labels" in line
    assert "+1.5 ± 0.5 points" in line
    assert about["default"] == "gold"


def test_a_fact_that_is_not_defined_is_no_reason() -> None:
    unknown = replace(FACTS, teacher_less_probe=None, teacher_less_probe_error=None)
    _, line = describe_choice(portfolio(teacher_less_probe=1.0, disagreement=0.4), unknown)
    assert "the teacher contradicts 25 % of your labels" in line


def test_a_fact_that_speaks_against_the_choice_is_no_reason() -> None:
    about, _ = describe_choice(portfolio(teacher_less_probe=-0.1, disagreement=-1.0), FACTS)
    assert about["reason"] == "by what is known of the run"


def test_labels_are_compared_with_those_of_the_teacher() -> None:
    facts = replace(FACTS, teacher_examples=150)
    _, line = describe_choice(portfolio(label_ratio=1.0, disagreement=0.4), facts)
    assert "there are 500 labels, and the teacher learned from 150 texts" in line
    _, line = describe_choice(portfolio(label_ratio=1.0, disagreement=0.4), FACTS)
    assert "the teacher contradicts" in line


def test_the_default_needs_no_reason() -> None:
    agent = portfolio()
    agent.chosen = "gold"
    about, line = describe_choice(agent, FACTS)
    assert "no other selection is expected to be better with a probability above 90%" in line
    assert about["line"] == line


def test_what_is_on_offer_and_not_used_is_named() -> None:
    agent = portfolio(disagreement=1.0)
    assert "used" not in describe_choice(agent, FACTS)[1]
    agent.chosen = "gold"
    assert describe_choice(agent, FACTS)[1].endswith("; nothing of the teacher is used")
    agent.names = ("gold", "transfer")
    line = describe_choice(agent, FACTS)[1]
    assert line.endswith("; nothing of the teacher is used; the further texts are not used")
