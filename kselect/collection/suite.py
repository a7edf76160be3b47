"""A suite of conditions, registered in a YAML file: what is learned from which data, under which teacher, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from kselect.agents.stages import Stages, check_stages, stage_knowledge
from kselect.agents.validation import SHARE, check_range
from kselect.config import TEXT_SOURCES, KnowledgeConfig, TaskConfig, TrainingConfig
from kselect.config.models import HeadName
from kselect.config.validation import Config, check_type, require
from kselect.config.yaml_file import read
from kselect.errors import KselectError, unknown


@dataclass(frozen=True)
class TeacherSpec(Config):
    """How a condition's teacher is trained.

    Attributes:
        examples: labelled examples that it is trained on.
        logit_factor: factor on its logits after training: above 1 it is overconfident, below 1 underconfident.
        head: for words, see `kselect.config.EncoderConfig`.
    """

    examples: int = 3000
    epochs: float = 3.0
    learning_rate: float = 1e-4
    logit_factor: float = 1.0
    head: HeadName | None = None

    def validate(self) -> None:
        """Refuse numbers out of range."""
        for name in ("examples", "epochs", "learning_rate", "logit_factor"):
            self.require(name, getattr(self, name) > 0, "give a positive number")


@dataclass(frozen=True)
class StudentSpec(Config):
    """How a condition's student is made.

    Attributes:
        layers: number of layers, or which ones, counted from 1.
        initial: cut from its teacher, head included; or cut from the pretrained encoder, with a new head; or narrow:
            of half the width, randomly initialised.
        head: for words.
    """

    layers: int | list[int] = 3
    initial: Literal["teacher", "encoder", "narrow"] = "teacher"
    head: HeadName | None = None


@dataclass(frozen=True)
class Condition(Config):
    """One condition of a suite.

    Attributes:
        name: of the condition.
        task: name of one of the suite's tasks.
        stratum: the group of conditions that it is reported with.
        labelled: labelled examples to learn from.
        held_out: further labelled examples, held out for rewards.
        unlabelled: further texts without labels.
        texts_of: the task whose texts these are; by default the condition's own.
        label_noise: share of the labelled and held-out examples whose label is replaced by another one, drawn evenly;
            in a regression, whose scores are permuted among each other.
    """

    name: str
    task: str
    stratum: str
    labelled: int = 500
    held_out: int = 500
    unlabelled: int = 0
    texts_of: str | None = None
    label_noise: float = 0.0
    teacher: TeacherSpec = field(default_factory=TeacherSpec)
    student: StudentSpec = field(default_factory=StudentSpec)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def validate(self) -> None:
        """Refuse numbers out of range."""
        for name in ("labelled", "held_out"):
            self.require(name, getattr(self, name) > 0, "give a positive number")
        self.require("unlabelled", self.unlabelled >= 0, "give 0 or more")
        self.require("label_noise", 0 <= self.label_noise < 1, "give a share below 1")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Condition:
        """Make a condition of plain values, as `asdict` returns and YAML files hold them."""
        return _filled(cls, values, f"a condition ({_name_of(values)})")


@dataclass(frozen=True)
class Suite:
    """A suite of conditions and selections.

    Attributes:
        conditions: by name.
        tasks: the tasks by name, with all of their data.
        knowledge: what every run has on offer.
        selections: stages of fixed weights by the name of the selection, see `kselect.agents.stages`.
        dev_examples: examples for reporting; a sample, where a task has more.
    """

    conditions: dict[str, Condition]
    tasks: dict[str, TaskConfig]
    knowledge: KnowledgeConfig
    selections: dict[str, Stages]
    dev_examples: int = 1000


SECTIONS = {"tasks": dict, "knowledge": dict, "selections": dict, "conditions": list}
"""Sections that every suite has, and what each is."""


def read_suite(path: str | Path) -> Suite:
    """Read a suite from YAML.

    `tasks` and `selections` are mappings by name; a selection is a mapping of weights, or a list of stages. Every
    condition has a `name`, and over the `defaults`, group by group, what is different there.

    Raises:
        KselectError: a file that is missing or malformed; an unknown name; values out of range.
    """
    content = read(str(path), "suite")
    if not isinstance(content, dict):
        raise KselectError(f"{path} is not a mapping: give {', '.join(SECTIONS)}.", setting="suite")
    for key in content:
        if key not in (*SECTIONS, "defaults", "dev_examples"):
            raise unknown(f"section of {path}", key, SECTIONS)
    for key, kind in SECTIONS.items():
        if not isinstance(content.get(key), kind) or not content[key]:
            noun = "list" if kind is list else "mapping"
            raise KselectError(f"{path} has no {noun} of {key}: give one.", setting="suite")
    knowledge = _filled(KnowledgeConfig, content["knowledge"], "knowledge")
    suite = Suite(
        conditions=_conditions(content["conditions"], content.get("defaults") or {}),
        tasks={name: _task(name, values) for name, values in content["tasks"].items()},
        knowledge=knowledge,
        selections={name: _stages(name, given, knowledge.knowledge) for name, given in content["selections"].items()},
        dev_examples=content.get("dev_examples", Suite.dev_examples),
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
    return _filled(TaskConfig, values, f"task {name}")


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


def _merged(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values over defaults, mapping by mapping."""
    both = {
        name: {**defaults[name], **value} if isinstance(value, dict) and isinstance(defaults.get(name), dict) else value
        for name, value in values.items()
    }
    return {**defaults, **both}


def _filled(kind: Any, values: Any, place: str) -> Any:
    """Make a dataclass of plain values, and those within it."""
    if not isinstance(values, Mapping):
        raise KselectError(f"{values!r} is no mapping of settings: give one for {place}.")
    known = {member.name: member.default is MISSING and member.default_factory is MISSING for member in fields(kind)}
    for name in values:
        if name not in known:
            raise unknown(f"setting of {place}", str(name), known)
    for name, is_required in known.items():
        if is_required and name not in values:
            raise KselectError(f"{name} is missing in {place}: give it.")
    groups = {"teacher": TeacherSpec, "student": StudentSpec, "training": TrainingConfig} if kind is Condition else {}
    inner = {name: _filled(groups[name], values[name], f"{name} of {place}") for name in groups if name in values}
    return kind(**{**values, **inner})


def _name_of(values: Any) -> str:
    return str(values.get("name", "without a name")) if isinstance(values, Mapping) else "without a name"
