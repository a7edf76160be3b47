"""What is known of a run before its first training step, as numbers that an agent can read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.knowledge.base import Knowledge

GAP = 0.2  # of two scores, that counts as 1
ERROR = 0.05  # of such a gap, that counts as 1

KIND_FACTS = ("reads_labels", "reads_teacher", "trains_head", "is_projected", "teacher_index")
"""Facts of a kind of knowledge: properties of `Knowledge`."""


@dataclass(frozen=True)
class Facts:
    """Facts of a run; None where they are not defined, or nothing could be measured.

    They are of the first teacher, and of the student with its initial weights. A gap is a difference of the task's
    score on the same held-out examples (the reward split), with its standard error.

    Attributes:
        teacher_less_student: Score of the teacher less that of the student.
        teacher_less_student_error: Its standard error.
        teacher_less_probe: Score of the teacher less that of a linear model of the student's hidden states that is
            fitted to the labels of train: of what labels alone teach. Not defined for trees, nor where the student
            returns no hidden states.
        teacher_less_probe_error: Its standard error.
        disagreement: Share of train's labels that the teacher does not predict; in a regression, its squared error
            relative to the variance of the scores.
        calibration_error: Expected calibration error of the teacher on held-out examples.
        overconfidence: Its mean confidence less its accuracy there, both by position as in `calibration_error`.
        entropy: Mean entropy there, divided by log K.
        labelled: Examples that have a label and are learned from.
        unlabelled: Examples without a label that are learned from.
        classes: Number of classes; 1 in a regression.
        steps: Training steps of the run.
        epochs: Epochs of the run.
        new_parameters: Share of the student's parameters that are randomly initialised.
        new_head: Whether there are any such parameters.
        depth: Layers of the student for each of the teacher's.
        width: Width of the student's hidden states relative to that of the teacher's.
        teacher_examples: Different texts that the teacher was trained on; not known where its folder has no record.
        regression: Whether labels are scores.
        words: Whether words are labelled, not whole texts.
    """

    teacher_less_student: float | None
    teacher_less_student_error: float | None
    teacher_less_probe: float | None
    teacher_less_probe_error: float | None
    disagreement: float | None
    calibration_error: float | None
    overconfidence: float | None
    entropy: float | None
    labelled: int
    unlabelled: int
    classes: int
    steps: int
    epochs: float
    new_parameters: float
    new_head: bool
    depth: float | None
    width: float | None
    teacher_examples: int | None
    regression: bool
    words: bool

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Facts:
        """Return the facts that `to_dict` returned."""
        return Facts(**{field.name: values[field.name] for field in fields(Facts)})

    def to_dict(self) -> dict[str, Any]:
        """Return every fact by name, for JSON."""
        return asdict(self)

    def scaled(self) -> dict[str, float]:
        """Return the entries of `vector` by name.

        Gaps are in units of 20 points and their errors of 5; counts are logarithms, around 1,000 labelled examples and
        100 training steps. A fact that is None is 0, and the indicator `..._known` in front of its group, too.
        """
        return {
            "student_known": float(self.teacher_less_student is not None),
            "teacher_less_student": _known(self.teacher_less_student) / GAP,
            "teacher_less_student_error": _known(self.teacher_less_student_error) / ERROR,
            "probe_known": float(self.teacher_less_probe is not None),
            "teacher_less_probe": _known(self.teacher_less_probe) / GAP,
            "teacher_less_probe_error": _known(self.teacher_less_probe_error) / ERROR,
            "disagreement_known": float(self.disagreement is not None),
            "disagreement": _known(self.disagreement),
            "calibration_known": float(self.calibration_error is not None),
            "calibration_error": _known(self.calibration_error) / GAP,
            "overconfidence": _known(self.overconfidence) / GAP,
            "entropy": _known(self.entropy),
            "labelled": (math.log10(1 + self.labelled) - 3) / 2,
            "unlabelled": math.log10(1 + self.unlabelled) / 5,
            "classes": math.log10(self.classes) / 2,
            "steps": (math.log10(self.steps) - 2) / 2,
            "epochs": math.log10(self.epochs),
            "new_parameters": self.new_parameters,
            "new_head": float(self.new_head),
            "teacher_known": float(self.depth is not None),
            "depth": _known(self.depth),
            "width": _known(self.width),
            "teacher_examples_known": float(self.teacher_examples is not None),
            "label_ratio": self._label_ratio(),
            "regression": float(self.regression),
            "words": float(self.words),
        }

    def _label_ratio(self) -> float:
        """Return log10 of the student's labelled examples for each text of the teacher's; 0 where these are unknown."""
        if self.teacher_examples is None:
            return 0.0
        return math.log10((1 + self.labelled) / (1 + self.teacher_examples))

    def defines(self, name: str) -> bool:
        """Return whether an entry of `vector` is defined."""
        return name not in INDICATORS or self.scaled()[INDICATORS[name]] > 0

    def vector(self) -> NDArray[np.float32]:
        """Return the facts as numbers of about [-1, 1], `[len(FACTS)]`, in the order of `FACTS`; see `scaled`."""
        scaled = self.scaled()
        return np.array([scaled[name] for name in FACTS], dtype=np.float32)


FACTS = (
    *("student_known", "teacher_less_student", "teacher_less_student_error"),
    *("probe_known", "teacher_less_probe", "teacher_less_probe_error"),
    *("disagreement_known", "disagreement"),
    *("calibration_known", "calibration_error", "overconfidence", "entropy"),
    *("labelled", "unlabelled", "classes", "steps", "epochs", "new_parameters", "new_head"),
    *("teacher_known", "depth", "width"),
    *("teacher_examples_known", "label_ratio"),
    *("regression", "words"),
)
"""Names of the entries of `Facts.vector`."""

INDICATORS = {
    "teacher_less_student": "student_known",
    "teacher_less_student_error": "student_known",
    "teacher_less_probe": "probe_known",
    "teacher_less_probe_error": "probe_known",
    "disagreement": "disagreement_known",
    "calibration_error": "calibration_known",
    "overconfidence": "calibration_known",
    "entropy": "calibration_known",
    "depth": "teacher_known",
    "width": "teacher_known",
    "label_ratio": "teacher_examples_known",
}
"""The entry that is 0 where a fact is undefined, by the name of the fact, for those that may be."""


def kind_facts(knowledge: Sequence[Knowledge]) -> NDArray[np.float32]:
    """Return the facts of each kind of knowledge, `[k, len(KIND_FACTS)]`: 0 or 1, and the index of its teacher."""
    return np.array([[float(getattr(kind, fact)) for fact in KIND_FACTS] for kind in knowledge], dtype=np.float32)


def _known(value: float | None) -> float:
    return 0.0 if value is None else value
