"""What is on offer, and how it is compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kselect.config.checks import one_of, require
from kselect.schedule import Schedule

KNOWLEDGE_NAMES = (
    "gold",
    "logits",
    "logits-mse",
    "hidden",
    "hidden-cls",
    "hidden-cosine",
    "embeddings",
    "attention",
    "attention-scores",
    "relations",
    "query-relations",
    "key-relations",
    "value-relations",
    "latent-trees",
)
DEFAULT_KNOWLEDGE = ("gold", "logits", "hidden", "attention", "relations")
WEIGHTINGS = ("selection", "dynamic", "uncertainty")


@dataclass
class KnowledgeConfig:
    """Knowledge: what a teacher offers, and how each kind of it is compared."""

    knowledge: list[str] | None = None
    """The kinds on offer, which an agent weighs, out of gold, logits, logits-mse, hidden, hidden-cls, hidden-cosine,
    embeddings, attention, attention-scores, relations, query-relations, key-relations, value-relations, latent-trees;
    by default what the agent's recipe reads or a policy was trained with, or else gold, logits, hidden, attention,
    relations."""
    weighting: Literal["selection", "dynamic", "uncertainty"] = "selection"
    """How the losses of a step become one: by the selection alone, also by each example's uncertainty, or also by
    variances learned on the way (see docs/agents.md)."""
    temperature: float | str = 2.0
    """Softening of teacher's and student's logits, or a schedule such as 4->1; the KL is multiplied by its square."""
    layer_map: str = "uniform"
    """The teacher layer each student layer is compared with: uniform, last, skip, first, or pairs such as 1:2,2:4."""
    layer_maps: dict[str, str] = field(default_factory=dict)
    """Another layer map for one kind of knowledge, such as hidden-cosine=last."""
    relation_heads: int | None = None
    """Heads that queries, keys and values are cut into for their relations; by default as many as fit both models."""
    scales: dict[str, float | Literal["measured"]] = field(default_factory=dict)
    """Factor on a knowledge's loss, or measured, by name, where the default is not wanted (see docs/knowledge.md)."""
    teacher_cache: float = 4.0
    """GiB of disk for the teacher's outputs on train, so that each is computed once; 0 computes it every time."""
    cache_dir: str | None = None
    """Folder of teacher outputs, which all runs share; by default the environment variable KSELECT_CACHE or, without
    it, kselect in the user's folder of caches."""

    def __post_init__(self) -> None:
        require(len(self.kinds) > 0, "knowledge is empty: name at least gold.")
        require(len(set(self.kinds)) == len(self.kinds), f"knowledge names a kind twice: {', '.join(self.kinds)}.")
        one_of("weighting", self.weighting, WEIGHTINGS)
        temperature = Schedule.parse(self.temperature, "temperature")
        require(
            temperature.start > 0 and temperature.end > 0,
            f"temperature is {self.temperature}: give a positive number, or a schedule between two.",
        )
        require(self.teacher_cache >= 0, f"teacher_cache is {self.teacher_cache}: give 0 or more GiB.")
        require(
            self.relation_heads is None or self.relation_heads > 0,
            f"relation_heads is {self.relation_heads}: give a positive number.",
        )
        for name, scale in self.scales.items():
            require(
                scale == "measured" if isinstance(scale, str) else scale > 0,
                f"scales gives {name} {scale}: give a positive number, or measured.",
            )

    @property
    def kinds(self) -> list[str]:
        """The kinds on offer, where nothing else settles them."""
        return list(DEFAULT_KNOWLEDGE) if self.knowledge is None else self.knowledge
