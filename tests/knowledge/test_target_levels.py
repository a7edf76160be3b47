from __future__ import annotations

import numpy as np
import pytest
import torch

from kselect.knowledge.base import Batch
from kselect.knowledge.logits import Gold, Logits
from kselect.knowledge.target_levels import (
    Confidence,
    ConfidenceSimilarity,
    LabelSmoothing,
    Similarity,
    TargetLevel,
    TopK,
    class_similarities,
)
from kselect.models.heads import ClassAnswer, Classes
from kselect.models.heads.tagger import Tagger
from kselect.models.heads.tree_tagger import TreeTagger
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule
from tests.answers import ARC_TAGS, LENGTHS, RELATIONS, draw, mask_of, tag_heads

CLASSES, LABELS = 5, torch.tensor([3, 0, 3])
BATCH = Batch(LABELS)
AT_ONE, AT_THREE = Schedule(1.0, 1.0), Schedule(3.0, 3.0)
WEIGHT = torch.randn(CLASSES, 8, generator=torch.Generator().manual_seed(7))
SIMILARITIES = class_similarities(WEIGHT, 0.3)
LEVELS: list[TargetLevel] = [
    LabelSmoothing(0.2),
    Similarity(SIMILARITIES),
    Confidence(AT_THREE),
    ConfidenceSimilarity(SIMILARITIES, AT_THREE),
    TopK(0.4, AT_THREE),
]


def outputs(seed: int) -> ModelOutputs:
    logits = 2 * torch.randn(len(LABELS), CLASSES, generator=torch.Generator().manual_seed(seed))
    return ModelOutputs(logits, torch.ones(len(LABELS), 1))


def uniform_wrong(confidence: list[float]) -> ModelOutputs:
    """A teacher whose wrong classes are all alike."""
    p = torch.tensor(confidence)
    rest = ((1 - p) / (CLASSES - 1))[:, None].expand(-1, CLASSES).clone()
    return ModelOutputs(rest.scatter(1, LABELS[:, None], p[:, None]).log(), torch.ones(len(LABELS), 1))


def name(level: TargetLevel) -> str:
    return level.name


def softmax(scores: np.ndarray, temperature: float) -> np.ndarray:
    weights = np.exp((scores - scores.max()) / temperature)
    return weights / weights.sum()


def target_in_numpy(level: TargetLevel, p: np.ndarray, label: int, weight: np.ndarray, keep: int = 2) -> np.ndarray:
    """The target among the classes that have the rows of `weight`, of which top-k keeps `keep`."""
    cosines = np.array([np.dot(weight[label], b) / np.sqrt(weight[label] @ weight[label] * (b @ b)) for b in weight])
    alike = softmax(cosines, 0.3)
    classes = len(p)
    gold = np.eye(classes)[label]
    if isinstance(level, LabelSmoothing):
        return 0.8 * gold + 0.2 / classes
    if isinstance(level, Similarity):
        return alike
    if isinstance(level, Confidence):
        return np.where(gold == 1, p[label], (1 - p[label]) / (classes - 1))
    if isinstance(level, ConfidenceSimilarity):
        return np.where(gold == 1, p[label], (1 - p[label]) * alike / (1 - alike[label]))
    kept = np.argsort(-p)[:keep]
    return np.array([p[k] if k in kept else (1 - p[kept].sum()) / (classes - keep) for k in range(classes)])


@pytest.mark.parametrize("level", LEVELS, ids=name)
def test_target_level_loss_equals_numpy(level: TargetLevel) -> None:
    student, teacher = outputs(1), outputs(2)
    temperature = level.temperature(0.0)
    losses = level.loss(student, None if level.teacher_needs is None else teacher, BATCH)
    for i, label in enumerate(LABELS.tolist()):
        p = softmax(teacher.logits[i].double().numpy(), temperature)
        q = softmax(student.logits[i].double().numpy(), temperature)
        target = target_in_numpy(level, p, label, WEIGHT.numpy())
        assert target.sum() == pytest.approx(1)
        assert losses[i].item() == pytest.approx(temperature**2 * float((target * np.log(target / q)).sum()), rel=1e-5)


@pytest.mark.parametrize("schedule", [AT_ONE, AT_THREE])
def test_confidence_equals_logits_for_uniform_wrong_classes(schedule: Schedule) -> None:
    student, teacher = outputs(1), uniform_wrong([0.7, 0.9, 0.3])
    whole = Logits(schedule).loss(student, teacher, BATCH)
    torch.testing.assert_close(Confidence(schedule).loss(student, teacher, BATCH), whole, rtol=1e-6, atol=1e-6)
    flat = torch.full((CLASSES, CLASSES), 1 / CLASSES)
    shared = ConfidenceSimilarity(flat, schedule).loss(student, teacher, BATCH)
    torch.testing.assert_close(shared, whole, rtol=1e-6, atol=1e-6)


def test_top_k_of_all_classes_equals_logits() -> None:
    student, teacher = outputs(1), outputs(2)
    whole = Logits(AT_THREE).loss(student, teacher, BATCH)
    torch.testing.assert_close(TopK(1.0, AT_THREE).loss(student, teacher, BATCH), whole, rtol=1e-6, atol=1e-6)


def test_label_smoothing_of_zero_equals_gold() -> None:
    student = outputs(1)
    gold = Gold().loss(student, None, BATCH)
    torch.testing.assert_close(LabelSmoothing(0.0).loss(student, None, BATCH), gold, rtol=1e-6, atol=1e-6)


def test_target_levels_for_two_classes() -> None:
    labels = Batch(torch.tensor([0, 1, 1]))
    student, teacher = (ModelOutputs(outputs(seed).logits[:, :2], torch.ones(3, 1)) for seed in (1, 2))
    whole = Logits(AT_THREE).loss(student, teacher, labels)
    torch.testing.assert_close(Confidence(AT_THREE).loss(student, teacher, labels), whole, rtol=1e-6, atol=1e-6)
    similarities = class_similarities(WEIGHT[:2], 0.3)
    share = 2 * similarities[0, 1].item()
    smoothed = LabelSmoothing(share).loss(student, None, labels)
    torch.testing.assert_close(Similarity(similarities).loss(student, None, labels), smoothed, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("level", LEVELS, ids=name)
def test_target_level_averages_over_words_with_labels(level: TargetLevel) -> None:
    head, mask = Tagger(), torch.tensor([[True, True, True]])
    student, teacher = (ModelOutputs(outputs(seed).logits[None], mask, word_mask=mask, head=head) for seed in (1, 2))
    labels = torch.tensor([[3, -100, 3]])
    found = level.loss(student, None if level.teacher_needs is None else teacher, Batch(labels))
    by_text = level.loss(outputs(1), None if level.teacher_needs is None else outputs(2), BATCH)
    counted = by_text[[0, 2]] if level.reads_labels else by_text
    assert found.tolist() == pytest.approx([counted.mean().item()], rel=1e-5)
    if isinstance(level, TopK):
        whole = Logits(AT_THREE).loss(student, teacher, Batch(labels))
        torch.testing.assert_close(TopK(1.0, AT_THREE).loss(student, teacher, Batch(labels)), whole)


ARC_WEIGHT = torch.randn(len(ARC_TAGS), 8, generator=torch.Generator().manual_seed(8))
ARC_SIMILARITIES = class_similarities(ARC_WEIGHT, 0.3)
OF_ARCS: list[TargetLevel] = [
    LabelSmoothing(0.2),
    Similarity(ARC_SIMILARITIES),
    Confidence(AT_THREE),
    ConfidenceSimilarity(ARC_SIMILARITIES, AT_THREE),
    TopK(0.4, AT_THREE),
]
KEPT = 3  # of seven


@pytest.mark.parametrize("level", OF_ARCS, ids=name)
def test_target_level_ignores_impossible_arc_tags(level: TargetLevel) -> None:
    """Each word's target is that among the arc tags whose heads its sentence has, of which there is more than one."""
    theirs, ours = draw("tree-tagger", 0), draw("tree-tagger", 1)
    labels = torch.full((len(LENGTHS), max(LENGTHS), 2), -100)
    temperature, by_hand = level.temperature(0.0), []
    for row, n in enumerate(LENGTHS):
        losses = []
        for word in range(n):
            heads = tag_heads(word)
            places = [tag for tag, head in enumerate(heads) if head is not None and head <= n]
            gold = places[(row + word) % len(places)]
            labels[row, word] = torch.tensor([heads[gold], RELATIONS.index(ARC_TAGS.relations[gold])])
            p, q = (softmax(s["logits"][row, word, places].double().numpy(), temperature) for s in (theirs, ours))
            keep = min(KEPT, len(places))
            target = target_in_numpy(level, p, places.index(gold), ARC_WEIGHT.numpy()[places], keep)
            assert target.sum() == pytest.approx(1)
            losses.append(float((target * np.log(target / q)).sum()))
        by_hand.append(temperature**2 * np.mean(losses))
    mask = mask_of()

    def answered(logits: torch.Tensor) -> ModelOutputs:
        head = TreeTagger(ARC_TAGS, RELATIONS)
        return ModelOutputs(logits, mask, word_mask=mask, head=head)

    student = ours["logits"].requires_grad_()
    teacher = None if level.teacher_needs is None else answered(theirs["logits"])
    found = level.loss(answered(student), teacher, Batch(labels))
    torch.testing.assert_close(found, torch.tensor(by_hand, dtype=torch.float32), rtol=1e-5, atol=1e-5)
    found.sum().backward()
    assert student.grad is not None
    torch.testing.assert_close(student.grad.sum(-1), torch.zeros(mask.shape), rtol=0, atol=1e-6)


@pytest.mark.parametrize("level", LEVELS, ids=name)
def test_target_level_gradient_by_finite_differences(level: TargetLevel) -> None:
    student, teacher = outputs(1).logits.double().requires_grad_(), outputs(2)
    given = None if level.teacher_needs is None else teacher

    def total(logits: torch.Tensor) -> torch.Tensor:
        return level.loss(ModelOutputs(logits, torch.ones(3, 1), head=Classes()), given, BATCH).sum()

    (gradient,) = torch.autograd.grad(total(student), student)
    direction = torch.randn(student.shape, generator=torch.Generator().manual_seed(3)).double()
    with torch.no_grad():
        change = (total(student + 1e-2 * direction) - total(student - 1e-2 * direction)) / 2e-2
    assert float((gradient * direction).sum()) == pytest.approx(float(change), rel=1e-2, abs=1e-3)


def test_target_level_is_zero_for_its_own_target() -> None:
    teacher = outputs(2)
    assert isinstance(teacher.answer, ClassAnswer)
    choices = teacher.answer.choices
    target = Confidence(AT_ONE).target(choices.log_probabilities().exp(), LABELS[:, None], choices.possible)
    student = ModelOutputs(target[:, 0].log(), torch.ones(3, 1))
    assert Confidence(AT_ONE).loss(student, teacher, BATCH).abs().max() < 1e-6
