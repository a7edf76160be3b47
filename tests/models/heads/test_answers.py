"""What each answer says of gold labels, of the best structure, and of its places, against all structures."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from kselect.models.heads import Answer
from kselect.models.heads.relations import best_relations, root_relation
from kselect.models.heads.spans import to_spans, to_tags
from kselect.models.heads.tree_tagger import ArcTagAnswer, ArcTags
from kselect.tasks.words import Origin, ParsedSentence, find_tree_error
from tests.answers import (
    ARC_TAGS,
    HEADS,
    LENGTHS,
    RELATIONS,
    SPAN_LABELS,
    TAGS,
    arc_marginals,
    build,
    draw,
    mask_of,
    padded,
    sentence,
    table,
    tag_heads,
    tag_row,
)
from tests.structure.enumeration import bioes, span_sets, trees

UNKNOWN = -100
every_head = pytest.mark.parametrize("head", HEADS)


def gold(head: str, seed: int = 5) -> torch.Tensor:
    """Labels of a batch, unknown in padding."""
    rng = np.random.default_rng(seed)
    arcs = head not in ("tagger", "crf", "spans")
    labels = torch.full((len(LENGTHS), max(LENGTHS), 2) if arcs else (len(LENGTHS), max(LENGTHS)), UNKNOWN)
    for row, n in enumerate(LENGTHS):
        if head == "spans":
            sets = span_sets(n, SPAN_LABELS)
            labels[row, :n] = torch.tensor(bioes(sets[rng.integers(len(sets))], n))
        elif arcs:
            found = trees(n)
            labels[row, :n, 0] = torch.tensor(found[rng.integers(len(found))])
            labels[row, :n, 1] = torch.from_numpy(rng.integers(len(RELATIONS), size=n))
        else:
            labels[row, :n] = torch.from_numpy(rng.integers(TAGS, size=n))
    return labels


def gold_loss_by_hand(head: str, scores: dict[str, torch.Tensor], labels: torch.Tensor, row: int) -> float:
    n, known = LENGTHS[row], labels[row].tolist()
    s = sentence(scores, row)
    if head == "crf":
        fits = [
            p
            for y, p in table(head, s, n).items()
            if all(wanted in (tag, UNKNOWN) for tag, wanted in zip(y, known, strict=False))
        ]
        return -float(np.log(np.exp(fits).sum())) / n
    if head == "spans":
        whole = spelt(known[:n])
        fits = [
            p
            for spans, p in table(head, s, n).items()
            if all(wanted in (tag, UNKNOWN) for tag, wanted in zip(bioes(list(spans), n), whole, strict=True))
        ]
        return -float(np.log(np.exp(fits).sum())) / n
    if head == "tagger":
        by_word = [log_softmax(s["logits"][word])[known[word]] for word in range(n) if known[word] >= 0]
        return -float(np.mean(by_word)) if by_word else 0.0
    if head == "tree-tagger":
        by_word = []
        for word, (h, r) in enumerate(known[:n]):
            named = list(zip(tag_heads(word), [RELATIONS.index(name) for name in ARC_TAGS.relations], strict=True))
            if (h, r) in named:
                by_word.append(tag_row(s["logits"][word], word, n, 1.0)[named.index((h, r))])
        return -float(np.mean(by_word)) if by_word else 0.0
    heads = np.log(np.maximum(arc_marginals(table(head, s, n), n), 1e-300))
    relations = log_softmax(s["relations"], -1)
    of_heads = [heads[word, h] for word, (h, _) in enumerate(known[:n]) if h >= 0]
    of_relations = [relations[word, h, r] for word, (h, r) in enumerate(known[:n]) if h >= 0 and r >= 0]
    return -sum(float(np.mean(found)) for found in (of_heads, of_relations) if found)


def spelt(tags: list[int]) -> list[int]:
    """BIOES tags, those of no whole span unknown, and those within one as it has them."""
    found = [UNKNOWN if tag else 0 for tag in tags]
    for first, tag in enumerate(tags):
        letter, label = (tag - 1) % 4, (tag - 1) // 4
        ends = [i for i, other in enumerate(tags) if i > first and other > 0 and (other - 1) % 4 == 2]
        if tag > 0 and letter in (0, 3) and (letter == 3 or ends):
            last = first if letter == 3 else ends[0]
            found[first : last + 1] = bioes([(0, last - first, label)], last - first + 1)
    return found


@every_head
@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_the_gold_loss_is_that_of_all_structures_that_fit(head: str, unknown: int) -> None:
    scores, labels = draw(head, 0), gold(head)
    if unknown:
        labels[0, 1] = UNKNOWN
    if unknown == 2:
        labels[1] = UNKNOWN  # all of a sentence
    by_hand = [gold_loss_by_hand(head, scores, labels, row) for row in range(len(LENGTHS))]
    leaves = {key: value.clone().requires_grad_() for key, value in scores.items()}
    found = build(head, leaves).gold_loss(labels)
    torch.testing.assert_close(found, torch.tensor(by_hand, dtype=torch.float32), rtol=1e-4, atol=1e-5)
    found.sum().backward()
    assert all(leaf.grad is None or leaf.grad.isfinite().all() for leaf in leaves.values())
    wide = torch.nn.functional.pad(labels, (0, 0, 0, 2) if labels.dim() == 3 else (0, 2))  # 0, a label, in padding
    again = build(head, padded(scores, 2), mask_of(width=5)).gold_loss(wide)
    torch.testing.assert_close(again, found.detach(), rtol=1e-5, atol=1e-6)


def test_a_chain_sums_over_what_is_unknown_and_its_gradient_does() -> None:
    scores, labels = draw("crf", 0), gold("crf")
    labels[0, 1], labels[2, 0] = UNKNOWN, UNKNOWN
    leaves = {key: value.clone().requires_grad_() for key, value in scores.items()}
    build("crf", leaves).gold_loss(labels).sum().backward()
    generator = torch.Generator().manual_seed(2)
    for _ in range(3):
        way = {key: torch.randn(value.shape, generator=generator) for key, value in scores.items()}
        along = sum(float((leaf.grad * way[key]).sum()) for key, leaf in leaves.items() if leaf.grad is not None)
        sides = []
        for step in (1e-5, -1e-5):
            moved = {key: value.double() + step * way[key] for key, value in scores.items()}
            sides.append(sum(gold_loss_by_hand("crf", moved, labels, row) for row in range(len(LENGTHS))))
        assert along == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-3, abs=1e-4)


@every_head
@pytest.mark.parametrize("seed", range(4))
def test_the_prediction_is_the_best_of_all_structures(head: str, seed: int) -> None:
    scores = draw(head, seed, size=1.0)
    answer = build(head, scores)
    found = answer.predict()
    assert found.shape == gold(head).shape
    for row, n in enumerate(LENGTHS):
        s = sentence(scores, row)
        if head in ("tagger", "crf"):
            p = table(head, s, n)
            assert tuple(found[row, :n].tolist()) == max(p, key=lambda y: p[y])
        elif head == "spans":
            p = table(head, s, n)
            assert found[row, :n].tolist() == bioes(list(max(p, key=lambda y: p[y])), n)
        elif head == "tree-tagger":
            assert found[row, :n].tolist() == best_tree_of_tags(s["logits"], n)
        else:
            heads = np.log(np.maximum(arc_marginals(table(head, s, n), n), 1e-300))
            best = max(trees(n), key=lambda tree: sum(heads[word, h] for word, h in enumerate(tree)))
            assert found[row, :n, 0].tolist() == list(best)
            assert found[row, :n, 1].tolist() == [s["relations"][word, h].argmax() for word, h in enumerate(best)]
    wide = build(head, padded(scores, 2), mask_of(width=5)).predict()[:, : max(LENGTHS)]
    assert all(torch.equal(wide[row, :n], found[row, :n]) for row, n in enumerate(LENGTHS))


@pytest.mark.parametrize("head", ["parser", "second-order-parser", "tree-tagger"])
@pytest.mark.parametrize("root", [*range(len(RELATIONS)), len(RELATIONS)])
@pytest.mark.parametrize("seed", range(4))
def test_the_relation_to_the_root_is_the_roots_alone(head: str, root: int, seed: int) -> None:
    """It changes what is predicted and nothing else, even where no tag has that relation (the last)."""
    scores, labels = draw(head, seed, size=1.0), gold(head)
    free: Any = build(head, scores)
    kept = replace(free, root_relation=root)
    found, unbound = kept.predict(), free.predict()
    assert torch.equal(found[..., 0], unbound[..., 0])
    assert torch.equal(kept.gold_loss(labels), free.gold_loss(labels))
    assert torch.equal(kept.choices.scores, free.choices.scores)
    for row, n in enumerate(LENGTHS):
        for word, (h, r) in enumerate(found[row, :n].tolist()):
            before = int(unbound[row, word, 1])
            assert (r == root) == (h == 0)
            assert r == before or (before == root) != (h == 0)
            if head != "tree-tagger" and h:
                of_others = sentence(scores, row)["relations"][word, h].copy()
                of_others[root : root + 1] = -np.inf
                assert r == of_others.argmax()


def test_the_only_relation_may_be_that_to_the_root() -> None:
    heads = torch.tensor([[0, 1]])
    assert best_relations(torch.zeros(1, 2, 1), heads, 0).tolist() == [[0, 0]]
    assert (root_relation(("det", "root")), root_relation(("det", "top"))) == (1, None)


def best_tree_of_tags(logits: np.ndarray, n: int) -> list[list[int]]:
    rows = []
    for word in range(n):
        log_p = tag_row(logits[word], word, n, 1.0)
        rows.append(
            [(tag_heads(word)[tag], RELATIONS.index(ARC_TAGS.relations[tag]), np.exp(p)) for tag, p in log_p.items()]
        )

    def worth(tree: tuple[int, ...]) -> float:
        arcs = [sum(p for head, _, p in row if head == h) for row, h in zip(rows, tree, strict=True)]
        return float(np.log(np.maximum(arcs, 1e-30)).sum())

    best = max(trees(n), key=worth)
    found = []
    for row, h in zip(rows, best, strict=True):
        there = [entry for entry in row if entry[0] == h] or row
        by_relation = [sum(p for _, r, p in there if r == relation) for relation in range(len(RELATIONS))]
        found.append([h, int(np.argmax(by_relation))])
    return found


@pytest.mark.parametrize("head", ["parser", "second-order-parser", "tree-tagger"])
def test_predicted_heads_are_trees_however_long_the_sentence(head: str) -> None:
    generator = torch.Generator().manual_seed(0)
    lengths, n, relations = (12, 7, 1, 9), 12, len(RELATIONS)
    mask = mask_of(lengths)
    shapes = {"arcs": (4, n, n + 1), "relations": (4, n, n + 1, relations)}
    if head == "second-order-parser":
        shapes |= {"siblings": (4, n, n, n + 1), "grandparents": (4, n, n, n + 1)}
    shapes = {"logits": (4, n, len(ARC_TAGS))} if head == "tree-tagger" else shapes
    scores = {name: 5 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    found = build(head, scores, mask).predict()
    for row, length in enumerate(lengths):
        assert find_tree_error(found[row, :length, 0].tolist()) is None
        assert ((found[row, :length, 1] >= 0) & (found[row, :length, 1] < relations)).all()


@every_head
def test_the_right_choice_has_the_gold_probability(head: str) -> None:
    scores, labels = draw(head, 0), gold(head)
    answer = build(head, scores)
    right, log_q = answer.right_choices(labels), answer.choices.log_probabilities()
    assert right.shape == answer.choices.mask.shape == log_q.shape[:2]
    torch.testing.assert_close(log_q.logsumexp(-1), torch.zeros_like(log_q[..., 0]), rtol=0, atol=1e-5)
    for row, n in enumerate(LENGTHS):
        s, known = sentence(scores, row), labels[row].tolist()
        if head == "spans":
            right_spans = right[row].view(3, 3)
            spelled = [
                (i, j, int(right_spans[i, j]) - 1) for i in range(n) for j in range(i, n) if right_spans[i, j] > 0
            ]
            assert bioes(spelled, n) == known[:n]
            continue
        for word in range(n):
            at = int(right[row, word])
            if head in ("tagger", "crf"):
                assert at == known[word]
                continue
            h, r = known[word]
            if head == "tree-tagger":
                named = list(zip(tag_heads(word), [RELATIONS.index(name) for name in ARC_TAGS.relations], strict=True))
                assert at == (named.index((h, r)) if (h, r) in named else -1)
            else:
                log_p = np.log(arc_marginals(table(head, s, n), n)[word, h]) + log_softmax(s["relations"][word, h])[r]
                assert float(log_q[row, word, at]) == pytest.approx(log_p, rel=1e-4, abs=1e-4)


@every_head
def test_uncertainty_is_entropy_over_what_is_possible(head: str) -> None:
    scores = draw(head, 0)
    answer = build(head, scores)
    found = answer.choices.uncertainty
    wide = build(head, padded(scores, 2), mask_of(width=5)).choices.uncertainty
    torch.testing.assert_close(wide, found, rtol=1e-5, atol=1e-6)
    even = build(head, {key: torch.zeros_like(value) for key, value in scores.items()}).choices.uncertainty
    torch.testing.assert_close(even, torch.ones_like(even), rtol=0, atol=1e-5)
    assert ((found > 0) & (found < 1)).all()
    if head in ("tagger", "crf"):
        for row, n in enumerate(LENGTHS):
            logits = sentence(scores, row)["logits" if head == "tagger" else "emissions"][:n]
            entropy = -(softmax(logits, -1) * log_softmax(logits, -1)).sum(-1).mean()
            assert float(found[row]) == pytest.approx(entropy / np.log(TAGS), rel=1e-5)


def test_spans_and_tags_spell_each_other() -> None:
    for n in (1, 2, 4):
        for spans in span_sets(n, SPAN_LABELS):
            tags = torch.tensor([bioes(spans, n)])
            found = to_spans(tags, SPAN_LABELS)
            assert {tuple(place) for place in found[0].nonzero().tolist()} == set(spans)
            assert torch.equal(to_tags(found), tags)
            cut = to_spans(torch.nn.functional.pad(tags, (0, 2), value=UNKNOWN), SPAN_LABELS)
            assert torch.equal(cut[:, :n, :n], found)
            assert int(cut.sum()) == len(spans)


def test_spans_cut_by_the_end_of_a_piece_are_none() -> None:
    assert not to_spans(torch.tensor([[1, 2, 2], [2, 3, 0], [UNKNOWN, UNKNOWN, 2]]), SPAN_LABELS).any()


def parsed(heads: tuple[int, ...], relations: tuple[str, ...]) -> ParsedSentence:
    return ParsedSentence(tuple("abcdef"[: len(heads)]), ("X",) * len(heads), heads, relations, Origin("made"))


def test_arc_tags_are_those_of_train_and_restored_from_their_names() -> None:
    one = parsed((2, 0, 2), ("nmod:poss", "root", "a_b:c_d"))
    other = parsed((2, 0), ("nmod:poss", "root"))
    tags = ArcTags.of([one, other])
    assert tags.names == ("-1_a_b:c_d", "root_root", "1_nmod:poss")
    assert tags.offsets == (-1, 0, 1)
    assert ArcTags.named(tags.names) == tags
    assert len(tags) == 3
    assert ArcTags.of([one, other], least=2).names == ("root_root", "1_nmod:poss")
    assert ArcTags.of([one], least=2).names == ()


def test_arc_tags_name_heads_within_the_sentence_alone() -> None:
    answer = build("tree-tagger", draw("tree-tagger", 0))
    assert isinstance(answer, ArcTagAnswer)
    for row, n in enumerate(LENGTHS):
        for word, tag in product(range(n), range(len(ARC_TAGS))):
            head = tag_heads(word)[tag]
            assert bool(answer.possible[row, word, tag]) == (head is not None and head <= n)


def test_words_without_any_possible_tag_teach_nothing() -> None:
    """A sentence of one word, and no tag for the root."""
    tags = ArcTags.named(["-1_a", "1_a"])
    from kselect.models.heads.tree_tagger import TreeTagger

    logits = torch.randn(1, 1, 2, requires_grad=True)
    answer: Answer = TreeTagger(tags, RELATIONS)(logits, torch.ones(1, 1, dtype=torch.bool))
    labels = torch.tensor([[[0, 0]]])
    assert answer.right_choices(labels).tolist() == [[-1]]
    found = answer.gold_loss(labels)
    found.sum().backward()
    assert found.tolist() == [0.0]
    assert logits.grad is not None
    assert not logits.grad.any()
    assert answer.predict().tolist()[0][0][0] == 0


def test_of_a_span_that_a_cut_divides_nothing_is_known() -> None:
    """B I of the first label at the end of a piece, E at the beginning of the next: neither is O, nor a span."""
    scores = draw("spans", 3)
    answer = build("spans", scores)
    cut = torch.tensor([[0, 1, 2], [3, UNKNOWN, UNKNOWN], [3, 0, UNKNOWN]])
    unknown = torch.tensor([[0, UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN, UNKNOWN], [UNKNOWN, 0, UNKNOWN]])
    torch.testing.assert_close(answer.gold_loss(cut), answer.gold_loss(unknown))
    as_outside = answer.gold_loss(torch.zeros_like(cut))
    assert (answer.gold_loss(cut) < as_outside - 1e-3)[[0, 2]].all()
    assert answer.gold_loss(cut)[1] == pytest.approx(0, abs=1e-6)  # a word of which nothing is known
    right = answer.right_choices(cut).unflatten(1, (3, 3))
    assert right[0].triu().tolist() == [[0, -1, -1], [0, -1, -1], [0, 0, -1]]
