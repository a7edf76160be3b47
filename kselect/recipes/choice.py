"""What an agent chose for a run, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kselect.agents.chooser import Chooser
from kselect.agents.portfolio import Portfolio
from kselect.agents.stages import weights_any
from kselect.config import TEXT_SOURCES
from kselect.config.knowledge import LABEL_KNOWLEDGE, kind_of
from kselect.distillation.facts.facts import Facts


def _gap(facts: Facts) -> str:
    assert facts.teacher_less_probe is not None
    gap, error = 100 * facts.teacher_less_probe, 100 * (facts.teacher_less_probe_error or 0.0)
    where = "ahead of" if gap > 0 else "behind"
    return f"the teacher is {abs(gap):.0f} ± {error:.0f} points {where} a linear model of your labels"


REASONS: dict[str, Callable[[Facts], str]] = {
    "teacher_less_probe": _gap,
    "disagreement": lambda facts: f"the teacher contradicts {100 * (facts.disagreement or 0.0):.0f} % of your labels",
    "entropy": lambda facts: f"the teacher's predictions have {100 * (facts.entropy or 0.0):.0f} % of the most entropy",
    "label_ratio": lambda facts: (
        f"there are {facts.labelled} labels, and the teacher learned from {facts.teacher_examples} texts"
    ),
    "labelled": lambda facts: f"there are {facts.labelled} labelled examples",
    "unlabelled": lambda facts: f"there are {facts.unlabelled} texts without labels",
    "epochs": lambda facts: f"the run has {facts.epochs:g} epochs",
    "new_head": lambda facts: f"the student's head is {'new' if facts.new_head else 'from its teacher'}",
    "words": lambda facts: f"{'words' if facts.words else 'whole texts'} are labelled",
    "width": lambda facts: f"the student is {facts.width or 1:g} times as wide as its teacher",
}
"""The words for a fact that is defined, by its name in `kselect.distillation.facts.facts.FACTS`."""


def describe_choice(agent: Chooser, facts: Facts) -> tuple[dict[str, Any], str]:
    """Return what an agent chose in its current episode, and a portfolio why: for results.json, and in one line."""
    about, line = _about(agent, facts)
    line = "; ".join([line, *_unused(agent)])
    return {**about, "line": line}, line


def _about(agent: Chooser, facts: Facts) -> tuple[dict[str, Any], str]:
    assert agent.chosen is not None
    if not isinstance(agent, Portfolio):
        return {"selection": agent.chosen}, f"chose {agent.chosen}, by what is known of the run"
    gain = agent.expected
    if gain is None:
        sure = f"no other selection is expected to be better with a probability above {agent.confidence:.0%}"
        return {"selection": agent.chosen, "default": agent.default}, f"chose {agent.chosen}: {sure}"
    parts = {name: part for name, part in gain.parts.items() if part > 0 and name in REASONS and facts.defines(name)}
    reason = REASONS[max(parts, key=lambda name: parts[name])](facts) if parts else "by what is known of the run"
    expected = f"expected gain {gain.mean:+.1f} ± {gain.error:.1f} points"
    line = f"chose {agent.chosen} over {agent.default}: {reason} ({expected})"
    about = {"selection": agent.chosen, "default": agent.default, "gain": gain.mean, "error": gain.error}
    return {**about, "parts": gain.parts, "reason": reason}, line


def _unused(agent: Chooser) -> Iterator[str]:
    """Say what is on offer and has no part in the choice: the teacher, or further texts."""
    assert agent.chosen is not None
    stages, offered = agent.selections[agent.chosen]["stages"], set(agent.names or ())
    used = {name for name in offered if weights_any(stages, name)}
    if used and {kind_of(name) for name in used - {*TEXT_SOURCES}} <= {*LABEL_KNOWLEDGE}:
        yield "nothing of the teacher is used"
    if offered & {*TEXT_SOURCES} and not used & {*TEXT_SOURCES}:
        yield "the further texts are not used"
