"""Which levels of knowledge a gain is told apart into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kselect.config.checks import one_of, require
from kselect.config.knowledge import KnowledgeConfig

MEASURES = ("score", "loss")
WHOLE = ("label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim", "logits")
"""The kinds of knowledge of a ladder that no share of the classes is needed for."""


@dataclass
class AblationConfig:
    """Ladder: what a student is taught at each level, and what a gain is told in."""

    gold_share: float = 0.5
    """Share of gold labels in the loss of every student but the fine-tuned one, beside what its level teaches."""
    measure: Literal["score", "loss"] = "score"
    """What a gain is told in: points of the task's score on dev, or nats that the gold loss on dev is lower."""
    temperature: float | str = 1.0
    """Softening of teacher's and student's logits, or a schedule such as 4->1; the KL is multiplied by its square."""
    label_smoothing: float | None = None
    """Share of the gold label that label smoothing gives to all classes alike; by default so much that wrong classes
    get as much as from the teacher on train."""
    similarity_mass: float | None = None
    """Probability that kd-sim leaves to wrong classes, shared as they are alike; by default as much as the teacher on
    train."""
    similarity_temperature: float = 0.3
    """What cosines of the teacher's output weights are divided by in kd-sim and kd-pt-sim; 1 leaves them near flat."""
    top_k: list[float] = field(default_factory=lambda: [0.25, 0.5])
    """Shares of the classes whose probabilities are kept, one student each."""
    earlier: str | None = None
    """Folder of a ladder whose runs are taken over: its settings are these but for seeds, measure and top_k."""
    teacher_cache: float = 4.0
    """GiB of disk for the teacher's outputs on train, so that each is computed once; 0 computes it every time."""
    cache_dir: str | None = None
    """Folder of teacher outputs, which all runs share; by default the environment variable KSELECT_CACHE or, without
    it, kselect in the user's folder of caches."""

    def __post_init__(self) -> None:
        require(0 <= self.gold_share < 1, f"gold_share is {self.gold_share}: give a share below 1.")
        one_of("measure", self.measure, MEASURES)
        for share in (None, *self.top_k):
            self.knowledge(share)

    def knowledge(self, top_k: float | None = None) -> KnowledgeConfig:
        """Return what is on offer to a student: the `top_k` largest probabilities or, without it, all other levels.

        Raises:
            KselectError: a setting that cannot be.
        """
        names = ("temperature", "similarity_mass", "similarity_temperature", "teacher_cache", "cache_dir")
        settings = {name: getattr(self, name) for name in names}
        settings |= {} if self.label_smoothing is None else {"label_smoothing": self.label_smoothing}
        if top_k is None:
            return KnowledgeConfig(knowledge=["gold", *WHOLE], **settings)
        return KnowledgeConfig(knowledge=["gold", "kd-top-k"], top_k=top_k, **settings)
