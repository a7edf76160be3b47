"""The doctor, the levels of an ablation, and recordings of every example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kselect.config.knowledge import KnowledgeConfig
from kselect.config.validation import Config, require, setting

FEWEST = 10
"""The smallest number of examples of a split that a teacher can be examined on."""
WHOLE = ("label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim", "logits")
"""The levels of knowledge that need no share of the classes."""


@dataclass(frozen=True)
class DoctorConfig(Config):
    """Doctor: how many examples are read."""

    examples: int = 300
    """Examples of train, and at most as many of the reward split, that the doctor reads."""
    policy: str | None = "auto"
    """Policy whose choice for a run of these settings is shown, with what it expects of it: auto, or the folder of a
    portfolio, such as `studies/selecting/fit_policy.py` saves."""

    def validate(self) -> None:
        """Refuse too few examples."""
        self.require("examples", self.examples >= FEWEST, f"give {FEWEST} or more")


@dataclass(frozen=True)
class InspectConfig(Config):
    """Inspection: of what, and where a page of it is written."""

    folder: str
    """Folder of a run of distill or train-policy, of a policy, or of a comparison."""
    html: str | None = None
    """Also write everything to this file, an HTML page that needs nothing else."""

    def validate(self) -> None:
        """Refuse empty paths."""
        require(bool(self.folder), "folder is empty: give that of a run, a policy or a comparison.", "folder")
        require(self.html != "", "html is empty: give the file to write.", "html")


@dataclass(frozen=True)
class AblationConfig(Config):
    """Levels: what a student is taught at each level of knowledge, and how a gain is measured."""

    gold_share: float = 0.5
    """Share of gold labels in the loss of every student but the fine-tuned one; the rest is that of its level."""
    measure: Literal["score", "loss"] = setting("score", may_differ_on_extension=True)
    """Unit of gains: points of the task's score on dev, or the reduction in the gold loss on dev, in nats."""
    temperature: float | str = 1.0
    """Softening of teacher's and student's logits, or a schedule such as 4->1; the KL is multiplied by its square."""
    label_smoothing: float | None = None
    """Share of the probability that label smoothing distributes evenly over all classes; by default such that wrong
    classes get as much as from the teacher on train."""
    similarity_mass: float | None = None
    """Probability that kd-sim gives to wrong classes, distributed by their similarity; by default as much as the
    teacher gives them on train."""
    similarity_temperature: float = 0.3
    """Divisor of the cosines of the teacher's output weights in kd-sim and kd-pt-sim; 1 leaves them near flat."""
    top_k: list[float] = setting(default_factory=lambda: [0.25, 0.5], may_differ_on_extension=True)
    """Shares of the classes whose probabilities are transferred, one student each."""
    earlier: str | None = setting(None, affects_result=False, may_differ_on_extension=True)
    """Folder of an ablation whose runs are taken over: its settings are these but for seeds, measure and top_k."""
    teacher_cache: float = setting(4.0, affects_result=False, may_differ_on_resume=True)
    """GiB of disk for the teacher's outputs on train, so that each is computed once; 0 computes it every time."""
    cache_dir: str | None = setting(None, affects_result=False, may_differ_on_resume=True)
    """Folder of teacher outputs, which all runs share; by default the environment variable KSELECT_CACHE or, without
    it, kselect in the user's cache folder."""

    def validate(self) -> None:
        """Refuse what no level could have."""
        self.require("gold_share", 0 <= self.gold_share < 1, "give a share below 1")
        for share in (None, *self.top_k):
            self.knowledge(share)

    def knowledge(self, top_k: float | None = None) -> KnowledgeConfig:
        """Return what is on offer to a student: the `top_k` largest probabilities or, without it, all other levels."""
        names = ("temperature", "similarity_mass", "similarity_temperature", "teacher_cache", "cache_dir")
        settings = {name: getattr(self, name) for name in names}
        settings |= {} if self.label_smoothing is None else {"label_smoothing": self.label_smoothing}
        if top_k is None:
            return KnowledgeConfig(knowledge=["gold", *WHOLE], **settings)
        return KnowledgeConfig(knowledge=["gold", "kd-top-k"], top_k=top_k, **settings)


@dataclass(frozen=True)
class RecordingConfig(Config):
    """Recording: what is recorded of every example, to see why a distillation works (see docs/insight.md)."""

    record: bool = setting(False, affects_result=False)
    """Record the confidence of both models in each example, and its gradient rescaling, at every training step."""
    record_plots: bool = setting(False, affects_result=False)
    """Also plot the recording; needs matplotlib."""

    def validate(self) -> None:
        """Refuse plots of nothing."""
        require(
            self.record or not self.record_plots, "record_plots plots a recording: give record, too.", "record_plots"
        )
