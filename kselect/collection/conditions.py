"""A condition of a suite: which data, which teacher, which student and which training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from kselect.config import TrainingConfig
from kselect.config.models import HeadName
from kselect.config.validation import Config
from kselect.errors import KselectError, unknown
from kselect.recipes import check_decider, check_learner


@dataclass(frozen=True)
class TeacherSpec(Config):
    """How a condition's teacher is trained.

    Attributes:
        examples: labelled examples that it is trained on, none of them the student's.
        same_examples: whether it is trained on the student's labelled examples instead, as teachers mostly are.
        logit_factor: factor on its logits after training: above 1 it is overconfident, below 1 underconfident.
        head: for words, see `kselect.config.EncoderConfig`.
    """

    examples: int = 3000
    same_examples: bool = False
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
        return filled(cls, values, f"a condition ({_name_of(values)})")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that `from_dict` makes it of, see `plain`."""
        return plain(self)


@dataclass(frozen=True)
class AgentSpec(Config):
    """An agent or recipe that is played for comparison, as `kselect distill` plays it.

    Attributes:
        agent: its name, or that of a recipe.
        texts: whether it has the condition's further texts.
        augment: texts made of each labelled one, see `kselect.config.TaskConfig`.
        episodes: runs of the condition in which it first learns a policy, as `kselect train-policy` does.
        knowledge: kinds on offer to it, compared as by default; otherwise those of its recipe or the suite.
    """

    agent: str
    texts: bool = True
    augment: int | None = None
    episodes: int = 0
    knowledge: list[str] | None = None

    def validate(self) -> None:
        """Refuse an agent that cannot decide, and numbers out of range."""
        self.require("episodes", self.episodes >= 0, "give 0 or more")
        (check_learner if self.episodes else check_decider)(self.agent)


def plain(config: Any) -> dict[str, Any]:
    """Return the settings of a dataclass, and of those within it, without those that have their defaults.

    A ledger finds its runs by them, and settings that come with a later version do not change them.
    """
    found = {}
    for member in fields(config):
        value = getattr(config, member.name)
        if isinstance(value, Config):
            value = plain(value)
            default: Any = {}
        else:
            default = member.default if member.default_factory is MISSING else member.default_factory()
        if value != default:
            found[member.name] = value
    return found


def filled(kind: Any, values: Any, place: str) -> Any:
    """Make a dataclass of plain values, and those within it.

    Raises:
        KselectError: what is no mapping; an unknown or a missing setting; values out of range.
    """
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
    inner = {name: filled(groups[name], values[name], f"{name} of {place}") for name in groups if name in values}
    return kind(**{**values, **inner})


def _name_of(values: Any) -> str:
    return str(values.get("name", "without a name")) if isinstance(values, Mapping) else "without a name"
