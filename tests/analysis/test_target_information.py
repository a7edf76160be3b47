"""What a teacher says, told apart: against plain sums, and where parts of it are known to be nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kselect.analysis.target_information import Content, content_of


def drawn(places: int = 40, classes: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    p = torch.softmax(2 * torch.randn(places, classes, generator=generator, dtype=torch.float64), -1)
    return p, torch.randint(classes, (places,), generator=generator)


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    return sum(one * math.log(one / other) for one, other in zip(p, q, strict=True) if one > 0)


def test_parts_and_whole_by_plain_sums() -> None:
    p, labels = drawn()
    found, rows, gold = content_of(p, labels), p.numpy(), labels.tolist()
    right = [row[label] for row, label in zip(rows, gold, strict=True)]
    mean = float(np.mean(right))
    wrong = [np.delete(row, label) for row, label in zip(rows, gold, strict=True)]
    typical = {label: sum(w for w, other in zip(wrong, gold, strict=True) if other == label) for label in set(gold)}
    typical = {label: total / total.sum() for label, total in typical.items()}
    parts = {
        "instance": [divergence(np.array([c, 1 - c]), np.array([mean, 1 - mean])) for c in right],
        # In the mean over the places of a class, w may stand for the typical one before the logarithm.
        "domain": [w.sum() * divergence(typical[t], np.full(4, 0.25)) for w, t in zip(wrong, gold, strict=True)],
        "rest": [w.sum() * divergence(w / w.sum(), typical[t]) for w, t in zip(wrong, gold, strict=True)],
    }
    for name, values in parts.items():
        assert getattr(found, name) == pytest.approx(float(np.mean(values))), name
    smoothed = [np.where(np.arange(5) == t, mean, (1 - mean) / 4) for t in gold]
    whole = np.mean([divergence(row, other) for row, other in zip(rows, smoothed, strict=True)])
    assert found.total == pytest.approx(float(whole))
    assert (found.confidence, found.spread) == (pytest.approx(mean), pytest.approx(float(np.std(right))))
    assert found.accuracy == np.mean(rows.argmax(-1) == gold)
    assert sum(found.shares.values()) == pytest.approx(1)


def smoothing(places: int, classes: int, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(places) % classes
    return (1 - alpha) * torch.nn.functional.one_hot(labels, classes).double() + alpha / classes, labels


def nothing(found: Content, *parts: str) -> bool:
    return all(getattr(found, part) == pytest.approx(0, abs=1e-12) for part in parts)


def test_a_label_smoothing_says_nothing_beyond_itself() -> None:
    assert nothing(content_of(*smoothing(30, 5, 0.3)), "instance", "domain", "rest", "spread")


def test_gold_labels_say_nothing() -> None:
    found = content_of(*smoothing(30, 5, 0.0))
    assert nothing(found, "total")
    assert (found.certainty, found.shares) == (1.0, {})


def test_of_two_classes_there_is_nothing_but_confidence() -> None:
    found = content_of(*drawn(classes=2))
    assert nothing(found, "domain", "rest")
    assert found.instance > 0.01


def test_rows_that_the_gold_class_gives_are_domain_alone() -> None:
    alike = torch.tensor([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.1, 0.3, 0.6]], dtype=torch.float64)
    labels = torch.arange(30) % 3
    found = content_of(alike[labels], labels)
    assert nothing(found, "instance", "rest")
    # Of the wrong 0.4, a quarter and three quarters, against a half each.
    expected = 0.3 * math.log(1.5) + 0.1 * math.log(0.5)
    assert found.domain == pytest.approx(expected)


def test_confidence_that_varies_with_wrong_classes_alike_is_instance_alone() -> None:
    labels = torch.arange(4)
    right = torch.tensor([0.9, 0.5, 0.9, 0.5], dtype=torch.float64)[:, None]
    gold = torch.nn.functional.one_hot(labels, 4).double()
    found = content_of(gold * right + (1 - gold) * (1 - right) / 3, labels)
    assert nothing(found, "domain", "rest")
    expected = 0.5 * sum(divergence(np.array([c, 1 - c]), np.array([0.7, 0.3])) for c in (0.9, 0.5))
    assert found.instance == pytest.approx(expected)
