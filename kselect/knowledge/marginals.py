"""The teacher's marginals of the parts that the student scores."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from kselect.config import ARC_MARGINALS, SOFTENINGS
from kselect.errors import IncomparableError, UserError, unknown
from kselect.knowledge.base import Knowledge
from kselect.knowledge.batch import Batch
from kselect.knowledge.structures import CASES, Softening
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
            UserError: a softening or arcs that do not exist, a softening that the student could not follow, or arcs of
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
            raise UserError(
                f"arc_marginals {arcs} is of a teacher that scores arcs ({', '.join(SCORE_ARCS)}), not of {teacher}: "
                f"leave it out."
            )
        self.case = CASES[teacher, student]
        self.temperature = temperature if isinstance(temperature, Schedule) else Schedule(temperature, temperature)
        whole = not self.case.local or (student != "tree-tagger" and arcs != "heads")
        if softening == "local" and whole:
            raise UserError(
                f"softening local flattens marginals one by one, and a student's {student} that is normalised as a "
                f"whole has none like them: give --softening global."
            )
        self.softening, self.arcs = softening, arcs

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]`."""
        assert teacher is not None
        how = Softening(self.temperature(batch.progress), self.softening, self.arcs)
        return self.case.loss(teacher.answer, student.answer, how)
