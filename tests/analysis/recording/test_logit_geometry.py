"""Geometry against loops over pairs of classes, and at optima that are constructed by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from kselect.analysis.recording import logit_geometry as module
from kselect.analysis.recording.logit_geometry import concordance, geometry_of, logit_geometry
from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.errors import KselectError
from kselect.models.output_layer import output_layer
from kselect.models.shrink import shrink
from tests.tiny import tiny_distiller
from tests.words import task_for, word_classifier

N, K, D = 13, 6, 9


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def wrong_classes(seed: int = 3) -> Tensor:
    labels = torch.randint(K, (N,), generator=torch.Generator().manual_seed(seed))
    return torch.arange(K) != labels[:, None]


def by_loop(nearness: Tensor, p: Tensor, wrong: Tensor) -> tuple[float, int]:
    hits, pairs = 0.0, 0
    for place in range(len(p)):
        classes = [k for k in range(p.size(1)) if wrong[place, k]]
        for i, j in combinations(classes, 2):
            if p[place, i] == p[place, j]:
                continue
            pairs += 1
            if nearness[place, i] == nearness[place, j]:
                hits += 0.5
            else:
                hits += bool((nearness[place, i] > nearness[place, j]) == (p[place, i] > p[place, j]))
    return hits / pairs, pairs


@pytest.mark.parametrize("room", [1, 2**21])
def test_concordance_is_a_loop_over_pairs(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAIRS", room)
    measures, p, wrong = draw(2, N, K).round(decimals=1), draw(N, K, seed=1).round(decimals=1), wrong_classes()
    shares, pairs = concordance(measures, p, wrong)
    for share, measure in zip(shares.tolist(), measures, strict=True):
        assert (share, pairs) == pytest.approx(by_loop(measure, p, wrong))


def test_geometry_is_a_loop_over_pairs() -> None:
    h, w, b, log_p, wrong = draw(N, D), draw(K, D, seed=1), draw(K, seed=2), draw(N, K, seed=4), wrong_classes()
    found = geometry_of(h, w, b, log_p, wrong)
    near = torch.stack([-(h - row).square().sum(1) for row in w], 1)
    assert (found.distances, found.pairs) == pytest.approx(by_loop(near, log_p, wrong))
    assert found.products == pytest.approx(by_loop(h @ w.T, log_p, wrong)[0])
    assert found.logits == pytest.approx(by_loop(h @ w.T + b, log_p, wrong)[0])
    assert found.places == N
    norms = w.square().sum(1).sqrt().numpy()
    assert found.norm_spread == pytest.approx(norms.std() / norms.mean())
    assert found.bias_spread == pytest.approx(b.numpy().std() / (h @ w.T).numpy().std(1).mean())


@pytest.mark.parametrize(("bias", "spread"), [(torch.full((K,), 2.0), 0.0), (torch.arange(K), float("inf"))])
def test_geometry_of_a_layer_of_zeros_has_no_norm_spread(bias: Tensor, spread: float) -> None:
    found = geometry_of(draw(N, D), torch.zeros(K, D), bias, draw(N, K, seed=4), wrong_classes())
    assert (found.norm_spread, found.bias_spread) == (0.0, spread)
    assert found.distances == found.products == 0.5


def optimum(norms: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """States, a layer's weight with rows of these norms, and log-probabilities that its softmax gives exactly."""
    weight = torch.linalg.qr(draw(D, K))[0].T * norms[:, None]
    log_p = torch.log_softmax(3 * draw(N, K, seed=5), -1)
    states = torch.linalg.lstsq(weight, (log_p - bias).T).solution.T
    torch.testing.assert_close(torch.log_softmax(states @ weight.T + bias, -1), log_p)
    return states, weight, log_p


def test_geometry_confirms_the_theorem_at_an_optimum() -> None:
    none = torch.zeros(K).double()
    states, weight, log_p = optimum(torch.full((K,), 2.0).double(), none)
    found = geometry_of(states, weight, none, log_p, wrong_classes())
    assert (found.distances, found.products, found.logits) == (1.0, 1.0, 1.0)
    assert (found.norm_spread, found.bias_spread) == pytest.approx((0.0, 0.0))


def test_geometry_separates_unequal_norms_from_biases() -> None:
    none, ones = torch.zeros(K).double(), torch.ones(K).double()
    norms, bias = torch.linspace(0.2, 9.0, K).double(), torch.linspace(-8.0, 8.0, K).double()
    states, weight, log_p = optimum(norms, none)
    found = geometry_of(states, weight, none, log_p, wrong_classes())
    assert found.distances < 0.9
    assert found.products == found.logits == 1.0
    assert found.norm_spread > 0.5
    states, weight, log_p = optimum(ones, bias)
    found = geometry_of(states, weight, bias, log_p, wrong_classes())
    assert found.products == found.distances < 0.9
    assert found.logits == 1.0
    assert found.bias_spread > 0.5


def test_geometry_of_an_independent_layer_is_chance() -> None:
    h, w, log_p = draw(4000, D), draw(K, D, seed=1), draw(4000, K, seed=2)
    found = geometry_of(h, w, torch.zeros(K), log_p, torch.ones(4000, K, dtype=torch.bool))
    assert found.distances == pytest.approx(0.5, abs=0.03)


def words_distiller(head: str, same: bool = False) -> Distiller:
    teacher = word_classifier(head)
    student = word_classifier(head) if same else shrink(teacher, 1)
    training = TrainingConfig(batch_size=8, epochs=2, learning_rate=3e-3, precision="fp32")
    return Distiller(task_for(head), teacher, student, training, KnowledgeConfig(knowledge=["gold", "logits"]))


@pytest.mark.parametrize("head", ["tagger", "tree-tagger"])
def test_logit_geometry_of_a_student_equal_to_its_teacher_is_one(head: str) -> None:
    found = logit_geometry(words_distiller(head, same=True))
    assert found.logits == pytest.approx(1.0, abs=1e-3)
    assert 0 < found.distances < 1
    assert found.pairs > 0


@pytest.mark.parametrize("head", ["tagger", "tree-tagger"])
def test_logit_geometry_reads_the_input_of_the_output_layer(head: str) -> None:
    distiller = words_distiller(head)
    layer = output_layer(distiller.student.model)
    indices = np.arange(8)
    states, log_p, wrong = module._outputs_of(distiller, layer, indices)
    _, student, teacher = distiller.model_outputs(indices)
    assert teacher is not None
    labels = student.answer.right_choices(torch.from_numpy(distiller.encoded("train").gold(list(indices))))
    known = student.answer.choices.mask & (labels >= 0)
    torch.testing.assert_close(layer(states), student.output[known])
    torch.testing.assert_close(log_p, teacher.answer.choices.log_probabilities()[known])
    assert not wrong[torch.arange(len(wrong)), labels[known]].any()


def test_logit_geometry_changes_nothing() -> None:
    runs = [words_distiller("tagger"), words_distiller("tagger")]
    for looked_at, run in zip((True, False), runs, strict=True):
        run.reset(1)
        run.advance([1, 1], 2)
        if looked_at:
            assert logit_geometry(run) == logit_geometry(run)
        run.advance([1, 1], 2)
    ours, theirs = (run.student.model.state_dict() for run in runs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_logit_geometry_refuses_what_has_none() -> None:
    with pytest.raises(KselectError, match="three classes or more"):
        logit_geometry(tiny_distiller({"knowledge": ["gold"]}))
    alone = Distiller(task_for("tagger"), None, word_classifier("tagger"))
    with pytest.raises(KselectError, match="a teacher that chooses among the student's classes"):
        logit_geometry(alone)
