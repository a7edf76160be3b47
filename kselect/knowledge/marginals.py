"""The teacher's marginals of the parts that the student scores."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from kselect.config import ARC_MARGINALS, SOFTENINGS
from kselect.errors import IncomparableError, KselectError, unknown
from kselect.knowledge.base import Batch, Knowledge
from kselect.knowledge.structures import CASES, Softening
from kselect.models.heads.answer import Answer
from kselect.models.heads.crf import ChainAnswer
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule

SCORE_ARCS = ("parser", "second-order-parser")


class Marginals(Knowledge):
    """KL of the student's distribution over structures from the teacher's, in nats a word (Wang et al. 2021).

    There are exponentially many structures; only the teacher's marginals of the parts that the student scores enter,
    and the student's log-partition (eq. 4). Which they are, the two heads say: see `kselect.knowledge.structures`. The
    gradient along a part's score is the student's marginal less the teacher's.
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
        """Compare what two heads, given by their names, answer.

        Raises:
            IncomparableError: heads whose parts have nothing in common.
            KselectError: a softening or arcs that do not exist, a softening that the student could not follow, or arcs of
                a teacher that scores none.
        """
        for what, given, known in (("softening", softening, SOFTENINGS), ("arc_marginals", arcs, ARC_MARGINALS)):
            if given not in known:
                raise unknown(what, given, known)
        if (teacher, student) not in CASES:
            pairs = ", ".join(f"{one} -> {other}" for one, other in CASES)
            raise IncomparableError(
                f"knowledge marginals does not lead from a teacher's {teacher} to a student's {student}",
                f"give heads out of {pairs}.",
            )
        if arcs != "heads" and teacher not in SCORE_ARCS:
            raise KselectError(
                f"arc_marginals {arcs} is of a teacher that scores arcs ({', '.join(SCORE_ARCS)}), not of {teacher}: "
                f"leave it out."
            )
        self.case = CASES[teacher, student]
        self.temperature = temperature if isinstance(temperature, Schedule) else Schedule(temperature, temperature)
        whole = not self.case.local or (student != "tree-tagger" and arcs != "heads")
        if softening == "local" and whole:
            raise KselectError(
                f"softening local flattens marginals one by one, and a student's {student} that is normalised as a "
                f"whole has none like them: give --softening global."
            )
        self.softening, self.arcs = softening, arcs

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]`."""
        assert teacher is not None
        how = Softening(self.temperature(batch.progress), self.softening, self.arcs)
        return self.case.loss(teacher.answer, student.answer, how)


class Posterior(Knowledge):
    """KL of each word's tag under both distributions over tag sequences, a mean over words in nats.

    The rival of `marginals` and `substructures` in Lin et al. 2022: the student's tag marginals are differentiated
    through the forward-backward algorithm.
    """

    name: ClassVar[str] = "posterior"

    def __init__(self, teacher: str, student: str) -> None:
        """Compare what two heads, given by their names, answer.

        Raises:
            KselectError: a head that does not tag words.
        """
        check_tagging("posterior", teacher, student)

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]`."""
        assert teacher is not None
        p, q = _tags(teacher.answer), _tags(student.answer)
        gain = (p * (p.clamp(min=1e-30).log() - q.clamp(min=1e-30).log())).sum(-1)
        return student.answer.choices.mean(gain)


def check_tagging(what: str, teacher: str, student: str) -> None:
    """Refuse heads that do not tag words one by one or in a row.

    Raises:
        KselectError: one of them is another.
    """
    for head in (teacher, student):
        if head not in ("tagger", "crf"):
            raise KselectError(f"knowledge {what} compares tag sequences, and a head is {head}: give tagger or crf.")


def _tags(answer: Answer) -> Tensor:
    """Return how probable each tag of each word is, `[B, W, K]`."""
    if isinstance(answer, ChainAnswer):
        return answer.chain.marginals.labels
    return torch.softmax(answer.choices.scores, -1)
