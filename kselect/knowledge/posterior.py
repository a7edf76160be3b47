"""The teacher's marginals of single tags, against the student's own."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from kselect.errors import UserError
from kselect.knowledge.base import Knowledge
from kselect.knowledge.batch import Batch
from kselect.models.heads.answer import Answer
from kselect.models.heads.crf import ChainAnswer
from kselect.models.outputs import ModelOutputs


class Posterior(Knowledge):
    """KL of each word's tag under both distributions over tag sequences, a mean over words in nats.

    The rival of `marginals` and `substructures` in Lin et al. 2022: the student's tag marginals are differentiated
    through the forward-backward algorithm.
    """

    name: ClassVar[str] = "posterior"

    def __init__(self, teacher: str, student: str) -> None:
        """Compare what two heads, given by their names, answer.

        Raises:
            UserError: a head that does not tag words.
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
        UserError: one of them is another.
    """
    for head in (teacher, student):
        if head not in ("tagger", "crf"):
            raise UserError(f"knowledge {what} compares tag sequences, and a head is {head}: give tagger or crf.")


def _tags(answer: Answer) -> Tensor:
    """Return how probable each tag of each word is, `[B, W, K]`."""
    if isinstance(answer, ChainAnswer):
        return answer.chain.marginals.labels
    return torch.softmax(answer.choices.scores, -1)
