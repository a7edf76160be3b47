"""Kinds of knowledge that compare words' labels, other than marginals: by hand, and untouched by what is in padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from kselect.errors import KselectError
from kselect.knowledge.base import Batch, Knowledge
from kselect.knowledge.logits import Gold, JensenShannon, Logits, LogitsMse, ReverseKl
from kselect.knowledge.marginals import HEAD_PAIRS, Marginals
from kselect.knowledge.sequences import BestSequences, Posterior
from kselect.knowledge.substructures import COMPARABLE_HEADS, Substructures
from kselect.models.heads import Answer, Head
from kselect.models.heads.crf import Crf
from kselect.models.heads.parser import Parser, SecondOrderParser
from kselect.models.heads.spans import Spans
from kselect.models.heads.tagger import Tagger
from kselect.models.heads.tree_tagger import TreeTagger
from kselect.models.outputs import ModelOutputs
from tests.answers import (
    ARC_TAGS,
    HEADS,
    LENGTHS,
    RELATIONS,
    SPAN_LABELS,
    TAGS,
    Scores,
    build,
    draw,
    mask_of,
    padded,
    sentence,
    table,
    tag_heads,
    tag_marginals,
)

WIDTH = 4


class Given(Head):
    """Gives the answer it was made with."""

    name = "given"

    def __init__(self, head: str, scores: Scores, mask: Tensor) -> None:
        super().__init__()
        self.given = build(head, scores, mask)

    def forward(self, output: Tensor, mask: Tensor | None) -> Answer:
        return self.given


def outputs(head: str, scores: Scores, mask: Tensor | None = None) -> ModelOutputs:
    mask = mask_of() if mask is None else mask
    output = scores.get("logits", torch.zeros(*mask.shape, 1))
    return ModelOutputs(output, mask.long(), word_mask=mask, head=Given(head, scores, mask))


def loss(knowledge: Knowledge, student: ModelOutputs, teacher: ModelOutputs, labels: Tensor | None = None) -> Tensor:
    return knowledge.loss(student, teacher, Batch(torch.zeros(0) if labels is None else labels))


def assert_by_hand(found: Tensor, by_hand: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(by_hand, dtype=torch.float32), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("heads", [("tagger", "tagger"), ("crf", "crf"), ("tagger", "crf"), ("crf", "tagger")])
def test_substructures_compare_emissions(heads: tuple[str, str]) -> None:
    theirs, ours = draw(heads[0], 0), draw(heads[1], 1)
    by_hand = []
    for row, n in enumerate(LENGTHS):
        p, q = sentence(theirs, row), sentence(ours, row)
        d = (q["logits" if "logits" in q else "emissions"] - p["logits" if "logits" in p else "emissions"])[:n]
        by_hand.append(float(((d - d.mean(-1, keepdims=True)) ** 2).mean()))
    assert_by_hand(loss(Substructures(*heads), outputs(heads[1], ours), outputs(heads[0], theirs)), by_hand)


def test_substructures_compare_possible_arc_tags() -> None:
    theirs, ours = draw("tree-tagger", 0), draw("tree-tagger", 1)
    by_hand = []
    for row, n in enumerate(LENGTHS):
        p, q = sentence(theirs, row)["logits"], sentence(ours, row)["logits"]
        words = []
        for word in range(n):
            places = [tag for tag, head in enumerate(tag_heads(word)) if head is not None and head <= n]
            d = (q - p)[word, places]
            words.append(((d - d.mean()) ** 2).mean())
        by_hand.append(float(np.mean(words)))
    knowledge = Substructures("tree-tagger", "tree-tagger")
    assert_by_hand(loss(knowledge, outputs("tree-tagger", ours), outputs("tree-tagger", theirs)), by_hand)


def test_substructures_compare_transitions() -> None:
    theirs, ours = draw("crf", 0), draw("crf", 1)
    by_hand = []
    for row, n in enumerate(LENGTHS):
        p, q = sentence(theirs, row), sentence(ours, row)
        d = {key: q[key] - p[key] for key in p}
        total = 0.0
        for word in range(n):
            scores = d["emissions"][word] + (d["end"] if word == n - 1 else 0)
            if word == 0:
                scored = scores + d["start"]
            else:
                scored = scores[None, :] + d["transitions"]
                scored = scored - (scores.mean() + d["transitions"].mean())
            total += float(((scored - scored.mean()) ** 2).mean())
        by_hand.append(total / n)
    knowledge = Substructures("crf", "crf", transitions=True)
    assert_by_hand(loss(knowledge, outputs("crf", ours), outputs("crf", theirs)), by_hand)


@pytest.mark.parametrize("student", ["parser", "second-order-parser"])
def test_substructures_compare_arcs_and_relations(student: str) -> None:
    theirs, ours = draw("parser", 0), draw(student, 1)
    by_hand = []
    for row, n in enumerate(LENGTHS):
        p, q = sentence(theirs, row), sentence(ours, row)
        words = []
        for word in range(n):
            heads = [h for h in range(n + 1) if h != word + 1]
            d = (q["arcs"] - p["arcs"])[word, heads]
            r = (q["relations"] - p["relations"])[word, heads]
            words.append(((d - d.mean()) ** 2).mean() + ((r - r.mean(-1, keepdims=True)) ** 2).mean())
        by_hand.append(float(np.mean(words)))
    assert_by_hand(loss(Substructures("parser", student), outputs(student, ours), outputs("parser", theirs)), by_hand)


def test_substructures_compare_spans() -> None:
    theirs, ours = draw("spans", 0), draw("spans", 1)
    by_hand = []
    for row, n in enumerate(LENGTHS):
        d = (sentence(ours, row)["scores"] - sentence(theirs, row)["scores"])[:n, :n]
        by_hand.append(float(np.mean([d[i, j] ** 2 for i in range(n) for j in range(i, n)])))
    assert_by_hand(loss(Substructures("spans", "spans"), outputs("spans", ours), outputs("spans", theirs)), by_hand)


@pytest.mark.parametrize("head", ["tagger", "crf", "tree-tagger", "parser"])
def test_substructures_ignore_a_constant_per_word(head: str) -> None:
    generator = torch.Generator().manual_seed(3)
    scores = draw(head, 0)
    per_word = {"logits": (3, 3, 1), "emissions": (3, 3, 1), "arcs": (3, 3, 1), "relations": (3, 3, 4, 1)}
    shifted = {
        key: value + (5 * torch.randn(per_word[key], generator=generator) if key in per_word else 0.0)
        for key, value in scores.items()
    }
    if head == "crf":
        shifted["transitions"], shifted["start"], shifted["end"] = (
            scores["transitions"] + 2,
            scores["start"] - 1,
            scores["end"] + 3,
        )
    for transitions in (False, True) if head == "crf" else (False,):
        found = loss(Substructures(head, head, transitions), outputs(head, shifted), outputs(head, scores))
        torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-9)


def test_substructures_refuse_incomparable_heads() -> None:
    for teacher in HEADS:
        for student in HEADS:
            if not any(teacher in group and student in group for group in COMPARABLE_HEADS):
                with pytest.raises(KselectError, match=f"teacher's {teacher} with those of a student's {student}"):
                    Substructures(teacher, student)
    with pytest.raises(KselectError, match="transitions are scored only by the crf head"):
        Substructures("tagger", "tagger", transitions=True)


@pytest.mark.parametrize("heads", [("tagger", "tagger"), ("crf", "crf"), ("tagger", "crf"), ("crf", "tagger")])
def test_posterior_equals_a_sum_over_all_sequences(heads: tuple[str, str]) -> None:
    theirs, ours = draw(heads[0], 0), draw(heads[1], 1)
    by_hand = []
    for row, n in enumerate(LENGTHS):
        p, q = (
            tag_marginals(table(head, sentence(scores, row), n), n, TAGS)
            for head, scores in zip(heads, (theirs, ours), strict=True)
        )
        by_hand.append(float((p * np.log(p / q)).sum(-1).mean()))
    leaves = {key: value.clone().requires_grad_() for key, value in ours.items()}
    found = loss(Posterior(*heads), outputs(heads[1], leaves), outputs(heads[0], theirs))
    assert_by_hand(found, by_hand)
    found.sum().backward()
    assert all(leaf.grad is not None and leaf.grad.abs().max() > 1e-3 for leaf in leaves.values())


@pytest.mark.parametrize("student", ["tagger", "crf"])
@pytest.mark.parametrize("more", [0, 2])
def test_best_sequences_are_the_first_of_all(student: str, more: int) -> None:
    theirs, ours = draw("crf", 0), draw(student, 1)
    weights, by_hand = (1.0, 0.1, 0.1, 0.05), []
    for row, n in enumerate(LENGTHS):
        p, q = table("crf", sentence(theirs, row), n), table(student, sentence(ours, row), n)
        best = sorted(p, key=lambda sequence: -p[sequence])[: len(weights)]  # a word has but three tags
        pairs = list(zip(weights, best, strict=False))
        by_hand.append(sum(w * -q[y] / n for w, y in pairs) / sum(w for w, _ in pairs))
    mask = mask_of(width=3 + more)
    teacher, learner = outputs("crf", padded(theirs, more), mask), outputs(student, padded(ours, more), mask)
    assert_by_hand(loss(BestSequences("crf", student, weights), learner, teacher), by_hand)


@pytest.mark.parametrize("heads", [("tagger", "crf"), ("crf", "spans"), ("parser", "parser")])
def test_posterior_and_best_sequences_refuse_other_heads(heads: tuple[str, str]) -> None:
    with pytest.raises(KselectError, match="best-sequences needs a teacher's crf"):
        BestSequences(*heads)
    if heads != ("tagger", "crf"):
        with pytest.raises(KselectError, match="posterior compares tag sequences"):
            Posterior(*heads)


def test_logits_of_words_are_a_mean_over_words() -> None:
    theirs, ours = draw("tagger", 0), draw("tagger", 1)
    found = loss(LogitsMse(), outputs("tagger", ours), outputs("tagger", theirs))
    squares = [((ours["logits"] - theirs["logits"])[row, :n] ** 2).mean().item() for row, n in enumerate(LENGTHS)]
    assert_by_hand(found, squares)
    kd = loss(Logits(2.0), outputs("tagger", ours), outputs("tagger", theirs))
    assert_by_hand(
        kd, loss(Marginals("tagger", "tagger", 2.0), outputs("tagger", ours), outputs("tagger", theirs)).tolist()
    )


MADE = {
    "tagger": lambda: Tagger(),
    "crf": lambda: Crf(WIDTH),
    "spans": lambda: Spans(WIDTH, SPAN_LABELS, 3),
    "parser": lambda: Parser(WIDTH, len(RELATIONS), 3, 3),
    "second-order-parser": lambda: SecondOrderParser(WIDTH, len(RELATIONS), 3, 3, 2),
    "tree-tagger": lambda: TreeTagger(ARC_TAGS, RELATIONS),
}


def kinds_for(teacher: str, student: str) -> list[Knowledge]:
    found: list[Knowledge] = [Gold(), Marginals(teacher, student, 2.0)]
    if teacher in ("parser", "second-order-parser"):
        found.append(Marginals(teacher, student, 2.0, arcs="projective"))
    if any(teacher in group and student in group for group in COMPARABLE_HEADS):
        found.append(Substructures(teacher, student))
        if teacher == student and "parser" not in teacher and teacher != "spans":
            found += [Logits(), LogitsMse(), ReverseKl(), JensenShannon()]
    if {teacher, student} <= {"crf", "tagger"}:
        found.append(Posterior(teacher, student))
        found += [BestSequences(teacher, student)] if teacher == "crf" else []
    return found


@pytest.mark.parametrize(("teacher", "student"), HEAD_PAIRS)
def test_losses_ignore_nan_in_padding(teacher: str, student: str) -> None:
    generator = torch.Generator().manual_seed(0)
    mask = mask_of(width=4)
    width = len(ARC_TAGS) if student == "tree-tagger" else 1 + 4 * SPAN_LABELS if teacher == "spans" else WIDTH
    widths = {name: width if name in ("tagger", "crf", "tree-tagger") else WIDTH for name in (teacher, student)}
    heads = {name: MADE[name]().eval() for name in (teacher, student)}
    made = {
        role: torch.randn(3, 4, widths[name], generator=generator) for role, name in (("t", teacher), ("s", student))
    }
    arcs = student not in ("tagger", "crf", "spans")
    labels = torch.randint(0, 3, (3, 4, 2) if arcs else (3, 4), generator=generator)
    labels[~mask] = -100
    for knowledge in kinds_for(teacher, student):
        found, gradients = [], []
        for fill in (0.0, torch.nan):
            values = {role: torch.where(mask[..., None], value, fill) for role, value in made.items()}
            values["s"].requires_grad_()
            batch = {"attention_mask": mask.long(), "word_mask": mask}
            ours = ModelOutputs.of(values["s"], batch, {}).under(heads[student])
            theirs = ModelOutputs.of(values["t"], batch, {}).under(heads[teacher])
            found.append(knowledge.loss(ours, theirs, Batch(labels)))
            found[-1].sum().backward()
            assert values["s"].grad is not None
            gradients.append(values["s"].grad)
        torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
        assert torch.equal(*gradients), knowledge.name
        assert not gradients[1][~mask].any()
