"""From one head's answers to another's: what a teacher's distribution says of the parts that a student scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kselect.models.heads.answer import IMPOSSIBLE, Answer, Choices, per_word
from kselect.models.heads.crf import ChainAnswer
from kselect.models.heads.parser import TreeAnswer
from kselect.models.heads.spans import SpanAnswer
from kselect.models.heads.tagger import TagAnswer
from kselect.models.heads.tree_tagger import ArcTagAnswer
from kselect.structure import ChainMarginals, cross_entropy_of, kl


@dataclass(frozen=True)
class Softening:
    """How a teacher's distribution is flattened before it is compared.

    temperature: 1 leaves it as it is. kind: "global" divides all scores of teacher and student by it, and multiplies
    the loss by its square; "local" raises each of the teacher's marginals to 1 / temperature and normalises again,
    which only a student whose parts are normalised by themselves can follow. arcs: of which distribution over heads the
    marginals are, see `ARC_MARGINALS`.
    """

    temperature: float = 1.0
    kind: Literal["global", "local"] = "global"
    arcs: str = "heads"

    @property
    def of_teacher(self) -> float:
        """What the teacher's scores are divided by."""
        return self.temperature if self.kind == "global" else 1.0

    def flat(self, log_p: Tensor) -> Tensor:
        """Return logs of marginals over the last axis, flattened if that is done locally."""
        return torch.log_softmax(log_p / self.temperature, -1) if self.kind == "local" else log_p


def logs(marginals: Tensor) -> Tensor:
    """Return the logs of marginals, that of 0 being `IMPOSSIBLE`, which stays so however it is flattened."""
    return torch.where(marginals > 0, marginals.log(), IMPOSSIBLE)


def divergence(log_p: Tensor, student: Choices, how: Softening) -> Tensor:
    """Return the mean over words of KL(p || softmax), `[B]` in nats, T² times it if softened globally.

    `log_p` is `[B, W, K]`; the student's scores are divided by the temperature only where the teacher's are.
    """
    log_q = student.log_probabilities(how.of_teacher)
    found = torch.nn.functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)
    return student.mean(found) * how.of_teacher**2


def chain_to_chain(teacher: ChainAnswer, student: ChainAnswer, how: Softening) -> Tensor:
    """Case 1a: KL of two linear chains, whose parts are pairs of neighbouring tags."""
    t = how.temperature
    return per_word(kl(teacher.at(t), student.at(t)), student.mask) * t**2


def chain_to_tags(teacher: ChainAnswer, student: TagAnswer, how: Softening) -> Tensor:
    """Case 2a: the chain's marginals of single tags."""
    return divergence(how.flat(logs(teacher.at(how.of_teacher).marginals.labels)), student.choices, how)


def tags_to_chain(teacher: TagAnswer, student: ChainAnswer, how: Softening) -> Tensor:
    """Case 3: tags drawn one by one have pairs p(y_i) p(y_i+1); softened before they are multiplied."""
    t = how.temperature
    log_p = teacher.choices.log_probabilities(t)
    tokens = ChainMarginals.independent(log_p.exp(), student.mask)
    entropy = torch.where(student.mask, -(log_p.exp() * log_p).sum(-1), 0.0).sum(1)
    found = cross_entropy_of(tokens, student.at(how.of_teacher)) - entropy
    return per_word(found, student.mask) * how.of_teacher**2


def spans_to_tags(teacher: SpanAnswer, student: TagAnswer, how: Softening) -> Tensor:
    """Case 4: the marginals of BIOES tags under a distribution over span sets."""
    return divergence(how.flat(logs(teacher.at(how.of_teacher).tag_marginals())), student.choices, how)


def tags_to_tags(teacher: Answer, student: Answer, how: Softening) -> Tensor:
    """Both tag words one by one: token KD."""
    log_p = teacher.choices.log_probabilities(how.temperature)
    return divergence(log_p, student.choices, how)


def spans_to_spans(teacher: SpanAnswer, student: SpanAnswer, how: Softening) -> Tensor:
    """KL of two distributions over span sets."""
    t = how.temperature
    return per_word(kl(teacher.at(t), student.at(t)), student.mask) * t**2


def trees_to_trees(teacher: TreeAnswer, student: TreeAnswer, how: Softening) -> Tensor:
    """KL of heads, one by one or as trees, and of the relations to them, as probable as the teacher's heads are."""
    t = how.of_teacher
    if how.arcs == "heads":
        log_heads = how.flat(teacher.head_log_probabilities(t))
        marginals = log_heads.exp() * student.mask[..., None]
        heads = (marginals * (log_heads - student.head_log_probabilities(t))).sum((1, 2))
    else:
        trees, others = teacher.trees(how.arcs, t), student.trees(how.arcs, t)
        marginals, heads = trees.marginals, kl(trees, others)
    log_p = torch.log_softmax(teacher.relation_log_probabilities(t) / (how.temperature / t), -1)
    relations = (log_p.exp() * (log_p - student.relation_log_probabilities(t))).sum(-1)
    return per_word(heads + (marginals * relations).sum((1, 2)), student.mask) * t**2


def trees_to_arc_tags(teacher: TreeAnswer, student: ArcTagAnswer, how: Softening) -> Tensor:
    """Cases 1b and 2b: a head's marginal times that of the relation to it is its tag's."""
    t = how.of_teacher
    log_p = student.of_arcs(teacher.arc_marginals(how.arcs, t), teacher.relation_log_probabilities(t))
    return divergence(how.flat(log_p), student.choices, how)


@dataclass(frozen=True)
class Case:
    """A pair of heads: the loss, `[B]` in nats a word, and whether marginals may be softened one by one."""

    loss: Callable[..., Tensor]
    local: bool


CASES: dict[tuple[str, str], Case] = {
    ("crf", "crf"): Case(chain_to_chain, local=False),
    ("crf", "tagger"): Case(chain_to_tags, local=True),
    ("tagger", "crf"): Case(tags_to_chain, local=True),
    ("tagger", "tagger"): Case(tags_to_tags, local=True),
    ("spans", "tagger"): Case(spans_to_tags, local=True),
    ("spans", "spans"): Case(spans_to_spans, local=False),
    ("parser", "parser"): Case(trees_to_trees, local=True),
    ("second-order-parser", "parser"): Case(trees_to_trees, local=True),
    ("second-order-parser", "second-order-parser"): Case(trees_to_trees, local=True),
    ("parser", "tree-tagger"): Case(trees_to_arc_tags, local=True),
    ("second-order-parser", "tree-tagger"): Case(trees_to_arc_tags, local=True),
    ("tree-tagger", "tree-tagger"): Case(tags_to_tags, local=True),
}
"""The cases of Wang et al. 2021, and those of like forms, by the names of the teacher's and the student's head."""
