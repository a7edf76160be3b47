"""Knowledge in tag sequences: posterior marginals and the teacher's best sequences (baselines of Lin et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from kselect.errors import KselectError
from kselect.knowledge.base import Batch, Knowledge
from kselect.models.heads.answer import Answer
from kselect.models.heads.crf import ChainAnswer
from kselect.models.outputs import ModelOutputs

TAGGING_HEADS = ("tagger", "crf")


class Posterior(Knowledge):
    """KL of each word's tag under the two distributions over tag sequences, a mean over words in nats.

    Unlike in `marginals`, the student's tag marginals are differentiated through the forward-backward algorithm.

    Source: posterior distillation, a baseline of Lin et al. (2022).
    """

    name: ClassVar[str] = "posterior"

    def __init__(self, teacher: str, student: str) -> None:
        """Compare the tags of two heads, given by their names."""
        for head in (teacher, student):
            if head not in TAGGING_HEADS:
                raise KselectError(
                    f"knowledge posterior compares tag sequences, but a head is {head}: use tagger or crf."
                )

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]`."""
        assert teacher is not None
        p, q = _tag_probabilities(teacher.answer), _tag_probabilities(student.answer)
        by_word = (p * (p.clamp(min=1e-30).log() - q.clamp(min=1e-30).log())).sum(-1)
        return student.answer.choices.mean(by_word)


class BestSequences(Knowledge):
    """Negative log-likelihood of the teacher's k best tag sequences, a weighted mean over them, in nats per word.

    Source: top-k distillation, a baseline of Lin et al. (2022), with weights 1, 0.1 and 0.1.
    """

    name: ClassVar[str] = "best-sequences"

    def __init__(self, teacher: str, student: str, weights: Sequence[float] = (1.0, 0.1, 0.1)) -> None:
        """Learn the best sequences of a chain, one for each of `weights`."""
        if teacher != "crf" or student not in TAGGING_HEADS:
            raise KselectError(
                f"knowledge best-sequences needs a teacher's crf and a student's crf or tagger, not {teacher} and "
                f"{student}: leave it out."
            )
        self.weights = tuple(weights)

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the weighted mean of each example, `[B]`; a short sentence may have fewer than k sequences."""
        assert teacher is not None
        assert isinstance(teacher.answer, ChainAnswer)
        with torch.no_grad():
            sequences, scores = teacher.answer.chain.best(len(self.weights))
        weights = torch.tensor(self.weights, device=scores.device) * (scores > -torch.inf)
        losses = [student.answer.gold_loss(sequence) for sequence in sequences.unbind(1)]
        return (torch.stack(losses, 1) * weights).sum(1) / weights.sum(1).clamp(min=1e-30)


def _tag_probabilities(answer: Answer) -> Tensor:
    """Return the marginal probability of each tag of each word, `[B, W, K]`."""
    if isinstance(answer, ChainAnswer):
        return answer.chain.marginals.labels
    return torch.softmax(answer.choices.scores, -1)
