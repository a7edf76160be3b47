"""Each loss against a formula worked out in numpy, token by token; identities; finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from kselect.knowledge.attention import Attention
from kselect.knowledge.base import Knowledge
from kselect.knowledge.batch import Batch
from kselect.knowledge.gold import Gold
from kselect.knowledge.hidden import Hidden
from kselect.knowledge.logits import Logits
from kselect.knowledge.relations import Relations
from kselect.models.outputs import ModelOutputs

LAYER_MAP = ((1, 2), (2, 4))
LENGTHS = (5, 3, 2)
WIDTH, DIM, HEADS, CLASSES = 6, 4, 2, 3
BATCH = Batch(torch.tensor([0, 2, 1]))
KNOWLEDGE = [Gold(), Logits(temperature=3.0), Hidden(LAYER_MAP), Attention(LAYER_MAP), Relations(LAYER_MAP)]


def outputs(layers: int, seed: int, width: int = WIDTH) -> ModelOutputs:
    """Random outputs of a model; what lies beyond an example's end is noise (hidden states) or 0 (attention)."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(WIDTH) < torch.tensor(LENGTHS)[:, None]
    hidden = {i: torch.randn(3, WIDTH, DIM, generator=generator) for i in range(layers + 1)}
    scores = {i: torch.randn(3, HEADS, WIDTH, WIDTH, generator=generator) for i in range(1, layers + 1)}
    attentions = {i: value.masked_fill(~mask[:, None, None], -torch.inf).softmax(-1) for i, value in scores.items()}
    pad, extra = torch.nn.functional.pad, width - WIDTH
    return ModelOutputs(
        logits=torch.randn(3, CLASSES, generator=generator),
        attention_mask=pad(mask.long(), (0, extra)),
        hidden_states={i: pad(value, (0, 0, 0, extra), value=7.0) for i, value in hidden.items()},
        attentions={i: pad(value, (0, extra, 0, extra)) for i, value in attentions.items()},
    )


def expected(knowledge: Knowledge, student: ModelOutputs, teacher: ModelOutputs, i: int) -> float:
    n = LENGTHS[i]
    s_logits, t_logits = student.logits[i].double().numpy(), teacher.logits[i].double().numpy()
    if isinstance(knowledge, Gold):
        return float(-log_softmax(s_logits)[BATCH.labels[i]])
    if isinstance(knowledge, Logits):
        log_p, log_q = log_softmax(t_logits / 3.0), log_softmax(s_logits / 3.0)
        return float(9.0 * sum(np.exp(log_p[c]) * (log_p[c] - log_q[c]) for c in range(CLASSES)))

    def hidden(model: ModelOutputs, layer: int) -> np.ndarray:
        return model.hidden_states[layer][i, :n].double().numpy()

    if isinstance(knowledge, Hidden):
        squares = [
            (hidden(student, s)[j, d] - hidden(teacher, t)[j, d]) ** 2
            for s, t in LAYER_MAP
            for j in range(n)
            for d in range(DIM)
        ]
        return float(np.mean(squares))
    if isinstance(knowledge, Relations):

        def g(model: ModelOutputs, a: int, b: int) -> np.ndarray:
            return sum(np.outer(hidden(model, a)[j], hidden(model, b)[j]) for j in range(n)) / n

        flows = (((0, 1), (0, 2)), ((1, 2), (2, 4)))
        return float(np.mean([np.mean((g(student, *s) - g(teacher, *t)) ** 2) for s, t in flows]))
    assert isinstance(knowledge, Attention)
    divergences = []
    for s, t in LAYER_MAP:
        for h in range(HEADS):
            for j in range(n):
                p = teacher.attentions[t][i, h, j, :n].double().numpy()
                q = student.attentions[s][i, h, j, :n].double().numpy()
                divergences.append(float(np.sum(p * np.log(p / q))))
    return float(np.mean(divergences))


@pytest.mark.parametrize("knowledge", KNOWLEDGE, ids=lambda k: k.name)
def test_matches_a_formula_worked_out_by_itself(knowledge: Knowledge) -> None:
    student, teacher = outputs(2, seed=1), outputs(4, seed=2)
    loss = knowledge.loss(student, teacher, BATCH)
    assert loss.dtype == torch.float32
    np.testing.assert_allclose(loss, [expected(knowledge, student, teacher, i) for i in range(3)], rtol=2e-5)


@pytest.mark.parametrize("knowledge", KNOWLEDGE, ids=lambda k: k.name)
def test_padding_changes_nothing(knowledge: Knowledge) -> None:
    narrow = knowledge.loss(outputs(2, seed=1), outputs(4, seed=2), BATCH)
    wide = knowledge.loss(outputs(2, seed=1, width=9), outputs(4, seed=2, width=9), BATCH)
    torch.testing.assert_close(narrow, wide)


@pytest.mark.parametrize("knowledge", KNOWLEDGE[1:], ids=lambda k: k.name)
def test_no_loss_and_no_gradient_where_student_equals_teacher(knowledge: Knowledge) -> None:
    teacher = outputs(4, seed=2)
    scores = {s: teacher.attentions[t].log().requires_grad_() for s, t in LAYER_MAP}  # probabilities are not free
    student = ModelOutputs(
        logits=teacher.logits.clone().requires_grad_(),
        attention_mask=teacher.attention_mask,
        hidden_states={s: teacher.hidden_states[t].clone().requires_grad_() for s, t in ((0, 0), *LAYER_MAP)},
        attentions={s: values.softmax(-1) for s, values in scores.items()},
    )
    loss = knowledge.loss(student, teacher, BATCH)
    loss.sum().backward()
    assert loss.abs().max() <= 1e-6
    leaves = [student.logits, *student.hidden_states.values(), *scores.values()]
    gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert gradients
    assert max(gradient.abs().max() for gradient in gradients) <= 1e-6


@pytest.mark.parametrize("knowledge", KNOWLEDGE, ids=lambda k: k.name)
def test_gradient_agrees_with_finite_differences(knowledge: Knowledge) -> None:
    student, teacher = outputs(2, seed=1), outputs(4, seed=2)
    hidden = student.hidden_states[1]
    read = {"hidden": hidden, "relations": hidden, "attention": student.attentions[2]}
    values = read.get(knowledge.name, student.logits).requires_grad_()
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
