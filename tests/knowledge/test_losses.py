"""Each loss against a formula worked out in numpy, token by token; identities; finite differences."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, softmax

from kselect.knowledge.attention import Attention, AttentionScores
from kselect.knowledge.base import Batch, Knowledge
from kselect.knowledge.hidden_states import (
    Embeddings,
    Hidden,
    HiddenCls,
    HiddenCosine,
    HiddenStateKnowledge,
    Projection,
)
from kselect.knowledge.logits import Gold, JensenShannon, Logits, LogitsMse, ReverseKl
from kselect.knowledge.relations import (
    HeadRelations,
    KeyRelations,
    QueryRelations,
    Relations,
    ValueRelations,
    flow_distance,
    products,
)
from kselect.knowledge.trees import FLOOR, LatentTrees
from kselect.models.heads import Score
from kselect.models.needs import KINDS
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule
from tests.structure.enumeration import trees

LAYER_MAP = ((1, 2), (2, 4))
LENGTHS = (5, 3, 2)
TOKENS, WIDTH, HEADS, CLASSES = 6, 4, 2, 3
WIDER, MORE_HEADS = 6, 3
BATCH = Batch(torch.tensor([0, 2, 1]))
KNOWLEDGE: list[Knowledge] = [
    Gold(),
    Logits(temperature=3.0),
    LogitsMse(),
    ReverseKl(temperature=3.0),
    JensenShannon(temperature=3.0),
    Hidden(LAYER_MAP),
    HiddenCls(LAYER_MAP),
    HiddenCosine(LAYER_MAP),
    Embeddings(),
    Attention(LAYER_MAP),
    AttentionScores(LAYER_MAP),
    Relations(LAYER_MAP),
    QueryRelations(LAYER_MAP, relation_heads=4),
    KeyRelations(LAYER_MAP, relation_heads=2),
    ValueRelations(LAYER_MAP, relation_heads=1),
    LatentTrees(LAYER_MAP),
]


def projection() -> Projection:
    return Projection([0, 1, 2], WIDTH, WIDER)


ACROSS_WIDTHS: list[Knowledge] = [
    Hidden(LAYER_MAP, projection()),
    HiddenCls(LAYER_MAP, projection()),
    HiddenCosine(LAYER_MAP, projection()),
    Embeddings(projection()),
    Relations(LAYER_MAP, projection()),
    QueryRelations(LAYER_MAP, relation_heads=2),
    KeyRelations(LAYER_MAP, relation_heads=1),
    ValueRelations(LAYER_MAP, relation_heads=2),
    LatentTrees(LAYER_MAP),
]


def name(knowledge: Knowledge) -> str:
    return knowledge.name


def outputs(layers: int, seed: int, width: int = WIDTH, heads: int = HEADS, padding: int = 0) -> ModelOutputs:
    """Random outputs of a model; what lies beyond an example's end is noise, of attention 0."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(TOKENS) < torch.tensor(LENGTHS)[:, None]
    pad = torch.nn.functional.pad

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(3, *shape, generator=generator)

    hidden = {i: random(TOKENS, width) for i in range(layers + 1)}
    scores = {i: random(heads, TOKENS, TOKENS) for i in range(1, layers + 1)}
    projections = {
        kind: {i: random(heads, TOKENS, width // heads) for i in range(1, layers + 1)}
        for kind in ("queries", "keys", "values")
    }
    attentions = {i: value.masked_fill(~mask[:, None, None], -torch.inf).softmax(-1) for i, value in scores.items()}
    rows, matrix = (0, 0, 0, padding), (0, padding, 0, padding)
    padded: dict[str, Any] = {
        kind: {i: pad(x, rows, value=7.0) for i, x in by_layer.items()} for kind, by_layer in projections.items()
    }
    return ModelOutputs(
        output=random(CLASSES),
        attention_mask=pad(mask.long(), (0, padding)),
        hidden_states={i: pad(value, rows, value=7.0) for i, value in hidden.items()},
        attentions={i: pad(value, matrix) for i, value in attentions.items()},
        attention_scores={i: pad(value, matrix, value=-5.0) for i, value in scores.items()},
        **padded,
    )


def wide_outputs(padding: int = 0) -> ModelOutputs:
    return outputs(4, seed=2, width=WIDER, heads=MORE_HEADS, padding=padding)


def expected(knowledge: Knowledge, student: ModelOutputs, teacher: ModelOutputs, i: int) -> float:
    n = LENGTHS[i]
    s_logits, t_logits = student.logits[i].double().numpy(), teacher.logits[i].double().numpy()
    if isinstance(knowledge, Gold):
        return float(-log_softmax(s_logits)[BATCH.labels[i]])
    if isinstance(knowledge, Logits):
        log_p, log_q = log_softmax(t_logits / 3.0), log_softmax(s_logits / 3.0)
        return float(9.0 * sum(np.exp(log_p[c]) * (log_p[c] - log_q[c]) for c in range(CLASSES)))
    if isinstance(knowledge, ReverseKl):
        log_p, log_q = log_softmax(t_logits / 3.0), log_softmax(s_logits / 3.0)
        return float(9.0 * sum(np.exp(log_q[c]) * (log_q[c] - log_p[c]) for c in range(CLASSES)))
    if isinstance(knowledge, JensenShannon):
        return float(9.0 * jensenshannon(softmax(t_logits / 3.0), softmax(s_logits / 3.0)) ** 2)
    if isinstance(knowledge, LogitsMse):
        return float(sum((s_logits[c] - t_logits[c]) ** 2 for c in range(CLASSES)) / CLASSES)
    if isinstance(knowledge, Attention):
        return attention_divergence(student, teacher, i)
    if isinstance(knowledge, AttentionScores):
        squares = [
            (float(student.attention_scores[s][i, h, j, k]) - float(teacher.attention_scores[t][i, h, j, k])) ** 2
            for s, t in LAYER_MAP
            for h in range(HEADS)
            for j in range(n)
            for k in range(n)
        ]
        return float(np.mean(squares))
    if isinstance(knowledge, HeadRelations):
        return relation_divergence(knowledge, student, teacher, i)
    if isinstance(knowledge, LatentTrees):
        return tree_divergence(student, teacher, i)
    return states_distance(knowledge, student, teacher, i)


def attention_divergence(student: ModelOutputs, teacher: ModelOutputs, i: int) -> float:
    divergences = []
    for s, t in LAYER_MAP:
        for h in range(HEADS):
            for j in range(LENGTHS[i]):
                p = teacher.attentions[t][i, h, j, : LENGTHS[i]].double().numpy()
                q = student.attentions[s][i, h, j, : LENGTHS[i]].double().numpy()
                divergences.append(float(np.sum(p * np.log(p / q))))
    return float(np.mean(divergences))


def relation_divergence(knowledge: HeadRelations, student: ModelOutputs, teacher: ModelOutputs, i: int) -> float:
    def relations(model: ModelOutputs, layer: int) -> list[np.ndarray]:
        heads = model.layers(knowledge.outputs[0])[layer][i, :, : LENGTHS[i]].double().numpy()
        joined = np.concatenate(list(heads), axis=-1)
        size = joined.shape[-1] // knowledge.relation_heads
        cut = [joined[:, r * size : (r + 1) * size] for r in range(knowledge.relation_heads)]
        return [softmax(x @ x.T / np.sqrt(size), axis=-1) for x in cut]

    return float(
        np.mean(
            [
                np.sum(p * np.log(p / q), axis=-1)
                for s, t in LAYER_MAP
                for p, q in zip(relations(teacher, t), relations(student, s), strict=True)
            ]
        )
    )


def tree_divergence(student: ModelOutputs, teacher: ModelOutputs, i: int) -> float:
    n = LENGTHS[i]

    def log_probabilities(model: ModelOutputs, layer: int) -> np.ndarray:
        """Of every tree, one by one."""
        queries, keys = (x[layer][i, :, :n].double().numpy() for x in (model.queries, model.keys))
        of_heads = [q @ k.T / np.sqrt(q.shape[1]) for q, k in zip(queries, keys, strict=True)]
        weights = np.log(softmax(np.mean(of_heads, axis=0), axis=-1) + FLOOR)
        scores = [
            sum(weights[token, head - 1 if head else token] for token, head in enumerate(heads)) for heads in trees(n)
        ]
        return log_softmax(scores)

    divergences = []
    for s, t in LAYER_MAP:
        log_p, log_q = log_probabilities(teacher, t), log_probabilities(student, s)
        divergences.append(float(np.sum(np.exp(log_p) * (log_p - log_q))) / n)
    return float(np.mean(divergences))


def states_distance(knowledge: Knowledge, student: ModelOutputs, teacher: ModelOutputs, i: int) -> float:
    n = LENGTHS[i]
    assert isinstance(knowledge, HiddenStateKnowledge | Relations)

    def taught(layer: int) -> np.ndarray:
        return teacher.hidden_states[layer][i, :n].double().numpy()

    def learned(layer: int) -> np.ndarray:
        states = student.hidden_states[layer][i, :n].double().numpy()
        if knowledge.projection is None:
            return states
        linear: Any = knowledge.projection.maps[str(layer)]
        return states @ linear.weight.detach().double().numpy().T + linear.bias.detach().double().numpy()

    if isinstance(knowledge, Relations):

        def g(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.sum([np.outer(a[j], b[j]) for j in range(n)], axis=0) / n

        pairs = (((0, 1), (0, 2)), ((1, 2), (2, 4)))
        return float(np.mean([(g(learned(a), learned(b)) - g(taught(c), taught(d))) ** 2 for (a, b), (c, d) in pairs]))
    distances = []
    for s, t in knowledge.compared_layers:
        x, y = learned(s), taught(t)
        cosines = [x[j] @ y[j] / np.sqrt((x[j] @ x[j]) * (y[j] @ y[j])) for j in range(n)]
        if isinstance(knowledge, HiddenCls):
            distances.append(2 - 2 * cosines[0])  # of two vectors of length 1
        elif isinstance(knowledge, HiddenCosine):
            distances.append(np.mean([1 - cosine for cosine in cosines]))
        else:
            distances.append(np.mean([(x[j, d] - y[j, d]) ** 2 for j in range(n) for d in range(x.shape[1])]))
    return float(np.mean(distances))


@pytest.mark.parametrize("knowledge", KNOWLEDGE, ids=name)
def test_loss_equals_its_formula_in_numpy(knowledge: Knowledge) -> None:
    student, teacher = outputs(2, seed=1), outputs(4, seed=2)
    loss = knowledge.loss(student, teacher, BATCH)
    assert loss.dtype == torch.float32
    np.testing.assert_allclose(loss, [expected(knowledge, student, teacher, i) for i in range(3)], rtol=2e-5)


@pytest.mark.parametrize("knowledge", ACROSS_WIDTHS, ids=name)
def test_loss_equals_its_formula_across_widths(knowledge: Knowledge) -> None:
    student, teacher = outputs(2, seed=1), wide_outputs()
    loss = knowledge.loss(student, teacher, BATCH).detach()
    np.testing.assert_allclose(loss, [expected(knowledge, student, teacher, i) for i in range(3)], rtol=5e-5)


@pytest.mark.parametrize("knowledge", KNOWLEDGE, ids=name)
def test_loss_ignores_padding(knowledge: Knowledge) -> None:
    narrow = knowledge.loss(outputs(2, seed=1), outputs(4, seed=2), BATCH)
    wide = knowledge.loss(outputs(2, seed=1, padding=3), outputs(4, seed=2, padding=3), BATCH)
    torch.testing.assert_close(narrow, wide)


@pytest.mark.parametrize("knowledge", ACROSS_WIDTHS, ids=name)
def test_loss_ignores_padding_across_widths(knowledge: Knowledge) -> None:
    narrow = knowledge.loss(outputs(2, seed=1), wide_outputs(), BATCH)
    wide = knowledge.loss(outputs(2, seed=1, padding=3), wide_outputs(padding=3), BATCH)
    torch.testing.assert_close(narrow, wide)


@pytest.mark.parametrize("knowledge", KNOWLEDGE, ids=name)
def test_loss_is_equivariant_to_the_order_of_a_batch(knowledge: Knowledge) -> None:
    order = torch.tensor([2, 0, 1])

    def permuted(model: ModelOutputs) -> ModelOutputs:
        inner: dict[str, Any] = {kind: {i: value[order] for i, value in model.layers(kind).items()} for kind in KINDS}
        return ModelOutputs(model.logits[order], model.attention_mask[order], **inner)

    student, teacher = outputs(2, seed=1), outputs(4, seed=2)
    straight = knowledge.loss(student, teacher, BATCH)
    torch.testing.assert_close(
        knowledge.loss(permuted(student), permuted(teacher), Batch(BATCH.labels[order])), straight[order]
    )


def as_projected(knowledge: Knowledge) -> Knowledge:
    """The same kind through a projection that changes nothing."""
    identity = Projection([0, 1, 2], WIDTH, WIDTH)
    for linear in identity.maps.values():
        assert isinstance(linear, torch.nn.Linear)
        torch.nn.init.eye_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    if isinstance(knowledge, Embeddings):
        return Embeddings(identity)
    assert isinstance(knowledge, HiddenStateKnowledge | Relations)
    return type(knowledge)(LAYER_MAP, identity)


PROJECTED = [
    as_projected(knowledge) for knowledge in KNOWLEDGE if isinstance(knowledge, HiddenStateKnowledge | Relations)
]


@pytest.mark.parametrize("knowledge", [*KNOWLEDGE[1:], *PROJECTED], ids=name)
def test_loss_and_gradient_are_zero_for_equal_models(knowledge: Knowledge) -> None:
    teacher = outputs(4, seed=2)
    free: dict[str, Any] = {
        kind: {s: teacher.layers(kind)[t].clone().requires_grad_() for s, t in LAYER_MAP}
        for kind in ("attention_scores", "queries", "keys", "values")
    }
    hidden = {s: teacher.hidden_states[t].clone().requires_grad_() for s, t in ((0, 0), *LAYER_MAP)}
    logs = {s: teacher.attentions[t].log().requires_grad_() for s, t in LAYER_MAP}  # probabilities are not free
    student = replace(
        teacher,
        output=teacher.logits.clone().requires_grad_(),
        hidden_states=hidden,
        attentions={s: values.softmax(-1) for s, values in logs.items()},
        **free,
    )
    loss = knowledge.loss(student, teacher, BATCH)
    loss.sum().backward()
    assert loss.abs().max() <= 1e-6
    leaves = [student.logits, *hidden.values(), *logs.values(), *(x for kind in free.values() for x in kind.values())]
    leaves += [] if knowledge.modules is None else list(knowledge.modules.parameters())
    gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert gradients
    assert max(gradient.abs().max() for gradient in gradients) <= 1e-6


@pytest.mark.parametrize("knowledge", [*KNOWLEDGE, *ACROSS_WIDTHS], ids=name)
def test_gradient_agrees_with_finite_differences(knowledge: Knowledge) -> None:
    student = outputs(2, seed=1)
    teacher = wide_outputs() if knowledge in ACROSS_WIDTHS else outputs(4, seed=2)
    read = [student.layers(kind)[max(layers)] for kind, layers in knowledge.student_needs.items() if layers]
    values = (read or [student.logits])[0].requires_grad_()
    knowledge.loss(student, teacher, BATCH).sum().backward()
    assert values.grad is not None
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        direction = torch.randn(values.shape, generator=generator)
        if knowledge.name == "attention":
            direction *= values.detach()  # stays inside the simplex's scale, and off its padding
        at = []
        for step in (1e-2, -1e-2):
            with torch.no_grad():
                values += step * direction
                at.append(float(knowledge.loss(student, teacher, BATCH).double().sum()))
                values -= step * direction
        assert float((values.grad * direction).sum()) == pytest.approx((at[0] - at[1]) / 2e-2, rel=2e-2, abs=2e-3)


def test_logits_temperature_follows_its_schedule() -> None:
    student, teacher = outputs(2, seed=1), outputs(4, seed=2)
    halfway = replace(BATCH, progress=0.5)
    torch.testing.assert_close(
        Logits(Schedule(4, 1)).loss(student, teacher, halfway), Logits(2.5).loss(student, teacher, BATCH)
    )


def test_divergences_of_exchanged_models() -> None:
    student, teacher = outputs(2, seed=1), outputs(2, seed=2)
    torch.testing.assert_close(
        JensenShannon(2.0).loss(student, teacher, BATCH), JensenShannon(2.0).loss(teacher, student, BATCH)
    )
    torch.testing.assert_close(ReverseKl(2.0).loss(student, teacher, BATCH), Logits(2.0).loss(teacher, student, BATCH))


def test_jsd_of_distributions_without_overlap_is_log_2() -> None:
    one, other = (replace(outputs(2, seed=1), output=torch.eye(CLASSES)[[i] * 3] * 200) for i in (0, 1))
    bound = torch.full((3,), 4 * np.log(2), dtype=torch.float32)
    torch.testing.assert_close(JensenShannon(2.0).loss(one, other, BATCH), bound)


def test_logits_and_gold_compare_scores_in_a_regression() -> None:
    scores = Batch(torch.tensor([0.5, -1.0, 2.0]))
    student, teacher = (
        replace(model, output=model.logits[:, :1], head=Score()) for model in (outputs(2, seed=1), outputs(2, seed=2))
    )
    squares = (student.logits - teacher.logits).square()[:, 0]
    torch.testing.assert_close(Logits().loss(student, teacher, scores), squares)
    torch.testing.assert_close(LogitsMse().loss(student, teacher, scores), squares)
    gold = (student.logits[:, 0] - scores.labels).square()
    torch.testing.assert_close(Gold().loss(student, None, scores), gold)


@pytest.mark.parametrize("tokens", [5, 40])
def test_relations_resolve_small_distances(tokens: int) -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(2, tokens)
    teacher = [torch.randn(2, tokens, 16, generator=generator) + 3 for _ in range(2)]
    student = [states + 1e-4 * torch.randn(states.shape, generator=generator) for states in teacher]
    flows = [(a.double().mT @ b.double()) / tokens for a, b in (student, teacher)]
    layers = [products(s, t) for s, t in zip(student, teacher, strict=True)]
    distance = flow_distance(layers[0], layers[1], mask)
    torch.testing.assert_close(distance.double(), (flows[0] - flows[1]).square().sum((1, 2)), rtol=1e-4, atol=0)


@pytest.mark.parametrize("change", [1.0, 1e-3])
def test_relations_in_bf16_agree_with_float32(change: float):
    generator = torch.Generator().manual_seed(0)
    teacher = [torch.randn(4, 24, 64, generator=generator) + 0.3 for _ in range(3)]
    student = [
        (states + change * torch.randn(states.shape, generator=generator)).requires_grad_() for states in teacher
    ]
    told, gradients = [], []
    for dtype in (torch.float32, torch.bfloat16):
        layers = [products(s, t, dtype) for s, t in zip(student, teacher, strict=True)]
        distances = torch.stack([flow_distance(a, b, torch.ones(4, 24)) for a, b in pairwise(layers)]).sum(0)
        told.append(distances)
        gradients.append(torch.cat([each.flatten() for each in torch.autograd.grad(distances.sum(), student)]))
    torch.testing.assert_close(told[1], told[0], rtol=5e-3, atol=0)
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.9999
