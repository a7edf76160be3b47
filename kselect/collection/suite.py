"""A suite of conditions, registered in a YAML file: what is learned from which data, under which teacher, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import Any

from kselect.agents.stages import Stages, check_stages, stage_knowledge
from kselect.agents.validation import SHARE, check_range
from kselect.collection.conditions import AgentSpec, Condition, filled
from kselect.config import TEXT_SOURCES, KnowledgeConfig, TaskConfig
from kselect.config.validation import check_type, require
from kselect.config.yaml_file import read
from kselect.errors import KselectError, unknown


@dataclass(frozen=True)
class Suite:
    """A suite of conditions and selections.

    Attributes:
        conditions: by name.
        tasks: the tasks by name, with all of their data.
        knowledge: what every run has on offer.
        selections: stages of fixed weights by the name of the selection, see `kselect.agents.stages`.
        dev_examples: examples for reporting; a sample, where a task has more.
        agents: agents and recipes to compare the selections with, by name.
    """

    conditions: dict[str, Condition]
    tasks: dict[str, TaskConfig]
    knowledge: KnowledgeConfig
    selections: dict[str, Stages]
    dev_examples: int = 1000
    agents: dict[str, AgentSpec] = field(default_factory=dict)


SECTIONS = {"tasks": dict, "knowledge": dict, "selections": dict, "conditions": list}
"""Sections that every suite has, and what each is."""


def read_suite(path: str | Path) -> Suite:
    """Read a suite from YAML.

    `tasks`, `selections` and `agents` are mappings by name; a selection is a mapping of weights, or a list of stages.
    Every condition has a `name`, and over the `defaults`, group by group, what is different there.

    Raises:
        KselectError: a file that is missing or malformed; an unknown name; values out of range.
    """
    content = read(str(path), "suite")
    if not isinstance(content, dict):
        raise KselectError(f"{path} is not a mapping: give {', '.join(SECTIONS)}.", setting="suite")
    for key in content:
        if key not in (*SECTIONS, "defaults", "dev_examples", "agents"):
            raise unknown(f"section of {path}", key, (*SECTIONS, "agents"))
    for key, kind in SECTIONS.items():
        if not isinstance(content.get(key), kind) or not content[key]:
            noun = "list" if kind is list else "mapping"
            raise KselectError(f"{path} has no {noun} of {key}: give one.", setting="suite")
    knowledge = filled(KnowledgeConfig, content["knowledge"], "knowledge")
    suite = Suite(
        conditions=_conditions(content["conditions"], content.get("defaults") or {}),
        tasks={name: _task(name, values) for name, values in content["tasks"].items()},
        knowledge=knowledge,
        selections={name: _stages(name, given, knowledge.knowledge) for name, given in content["selections"].items()},
        dev_examples=content.get("dev_examples", Suite.dev_examples),
        agents=_agents(content.get("agents") or {}, content["selections"]),
    )
    check_type("dev_examples", suite.dev_examples, int)
    require(suite.dev_examples > 0, f"dev_examples is {suite.dev_examples}: give a positive number.")
    for condition in suite.conditions.values():
        for task in (condition.task, condition.texts_of):
            if task is not None and task not in suite.tasks:
                raise unknown("task", task, suite.tasks)
    return suite


def matching(noun: str, known: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that match any of the patterns, in their order.

    Args:
        noun: what is named, for messages.
        known: all names.
        patterns: names, or patterns such as sst2-*.

    Raises:
        KselectError: a pattern that matches none.
    """
    known = list(known)
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in known):
            if "*" in pattern:
                raise KselectError(f"No {noun} matches {pattern}: give one of {', '.join(known)}.")
            raise unknown(noun, pattern, known)
    return [name for name in known if any(fnmatch(name, pattern) for pattern in patterns)]


def _conditions(given: list[Any], defaults: Any) -> dict[str, Condition]:
    if not isinstance(defaults, dict):
        raise KselectError(f"defaults is {defaults!r}: give a mapping of settings of conditions.")
    found: dict[str, Condition] = {}
    for values in given:
        condition = Condition.from_dict(_merged(defaults, values) if isinstance(values, dict) else values)
        if condition.name in found:
            raise KselectError(f"The suite has the condition {condition.name} twice: rename one.")
        found[condition.name] = condition
    return found


def _task(name: str, values: Any) -> TaskConfig:
    given = {} if values is None else values
    values = {"task": name, **given} if isinstance(given, Mapping) else given
    return filled(TaskConfig, values, f"task {name}")


def _stages(name: str, given: Any, knowledge: Sequence[str] | None) -> Stages:
    stages = check_stages(name, [{"weights": given}] if isinstance(given, dict) else given)
    ends = [stage.get("until", 1.0) for stage in stages]
    for end in ends:
        check_range(f"until in selection {name}", end, SHARE)
    if ends[-1] != 1 or any(a >= b for a, b in pairwise([0.0, *ends])):
        raise KselectError(
            f"The stages of selection {name} last until {', '.join(f'{end:g}' for end in ends)}: give rising shares of "
            "the run above 0, the last one 1."
        )
    if knowledge is not None:
        for kind in stage_knowledge(stages):
            if kind not in (*knowledge, *TEXT_SOURCES):
                raise unknown(f"knowledge in selection {name}", kind, [*knowledge, *TEXT_SOURCES])
    return stages


def _agents(given: Any, selections: Mapping[str, Any]) -> dict[str, AgentSpec]:
    if not isinstance(given, dict):
        raise KselectError(f"agents is {given!r}: give a mapping of agents by name.")
    found = {name: filled(AgentSpec, values, f"agent {name}") for name, values in given.items()}
    for name in found:
        if name in selections:
            raise KselectError(f"{name} is both an agent and a selection of the suite: rename one.")
    return found


def _merged(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values over defaults, mapping by mapping."""
    both = {
        name: {**defaults[name], **value} if isinstance(value, dict) and isinstance(defaults.get(name), dict) else value
        for name, value in values.items()
    }
    return {**defaults, **both}
