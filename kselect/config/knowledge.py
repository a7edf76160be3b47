"""The kinds of knowledge on offer, and how each is compared."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from kselect.config.validation import Config, require, setting
from kselect.errors import KselectError
from kselect.schedule import Schedule

T = TypeVar("T")

LEVELS = ("label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim", "kd-top-k")
TEXT_KNOWLEDGE = (
    "gold",
    "logits",
    "logits-mse",
    "reverse-kl",
    "jsd",
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
LABEL_KNOWLEDGE = ("gold", "label-smoothing")
"""Kinds that read labels alone, and nothing of a teacher."""
KNOWLEDGE_NAMES = (*TEXT_KNOWLEDGE, *PARSER_KNOWLEDGE, *WORD_KNOWLEDGE)
ANSWER_KNOWLEDGE = ("gold", "logits", "logits-mse", "reverse-kl", "jsd", *LEVELS, *PARSER_KNOWLEDGE, *WORD_KNOWLEDGE)
"""Kinds that compare answers, or read no teacher, and so need no tokens that teacher and student have in common."""
TEXT_SOURCES = {"transfer": "transfer_file", "augmented": "augment"}
"""Rows of a selection that say how many of the batches are drawn from further texts, rather than what is learned, and
the setting that these texts come from."""
SOFTENINGS = ("global", "local")
ARC_MARGINALS = ("heads", "non-projective", "projective")
DEFAULT_KNOWLEDGE = ("gold", "logits", "hidden", "attention", "relations")
DEFAULT_OF_WORDS = ("marginals", "substructures")
"""On offer by default where words are labelled, in addition to the others, as far as both models have them."""
WEIGHTINGS = ("selection", "dynamic", "uncertainty")


def split_name(name: str) -> tuple[str, int | None]:
    """Return the kind of knowledge that a name is for, and the number of the teacher that it reads, if it has one.

    Raises:
        KselectError: what follows the @ does not number a teacher.

    >>> split_name("logits@2"), split_name("logits")
    (('logits', 2), ('logits', None))
    """
    kind, at, number = name.partition("@")
    if not at:
        return name, None
    if not re.fullmatch("[1-9][0-9]*", number):
        raise KselectError(f"{name} does not number a teacher: count from 1, as in {kind}@1.", setting="knowledge")
    return kind, int(number)


def kind_of(name: str) -> str:
    """Return the kind of knowledge that a name is for, without the number of a teacher."""
    return split_name(name)[0]


def key_of(name: str, values: Container[str]) -> str | None:
    """Return the key in `values` that is for the knowledge `name`: this name, or else its kind for all teachers.

    >>> key_of("hidden@2", ["hidden"]), key_of("hidden@2", ["hidden", "hidden@2"]), key_of("hidden", ["hidden@2"])
    ('hidden', 'hidden@2', None)
    """
    return next((key for key in (name, kind_of(name)) if key in values), None)


def entries_of(values: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
    """Return the entries of a setting by kind of knowledge, such as `scales`, that are for the knowledge `names`."""
    used = {key_of(name, values) for name in names}
    return {key: value for key, value in values.items() if key in used}


@dataclass(frozen=True)
class KnowledgeConfig(Config):
    """Knowledge: which kinds of knowledge a teacher offers, and how each is compared."""

    knowledge: list[str] | None = setting(None, set_by_agent=True)
    """Kinds of knowledge on offer, which an agent weighs, out of gold, logits, logits-mse, reverse-kl, jsd, hidden,
    hidden-cls, hidden-cosine, embeddings, attention, attention-scores, relations, query-relations, key-relations,
    value-relations, latent-trees, label-smoothing, kd-sim, kd-pt, kd-pt-sim, kd-top-k, with a parser parser-trees and,
    of words, marginals, substructures, posterior, best-sequences; by default those that the agent's recipe reads or a
    policy was trained with, or else, as far as both models have them, gold, logits, hidden, attention, relations, with
    a parser parser-trees and, of words, marginals, substructures. With several teachers, a number says which one a kind
    reads, as in logits@2 (first: 1), and logits alone reads the mean of their logits."""
    skip_unsupported: bool = setting(False, set_by_agent=True)
    """Leave out kinds of knowledge that are named and that these models cannot compare, instead of refusing them."""
    weighting: Literal["selection", "dynamic", "uncertainty"] = setting(
        "selection", group="comparison", set_by_agent=True
    )
    """How the losses of a step are combined: by the selection alone, also by each example's uncertainty, or also by
    variances that are learned (see docs/agents.md)."""
    temperature: float | str = setting(2.0, group="comparison", set_by_agent=True)
    """Softening of teacher's and student's logits, or a schedule such as 4->1; the KL is multiplied by its square."""
    label_smoothing: float = 0.1
    """Share of the probability that label-smoothing distributes evenly over all classes."""
    similarity_temperature: float = 0.3
    """Divisor of the cosines of the teacher's output weights in kd-sim and kd-pt-sim; 1 leaves them near flat."""
    similarity_mass: float | None = None
    """Probability that kd-sim gives to wrong classes, distributed by their similarity; by default that of the cosines.
    """
    top_k: float = 0.5
    """Share of the classes whose probabilities kd-top-k transfers."""
    marginals_temperature: float | str = setting(1.0, group="structures")
    """Softening of marginals, or a schedule; scores are divided by it, or marginals flattened: see softening."""
    softening: Literal["global", "local"] = setting("global", group="structures")
    """Soften marginals through their scores (global) or one by one (local, where that is sound)."""
    arc_marginals: Literal["heads", "non-projective", "projective"] = setting("heads", group="structures")
    """Marginals of a parser: of each word's head alone, or of trees, with crossing arcs or without."""
    transitions: bool = setting(False, group="structures")
    """Compare pairs of neighbouring tags of two CRFs, rather than single tags, as substructures."""
    layer_map: str = setting("uniform", group="comparison", set_by_agent=True)
    """Teacher layer that each student layer is compared with: uniform, last, skip, first, or pairs such as 1:2,2:4."""
    layer_maps: dict[str, str] = setting(default_factory=dict, group="comparison", set_by_agent=True)
    """Another layer map for one kind of knowledge, such as hidden-cosine=last or, under one teacher, hidden@2=last."""
    relation_heads: int | None = setting(None, group="comparison", set_by_agent=True)
    """Number of relation heads that queries, keys and values are split into; by default the largest that fits both
    models."""
    scales: dict[str, float | Literal["measured"]] = setting(
        default_factory=dict, group="comparison", set_by_agent=True
    )
    """Factor on the loss of a kind of knowledge, or measured, in place of its default (see docs/knowledge.md)."""
    teacher_cache: float = setting(4.0, affects_result=False, may_differ_on_resume=True)
    """GiB of disk for the teacher's outputs on train, so that each is computed once; 0 computes it every time."""
    cache_dir: str | None = setting(None, affects_result=False, may_differ_on_resume=True)
    """Folder of teacher outputs, which all runs share; by default the environment variable KSELECT_CACHE or, without
    it, kselect in the user's cache folder."""

    def validate(self) -> None:
        """Refuse no kind of knowledge, one given twice, and numbers out of range."""
        if self.knowledge is not None:
            named = ", ".join(self.knowledge)
            require(len(self.knowledge) > 0, "knowledge is empty: name at least gold.", "knowledge")
            twice = len(set(self.knowledge)) < len(self.knowledge)
            require(not twice, f"knowledge names a kind twice: {named}.", "knowledge")
        for name in (*(self.knowledge or ()), *self.scales, *self.layer_maps):
            split_name(name)
        mass, heads = self.similarity_mass, self.relation_heads
        self.require("label_smoothing", 0 <= self.label_smoothing < 1, "give a share below 1")
        self.require("similarity_temperature", self.similarity_temperature > 0, "give a positive number")
        self.require("similarity_mass", mass is None or 0 <= mass < 1, "give a share below 1")
        self.require("top_k", 0 < self.top_k <= 1, "give a share of the classes, more than 0 and up to 1")
        for name in ("temperature", "marginals_temperature"):
            schedule = Schedule.parse(getattr(self, name), name)
            positive = schedule.start > 0 and schedule.end > 0
            self.require(name, positive, "give a positive number, or a schedule between two")
        self.require("teacher_cache", self.teacher_cache >= 0, "give 0 or more GiB")
        self.require("relation_heads", heads is None or heads > 0, "give a positive number")
        for name, scale in self.scales.items():
            require(
                scale == "measured" if isinstance(scale, str) else scale > 0,
                f"scales gives {name} {scale}: give a positive number, or measured.",
                "scales",
            )

    def check_teachers(self, teachers: int) -> None:
        """Refuse a kind of knowledge with a number beyond that of the teachers."""
        for name in self.knowledge or ():
            number = split_name(name)[1] or 1
            require(
                not teachers or number <= teachers,
                f"knowledge {name} reads teacher {number} of {teachers}: give a number up to {teachers}, or more "
                f"teachers.",
                "knowledge",
            )
