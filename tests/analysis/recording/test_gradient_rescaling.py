"""The rescaling factor against autograd on the training losses, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor

from kselect.analysis.recording.gradient_rescaling import (
    check_softmax,
    correlations,
    loss_weights,
    rescaling_factor,
    spread,
)
from kselect.distillation.callback import MicroBatch
from kselect.errors import KselectError
from kselect.knowledge.base import Batch, Knowledge
from kselect.knowledge.logits import Gold, Logits
from kselect.knowledge.marginals import Marginals
from kselect.knowledge.target_levels import Confidence, ConfidenceSimilarity, LabelSmoothing, Similarity, TopK
from kselect.models.heads import Answer, Choices
from kselect.models.heads.tagger import TagAnswer, Tagger
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule

MASK = torch.tensor([[True, True, True, True], [True, True, False, False], [True, True, True, False]])


class ExactTags(TagAnswer):
    """Tags whose scores keep the precision they come in, which training has no use for."""

    @cached_property
    def choices(self) -> Choices:
        return Choices(self.logits, self.mask)


class ExactTagger(Tagger):
    def forward(self, output: Tensor, mask: Tensor | None) -> TagAnswer:
        assert mask is not None
        return ExactTags(output, mask)


def outputs(logits: Tensor, mask: Tensor = MASK) -> ModelOutputs:
    return ModelOutputs(logits, mask, word_mask=mask, head=ExactTagger())


def draw(classes: int, seed: int, size: float = 2.0) -> Tensor:
    return size * torch.randn(*MASK.shape, classes, generator=torch.Generator().manual_seed(seed)).double()


def labels_of(classes: int) -> Tensor:
    """In padding, and at two words, none is known."""
    labels = torch.randint(classes, MASK.shape, generator=torch.Generator().manual_seed(5))
    labels[0, 1] = labels[2, 0] = -100
    return torch.where(MASK, labels, -100)


def seen(
    kinds: Sequence[Knowledge], student: Tensor, teacher: Tensor, labels: Tensor, progress: float = 0.0
) -> MicroBatch:
    ours, theirs, batch = outputs(student.requires_grad_()), outputs(teacher), Batch(labels, progress)
    losses = torch.stack([kind.loss(ours, theirs, batch) for kind in kinds], 1)
    teachers: dict[tuple[int, ...], Answer] = {(0,): theirs.answer}
    return MicroBatch(1, np.arange(len(labels)), tuple(kinds), losses, ours.output, ours.answer, teachers, batch)


def ratio(part: MicroBatch, total: Tensor) -> Tensor:
    """The ratio of derivatives along the true class, at positions whose label is known."""
    gold = part.student.gold_loss(part.batch.labels).sum()
    own, plain = (torch.autograd.grad(loss, part.output, retain_graph=True)[0] for loss in (total.sum(), gold))
    known, labels = part.batch.labels >= 0, part.batch.labels.clamp(min=0)[..., None]
    return (own.gather(-1, labels) / plain.gather(-1, labels)).squeeze(-1)[known]


def kinds_of(classes: int, temperature: float) -> dict[str, Knowledge]:
    alike = torch.softmax(draw(classes, 9)[0, 0] * torch.eye(classes).double(), -1)
    held = Schedule(temperature, temperature)
    kinds: list[Knowledge] = [
        Gold(),
        Logits(temperature),
        LabelSmoothing(0.3),
        Similarity(alike),
        Confidence(held),
        ConfidenceSimilarity(alike, held),
        TopK(0.5, held),
        Marginals("tagger", "tagger", temperature),
    ]
    return {kind.name: kind for kind in kinds}


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("classes", [2, 5, 40])
@pytest.mark.parametrize("name", kinds_of(2, 1.0))
def test_rescaling_factor_of_each_kind_alone_and_with_gold(name: str, classes: int, temperature: float) -> None:
    kind = kinds_of(classes, temperature)[name]
    part = seen([Gold(), kind], draw(classes, 1), draw(classes, 2), labels_of(classes))
    for weights in ([0.0, 1.0], [0.3, 0.7], [2.0, 0.01]):
        total = part.losses @ torch.tensor(weights).double()
        factor = rescaling_factor(part, total)
        assert factor.shape == MASK.shape
        torch.testing.assert_close(factor[part.batch.labels >= 0], ratio(part, total), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_rescaling_factor_of_all_kinds_with_weights_per_example(progress: float) -> None:
    kinds = list(kinds_of(6, 3.0).values())
    kinds[1] = Logits(Schedule(4.0, 1.0))
    part = seen(kinds, draw(6, 1), draw(6, 2), labels_of(6), progress)
    weights = torch.rand(len(MASK), len(kinds), generator=torch.Generator().manual_seed(3)).double()
    total = (part.losses * weights).sum(1)
    torch.testing.assert_close(loss_weights(part, total), weights)
    found = rescaling_factor(part, total)[part.batch.labels >= 0]
    torch.testing.assert_close(found, ratio(part, total), rtol=1e-6, atol=1e-6)


def test_rescaling_factor_reads_each_kinds_own_teacher() -> None:
    kinds, batch = [Logits(2.0), Logits(2.0)], Batch(labels_of(5))
    kinds[1].teachers = (1,)
    ours = outputs(draw(5, 1).requires_grad_())
    theirs = {kind.teachers: outputs(draw(5, 2 + i)) for i, kind in enumerate(kinds)}
    losses = torch.stack([kind.loss(ours, theirs[kind.teachers], batch) for kind in kinds], 1)
    answers = {read: each.answer for read, each in theirs.items()}
    part = MicroBatch(1, np.arange(len(MASK)), tuple(kinds), losses, ours.output, ours.answer, answers, batch)
    total = losses @ torch.tensor([0.3, 0.7]).double()
    found = rescaling_factor(part, total)[batch.labels >= 0]
    torch.testing.assert_close(found, ratio(part, total), rtol=1e-6, atol=1e-6)


def test_rescaling_factor_is_that_of_the_formula() -> None:
    labels = torch.where(MASK, labels_of(5).clamp(min=0), -100)  # all words known, as the formula has it
    student, teacher, t = draw(5, 1), draw(5, 2), 2.5
    part = seen([Gold(), Logits(t)], student, teacher, labels)
    q, q_t, p_t = (torch.softmax(one, -1) for one in (student, student / t, teacher / t))
    at = labels.clamp(min=0)[..., None]
    q, q_t, p_t = (one.gather(-1, at).squeeze(-1) for one in (q, q_t, p_t))
    expected = 0.25 + 0.75 * t * (p_t - q_t) / (1 - q)
    found = rescaling_factor(part, part.losses @ torch.tensor([0.25, 0.75]).double())
    torch.testing.assert_close(found[MASK], expected.detach()[MASK], rtol=1e-9, atol=1e-9)


def test_rescaling_factor_of_gold_alone_is_its_weight() -> None:
    part = seen([Gold()], draw(5, 1), draw(5, 2), labels_of(5))
    alone = MicroBatch(**{**vars(part), "teachers": {}})
    assert rescaling_factor(alone, part.losses @ torch.tensor([0.25]).double()).unique().tolist() == [0.25]


def test_rescaling_factor_of_a_student_equal_to_its_teacher_is_zero() -> None:
    same = draw(5, 1)
    part = seen([Logits(1.0)], same, same.clone(), labels_of(5))
    assert rescaling_factor(part, part.losses[:, 0]).abs().max() < 1e-12


def test_rescaling_factor_grows_with_the_teachers_confidence() -> None:
    classes, sure = 4, torch.linspace(0.3, 0.99, 3)
    labels = torch.full(MASK.shape, 1)
    rest = ((1 - sure) / (classes - 1))[:, None, None].expand(3, 4, classes).clone()
    rest[..., 1] = sure[:, None]
    part = seen([Logits(1.0)], draw(classes, 1, 0.0), rest.log().double(), labels)
    factor = rescaling_factor(part, part.losses[:, 0])
    assert (factor.diff(dim=0) > 0).all()


@pytest.mark.parametrize("gap", [5.0, 20.0, 60.0])
def test_rescaling_factor_of_a_certain_student_is_exact_in_float32(gap: float) -> None:
    """Where 1 - q_t is far below what float32 can tell from 0."""
    logits = torch.tensor([[[gap, 0.0, 0.5], [0.3, 0.0, 0.1]]])
    mask, labels = torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 2, dtype=torch.long)
    found = []
    for dtype in (torch.float32, torch.float64):
        ours = outputs(logits.to(dtype).requires_grad_(), mask)
        theirs = outputs(torch.tensor([[[4.0, 0.0, 1.0]] * 2], dtype=dtype), mask)
        batch, kind = Batch(labels), Logits(2.0)
        losses = kind.loss(ours, theirs, batch)[:, None]
        part = MicroBatch(1, np.arange(1), (kind,), losses, ours.output, ours.answer, {(0,): theirs.answer}, batch)
        found.append(rescaling_factor(part, losses[:, 0]).double())
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)
    others = np.exp(np.array([0.0, 0.5]) - gap)
    soft = np.exp((np.array([0.0, 0.5]) - gap) / 2)
    given = np.exp((np.array([0.0, 1.0]) - 4) / 2)
    left = [float(one.sum() / (1 + one.sum())) for one in (others, soft, given)]
    assert found[1][0, 0].item() == pytest.approx(2 * (left[1] - left[2]) / left[0], rel=1e-9)


@pytest.mark.parametrize("gap", [100.0, 1e4, 1e9])
@pytest.mark.parametrize(
    "kind",
    [Logits(4.0), Logits(1.0), Marginals("tagger", "tagger", 4.0)],
    ids=["logits, softened", "logits", "marginals"],
)
def test_rescaling_factor_is_finite_however_certain_the_student_is(gap: float, kind: Knowledge) -> None:
    logits = torch.zeros(3, 4, 5)
    logits[..., 2] = gap
    labels = torch.full(MASK.shape, 2)
    for student, teacher in ((logits, torch.zeros(3, 4, 5)), (-logits, logits), (logits, logits)):
        part = seen([Gold(), kind], student.clone(), teacher, labels)
        assert torch.isfinite(rescaling_factor(part, part.losses.sum(1))).all()


def test_check_softmax_refuses_other_heads() -> None:
    for head in ("classes", "tagger", "tree-tagger"):
        check_softmax(head)
    for head in ("crf", "score", "spans", "parser"):
        with pytest.raises(KselectError, match=f"The head {head} has no softmax over classes at each position"):
            check_softmax(head)


def test_spread_and_correlations() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(50).astype(np.float32)
    factor = np.exp(3 * confidence)
    summary = spread(factor)
    assert summary["mean"] == pytest.approx(float(factor.astype(np.float64).mean()))
    assert (summary["min"], summary["median"], summary["max"]) == (factor.min(), np.median(factor), factor.max())
    found = correlations(factor, confidence)
    assert found["spearman"] == pytest.approx(1.0)
    assert found["pearson"] == pytest.approx(float(np.corrcoef(factor.astype(np.float64), confidence)[0, 1]))
    assert kendalltau(factor, confidence)[0] == pytest.approx(1.0)
    for constant in (np.full(50, 0.5, np.float32), factor[:1]):
        assert np.isnan(list(correlations(constant, confidence[: len(constant)]).values())).all()
    assert np.isnan(list(spread(factor[:0]).values())).all()
