"""A suite of conditions, registered in a YAML file: what is learned from which data, under which teacher, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from kselect.agents.stages import Stages, check_stages
from kselect.config import KnowledgeConfig, TaskConfig, TrainingConfig
from kselect.config.models import HeadName
from kselect.config.validation import Config
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
        return _filled(cls, values)


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

    @property
    def knowledge_values(self) -> dict[str, Any]:
        """The settings of `knowledge` that differ from their defaults, as plain values."""
        default = KnowledgeConfig()
        return {name: value for name, value in vars(self.knowledge).items() if value != getattr(default, name)}


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
    tasks = {name: TaskConfig(**{"task": name, **(values or {})}) for name, values in content["tasks"].items()}
    defaults = content.get("defaults") or {}
    found: dict[str, Condition] = {}
    for values in content["conditions"]:
        condition = Condition.from_dict(_merged(defaults, values) if isinstance(values, dict) else values)
        if condition.name in found:
            raise KselectError(f"{path} has the condition {condition.name} twice: rename one.")
        for task in (condition.task, condition.texts_of):
            if task is not None and task not in tasks:
                raise unknown("task", task, tasks)
        found[condition.name] = condition
    return Suite(
        conditions=found,
        tasks=tasks,
        knowledge=KnowledgeConfig(**content["knowledge"]),
        selections={name: _stages(name, stages) for name, stages in content["selections"].items()},
        dev_examples=content.get("dev_examples", Suite.dev_examples),
    )


def _stages(name: str, given: Any) -> Stages:
    return check_stages(name, [{"weights": given}] if isinstance(given, dict) else given)


def _merged(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values over defaults, mapping by mapping."""
    both = {
        name: {**defaults[name], **value} if isinstance(value, dict) and isinstance(defaults.get(name), dict) else value
        for name, value in values.items()
    }
    return {**defaults, **both}


def _filled(kind: Any, values: Mapping[str, Any]) -> Any:
    """Make a dataclass of plain values, and those within it."""
    if not isinstance(values, Mapping):
        raise KselectError(f"{values!r} is no mapping of settings: give one for each condition and group.")
    known = {member.name: member.default is MISSING and member.default_factory is MISSING for member in fields(kind)}
    for name in values:
        if name not in known:
            raise unknown("setting of a condition", name, known)
    for name, is_required in known.items():
        if is_required and name not in values:
            raise KselectError(f"{name} is missing in a condition ({values.get('name', 'without a name')}): give it.")
    groups = {"teacher": TeacherSpec, "student": StudentSpec, "training": TrainingConfig}
    inner = {name: _filled(group, values[name]) for name, group in groups.items() if name in known and name in values}
    return kind(**{**values, **inner})


def plain(condition: Condition) -> dict[str, Any]:
    """Return a condition as plain values; `Condition.from_dict` is the inverse."""
    return asdict(condition)
