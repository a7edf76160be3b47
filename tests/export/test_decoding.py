"""Decoders in NumPy: against all structures of a short sentence, and against the heads themselves."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from kselect.export.graph import head_facts, scores_of
from kselect.export.scripts.decoding import best_spans, decode, mean_field, named, viterbi
from kselect.models.heads.registry import PARSING, TAGGING
from kselect.models.heads.spans import to_spans
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.structure.mean_field import mean_field as torch_mean_field
from tests.words import task_for, word_classifier


@pytest.mark.parametrize("n", [1, 2, 4])
def test_viterbi_finds_the_best_of_all_sequences(n: int) -> None:
    rng = np.random.default_rng(n)
    emissions, transitions, start, end = (rng.normal(size=size) for size in ((n, 3), (3, 3), 3, 3))

    def score(tags: tuple[int, ...]) -> float:
        moves = sum(transitions[a, b] for a, b in pairwise(tags))
        return float(start[tags[0]] + end[tags[-1]] + emissions[np.arange(n), tags].sum() + moves)

    best = max(product(range(3), repeat=n), key=score)
    assert viterbi(emissions, transitions, start, end).tolist() == list(best)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_best_spans_are_the_best_of_all_sets(seed: int) -> None:
    n, labels = 4, 2
    scores = np.random.default_rng(seed).normal(size=(n, n, labels))
    complete: dict[tuple[int, ...], float] = {}
    for tags in product(range(1 + 4 * labels), repeat=n):
        found = to_spans(torch.tensor([tags]), labels)[0].numpy()
        covered = sum(last - first + 1 for first, last, _ in np.argwhere(found))
        if covered == sum(tag > 0 for tag in tags):  # every tag is part of a span
            again = np.asarray(found.any(-1))
            if all(not again[i, j] or all(t > 0 for t in tags[i : j + 1]) for i in range(n) for j in range(i, n)):
                complete[tags] = float(scores[found].sum())
    chosen = tuple(best_spans(scores).tolist())
    assert complete[chosen] == pytest.approx(max(complete.values()))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_mean_field_is_that_of_the_head(n: int) -> None:
    generator = torch.Generator().manual_seed(n)
    shapes = ((1, n, n + 1), (1, n, n, n + 1), (1, n, n, n + 1))
    arcs, siblings, grandparents = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    expected = torch_mean_field(arcs, siblings, grandparents, torch.ones(1, n, dtype=torch.bool))[0].numpy()
    found = mean_field(arcs[0].numpy(), siblings[0].numpy(), grandparents[0].numpy(), iterations=3)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("head", [*TAGGING, *PARSING])
def test_decoding_is_the_heads_prediction(head: str) -> None:
    task, classifier = task_for(head), word_classifier(head)
    encoded = task.encode(task.splits["train"], classifier.tokenizer, 24)
    facts = {**head_facts(classifier), "labels": list(task.labels)}
    for row in range(len(encoded)):
        with torch.no_grad():
            outputs = forward(classifier.model, encoded.batch([row]), Needs()).under(classifier.head)
            expected = outputs.answer.predict()[0].numpy()
        scores = {name: value[0].numpy() for name, value in scores_of(head, outputs.answer).items()}
        answer = decode(scores, facts)
        np.testing.assert_array_equal(answer, expected)
        assert len(named(answer, facts)) == len(expected)
