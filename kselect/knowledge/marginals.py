"""Knowledge in marginals: structural distillation between heads that score structures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from kselect.config import ARC_MARGINALS, SOFTENINGS
from kselect.errors import IncomparableError, KselectError, unknown
from kselect.knowledge.base import Batch, Knowledge
from kselect.models.heads.answer import IMPOSSIBLE, Answer, Choices, per_word
from kselect.models.heads.crf import ChainAnswer
from kselect.models.heads.parser import TreeAnswer
from kselect.models.heads.spans import SpanAnswer
from kselect.models.heads.tagger import TagAnswer
from kselect.models.heads.tree_tagger import ArcTagAnswer
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule
from kselect.structure import ChainMarginals, cross_entropy_of, kl

ARC_SCORING_HEADS = ("parser", "second-order-parser")


class Marginals(Knowledge):
    """KL of the student's distribution over structures from the teacher's, in nats per word.

    There are exponentially many structures, but only the teacher's marginals of the parts that the student scores and
    the student's log-partition are needed. Which parts these are depends on the two heads, see `HEAD_PAIRS`. The
    gradient with respect to the score of a part is the student's marginal minus the teacher's.

    Source: structural knowledge distillation (Wang et al., 2021).
    """

    name: ClassVar[str] = "marginals"

    def __init__(
        self,
        teacher: str,
        student: str,
        temperature: Schedule | float = 1.0,
        softening: Literal["global", "local"] = "global",
        arcs: str = "heads",
    ) -> None:
        """Compare the distributions of two heads.

        Args:
            teacher: name of the teacher's head.
            student: name of the student's head.
            temperature: by which distributions are softened.
            softening: how they are softened, see `Softening`.
            arcs: which distribution over heads the marginals of arcs are taken from, see `ARC_MARGINALS`.

        Raises:
            IncomparableError: the two heads have no parts in common.
            KselectError: an unknown value, a softening that does not apply to the student's head, or arcs of a teacher
                that does not score arcs.
        """
        for setting, value, known in (("softening", softening, SOFTENINGS), ("arc_marginals", arcs, ARC_MARGINALS)):
            if value not in known:
                raise unknown(setting, value, known)
        if (teacher, student) not in HEAD_PAIRS:
            pairs = ", ".join(" -> ".join(pair) for pair in HEAD_PAIRS)
            raise IncomparableError(
                f"knowledge marginals is not defined for a teacher's {teacher} and a student's {student}",
                f"use heads out of {pairs}.",
            )
        if arcs != "heads" and teacher not in ARC_SCORING_HEADS:
            raise KselectError(
                f"arc_marginals {arcs} needs a teacher's parser or second-order-parser, not {teacher}: leave it out.",
                setting="arc_marginals",
            )
        self.heads = HEAD_PAIRS[teacher, student]
        self.temperature = temperature if isinstance(temperature, Schedule) else Schedule(temperature, temperature)
        normalised_globally = not self.heads.local or (student != "tree-tagger" and arcs != "heads")
        if softening == "local" and normalised_globally:
            raise KselectError(
                f"softening local flattens each marginal separately, but the scores of a student's {student} are "
                f"normalised over whole structures: use softening global.",
                setting="softening",
            )
        self.softening, self.arcs = softening, arcs

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]`."""
        assert teacher is not None
        softening = Softening(self.temperature(batch.progress), self.softening, self.arcs)
        return self.heads.loss(teacher.answer, student.answer, softening)


@dataclass(frozen=True)
class Softening:
    """How a teacher's distribution is softened before the comparison.

    Attributes:
        temperature: 1 leaves the distribution unchanged.
        kind: `global` divides all scores of teacher and student by the temperature, and multiplies the loss by its
            square. `local` raises each of the teacher's marginals to the power 1 / temperature and normalises again,
            for students whose parts are normalised separately.
        arcs: which distribution over heads the marginals of arcs are taken from, see `ARC_MARGINALS`.
    """

    temperature: float = 1.0
    kind: Literal["global", "local"] = "global"
    arcs: str = "heads"

    @property
    def of_scores(self) -> float:
        """Temperature that scores are divided by."""
        return self.temperature if self.kind == "global" else 1.0

    def soften_locally(self, log_p: Tensor) -> Tensor:
        """Return log-marginals, normalised over the last axis, softened if the kind is `local`."""
        return torch.log_softmax(log_p / self.temperature, -1) if self.kind == "local" else log_p


StructureAnswer = TypeVar("StructureAnswer", ChainAnswer, SpanAnswer)


def like_to_like(teacher: StructureAnswer, student: StructureAnswer, softening: Softening) -> Tensor:
    """Case 1a: KL of two linear chains, whose parts are pairs of neighbouring tags, or of two sets of spans."""
    t = softening.temperature
    return per_word(kl(teacher.at(t), student.at(t)), student.mask) * t**2


def chain_to_tags(teacher: ChainAnswer, student: TagAnswer, softening: Softening) -> Tensor:
    """Case 2a: the chain's marginals of single tags."""
    log_p = log_marginals(teacher.at(softening.of_scores).marginals.labels)
    return divergence(softening.soften_locally(log_p), student.choices, softening)


def tags_to_chain(teacher: TagAnswer, student: ChainAnswer, softening: Softening) -> Tensor:
    """Case 3: independent tags have pairs p(y_i) p(y_i+1), softened before they are multiplied."""
    log_p = teacher.choices.log_probabilities(softening.temperature)
    tokens = ChainMarginals.independent(log_p.exp(), student.mask)
    entropy = torch.where(student.mask, -(log_p.exp() * log_p).sum(-1), 0.0).sum(1)
    total = cross_entropy_of(tokens, student.at(softening.of_scores)) - entropy
    return per_word(total, student.mask) * softening.of_scores**2


def spans_to_tags(teacher: SpanAnswer, student: TagAnswer, softening: Softening) -> Tensor:
    """Case 4: the marginals of BIOES tags under a distribution over span sets."""
    log_p = log_marginals(teacher.at(softening.of_scores).tag_marginals())
    return divergence(softening.soften_locally(log_p), student.choices, softening)


def tags_to_tags(teacher: Answer, student: Answer, softening: Softening) -> Tensor:
    """Both heads tag words independently: token-level KD."""
    log_p = teacher.choices.log_probabilities(softening.temperature)
    return divergence(log_p, student.choices, softening)


def trees_to_trees(teacher: TreeAnswer, student: TreeAnswer, softening: Softening) -> Tensor:
    """KL of heads, independently or as trees, plus that of relations weighted by the teacher's marginals of heads."""
    t = softening.of_scores
    if softening.arcs == "heads":
        log_heads = softening.soften_locally(teacher.head_log_probabilities(t))
        marginals = log_heads.exp() * student.mask[..., None]
        heads = (marginals * (log_heads - student.head_log_probabilities(t))).sum((1, 2))
    else:
        teacher_trees, student_trees = teacher.trees(softening.arcs, t), student.trees(softening.arcs, t)
        marginals, heads = teacher_trees.marginals, kl(teacher_trees, student_trees)
    log_p = torch.log_softmax(teacher.relation_log_probabilities(t) / (softening.temperature / t), -1)
    relations = (log_p.exp() * (log_p - student.relation_log_probabilities(t))).sum(-1)
    return per_word(heads + (marginals * relations).sum((1, 2)), student.mask) * t**2


def trees_to_arc_tags(teacher: TreeAnswer, student: ArcTagAnswer, softening: Softening) -> Tensor:
    """Cases 1b and 2b: the marginal of an arc tag is that of its head times that of its relation."""
    t = softening.of_scores
    log_p = student.of_arcs(teacher.arc_marginals(softening.arcs, t), teacher.relation_log_probabilities(t))
    return divergence(softening.soften_locally(log_p), student.choices, softening)


def log_marginals(marginals: Tensor) -> Tensor:
    """Return the logarithms of marginals, `IMPOSSIBLE` for 0, which softening does not change."""
    return torch.where(marginals > 0, marginals.log(), IMPOSSIBLE)


def divergence(log_p: Tensor, student: Choices, softening: Softening) -> Tensor:
    """Return the mean over words of KL(p || softmax), `[B]` in nats, times T² if softened globally.

    Args:
        log_p: the teacher's log-marginals, `[B, W, K]`.
        student: the student's scores, divided by the temperature only where the teacher's are.
        softening: how both are softened.
    """
    log_q = student.log_probabilities(softening.of_scores)
    by_word = torch.nn.functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)
    return student.mean(by_word) * softening.of_scores**2


@dataclass(frozen=True)
class HeadPair:
    """Structural distillation from one head to another.

    Attributes:
        loss: maps the teacher's answer, the student's answer and a `Softening` to a loss, `[B]` in nats per word.
        local: whether local softening applies.
    """

    loss: Callable[..., Tensor]
    local: bool


HEAD_PAIRS: dict[tuple[str, str], HeadPair] = {
    ("crf", "crf"): HeadPair(like_to_like, local=False),
    ("crf", "tagger"): HeadPair(chain_to_tags, local=True),
    ("tagger", "crf"): HeadPair(tags_to_chain, local=True),
    ("tagger", "tagger"): HeadPair(tags_to_tags, local=True),
    ("spans", "tagger"): HeadPair(spans_to_tags, local=True),
    ("spans", "spans"): HeadPair(like_to_like, local=False),
    ("parser", "parser"): HeadPair(trees_to_trees, local=True),
    ("second-order-parser", "parser"): HeadPair(trees_to_trees, local=True),
    ("second-order-parser", "second-order-parser"): HeadPair(trees_to_trees, local=True),
    ("parser", "tree-tagger"): HeadPair(trees_to_arc_tags, local=True),
    ("second-order-parser", "tree-tagger"): HeadPair(trees_to_arc_tags, local=True),
    ("tree-tagger", "tree-tagger"): HeadPair(tags_to_tags, local=True),
}
"""The cases of Wang et al. (2021) and similar ones, by the names of the teacher's and the student's head."""
