"""What is on offer, and how it is compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kselect.config.checks import one_of, require
from kselect.schedule import Schedule

LEVELS = ("label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim", "kd-top-k")
TEXT_KNOWLEDGE = (
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
    *LEVELS,
)
PARSER_KNOWLEDGE = ("parser-trees",)
WORD_KNOWLEDGE = ("marginals", "substructures", "posterior", "best-sequences")
KNOWLEDGE_NAMES = (*TEXT_KNOWLEDGE, *PARSER_KNOWLEDGE, *WORD_KNOWLEDGE)
SOFTENINGS = ("global", "local")
ARC_MARGINALS = ("heads", "non-projective", "projective")
DEFAULT_KNOWLEDGE = ("gold", "logits", "hidden", "attention", "relations")
DEFAULT_OF_WORDS = ("marginals", "substructures")
"""On offer by default where words are labelled, beside the others; of all of them, what the models have in common."""
WEIGHTINGS = ("selection", "dynamic", "uncertainty")


@dataclass
class KnowledgeConfig:
    """Knowledge: what a teacher offers, and how each kind of it is compared."""

    knowledge: list[str] | None = None
    """The kinds on offer, which an agent weighs, out of gold, logits, logits-mse, hidden, hidden-cls, hidden-cosine,
    embeddings, attention, attention-scores, relations, query-relations, key-relations, value-relations, latent-trees,
    label-smoothing, kd-sim, kd-pt, kd-pt-sim, kd-top-k, with a parser parser-trees and, of words, marginals,
    substructures, posterior, best-sequences; by default what the agent's recipe reads or a policy was trained with, or
    else, as far as both models have it, gold, logits, hidden, attention, relations, with a parser parser-trees and, of
    words, marginals, substructures."""
    weighting: Literal["selection", "dynamic", "uncertainty"] = "selection"
    """How the losses of a step become one: by the selection alone, also by each example's uncertainty, or also by
    variances learned on the way (see docs/agents.md)."""
    temperature: float | str = 2.0
    """Softening of teacher's and student's logits, or a schedule such as 4->1; the KL is multiplied by its square."""
    label_smoothing: float = 0.1
    """Share of the gold label that label-smoothing gives to all classes alike."""
    similarity_temperature: float = 0.3
    """What cosines of the teacher's output weights are divided by in kd-sim and kd-pt-sim; 1 leaves them near flat."""
    similarity_mass: float | None = None
    """Probability that kd-sim leaves to wrong classes, shared as they are alike; by default what the cosines do."""
    top_k: float = 0.5
    """Share of the classes whose probabilities kd-top-k keeps."""
    marginals_temperature: float | str = 1.0
    """Softening of marginals, or a schedule; scores are divided by it, or marginals flattened: see softening."""
    softening: Literal["global", "local"] = "global"
    """Whether marginals are softened by their scores (global), or one by one (local), where that is sound."""
    arc_marginals: Literal["heads", "non-projective", "projective"] = "heads"
    """What a parser's marginals are of: each word's head by itself, or trees, crossing arcs allowed or not."""
    transitions: bool = False
    """Whether substructures of two CRFs are pairs of tags, rather than tags."""
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
        if self.knowledge is not None:
            named = ", ".join(self.knowledge)
            require(len(self.knowledge) > 0, "knowledge is empty: name at least gold.")
            require(len(set(self.knowledge)) == len(self.knowledge), f"knowledge names a kind twice: {named}.")
        one_of("weighting", self.weighting, WEIGHTINGS)
        require(
            0 <= self.label_smoothing < 1,
            f"label_smoothing is {self.label_smoothing}: give a share below 1.",
        )
        require(
            self.similarity_temperature > 0,
            f"similarity_temperature is {self.similarity_temperature}: give a positive number.",
        )
        require(
            self.similarity_mass is None or 0 <= self.similarity_mass < 1,
            f"similarity_mass is {self.similarity_mass}: give a share below 1.",
        )
        require(0 < self.top_k <= 1, f"top_k is {self.top_k}: give a share of the classes, more than 0 and up to 1.")
        one_of("softening", self.softening, SOFTENINGS)
        one_of("arc_marginals", self.arc_marginals, ARC_MARGINALS)
        for setting in ("temperature", "marginals_temperature"):
            value = getattr(self, setting)
            temperature = Schedule.parse(value, setting)
            require(
                temperature.start > 0 and temperature.end > 0,
                f"{setting} is {value}: give a positive number, or a schedule between two.",
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
