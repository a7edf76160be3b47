"""Every case against a sum over all structures: in value, in gradient, and in what must not change it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor

from kselect.errors import KselectError
from kselect.knowledge.marginals import HEAD_PAIRS, Marginals, Softening
from tests.answers import (
    ARC_TAGS,
    LENGTHS,
    RELATIONS,
    SPAN_LABELS,
    TAGS,
    Scores,
    arc_marginals,
    build,
    divergence,
    draw,
    flattened,
    kl_of_rows,
    mask_of,
    padded,
    permuted,
    sentence,
    table,
    tag_heads,
    tag_marginals,
)

PARSERS = ("parser", "second-order-parser")
TREES = ("non-projective", "projective")
Setting = tuple[str, str, Softening]


def settings() -> list[Setting]:
    """Every case under every softening and distribution over heads that is sound."""
    found: list[Setting] = []
    for (teacher, student), case in HEAD_PAIRS.items():
        for arcs in ("heads", *TREES) if teacher in PARSERS else ("heads",):
            found += [(teacher, student, Softening(t, "global", arcs)) for t in (1.0, 2.0)]
            if case.local and (arcs == "heads" or student == "tree-tagger"):
                found += [(teacher, student, Softening(t, "local", arcs)) for t in (2.0, 5.0)]
    return found


def name(value: Any) -> str:
    return f"{value.kind}-{value.temperature:g}-{value.arcs}" if isinstance(value, Softening) else str(value)


every_setting = pytest.mark.parametrize(("teacher", "student", "how"), settings(), ids=name)
every_case = pytest.mark.parametrize(("teacher", "student"), HEAD_PAIRS)


def scores_of(teacher: str, student: str) -> tuple[Scores, Scores]:
    tags = 1 + 4 * SPAN_LABELS if teacher == "spans" else TAGS
    return draw(teacher, 0, tags=tags), draw(student, 1, tags=tags)


def expected(teacher: str, student: str, ours: Scores, theirs: Scores, how: Softening, row: int) -> float:
    """What a case is by definition: the divergence of two lists of structures, or of marginals added up from one."""
    n, p, q = LENGTHS[row], sentence(theirs, row), sentence(ours, row)
    t, factor = how.of_scores, how.of_scores**2
    local = how.temperature / t
    if (teacher, student) in (("crf", "tagger"), ("spans", "tagger")):
        marginals = tag_marginals(table(teacher, p, n, t), n, q["logits"].shape[-1])
        return factor * kl_of_rows(flattened(marginals, local), log_softmax(q["logits"][:n] / t, -1))
    if teacher in PARSERS and student == "tree-tagger":
        arcs = arc_marginals(table(teacher, p, n, t, how.arcs), n)
        relations = np.exp(log_softmax(p["relations"] / t, -1))
        rows = []
        for word in range(n):
            places = [(tag, head) for tag, head in enumerate(tag_heads(word)) if head is not None and head <= n]
            wanted = [RELATIONS.index(ARC_TAGS.relations[tag]) for tag, _ in places]
            target = np.array([arcs[word, h] * relations[word, h, r] for (_, h), r in zip(places, wanted, strict=True)])
            log_q = log_softmax(np.array([q["logits"][word, tag] for tag, _ in places]) / t)
            rows.append(kl_of_rows(flattened(target[None] / target.sum(), local), log_q[None]))
        return factor * float(np.mean(rows))
    found = table(teacher, p, n, t, how.arcs, local), table(student, q, n, t, how.arcs)
    return factor * divergence(*found) / n


def loss(
    teacher: str, student: str, ours: Scores, theirs: Scores, how: Softening, mask: Tensor | None = None
) -> Tensor:
    return HEAD_PAIRS[teacher, student].loss(build(teacher, theirs, mask), build(student, ours, mask), how)


@every_setting
def test_marginals_equal_a_sum_over_all_structures(teacher: str, student: str, how: Softening) -> None:
    theirs, ours = scores_of(teacher, student)
    found = loss(teacher, student, ours, theirs, how)
    by_hand = [expected(teacher, student, ours, theirs, how, row) for row in range(len(LENGTHS))]
    assert min(by_hand) >= 0
    torch.testing.assert_close(found, torch.tensor(by_hand, dtype=torch.float32), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("teacher", "student", "how"), [one for one in settings() if one[2].temperature == 2], ids=name
)
def test_marginals_gradient_equals_that_of_the_sum(teacher: str, student: str, how: Softening) -> None:
    theirs, ours = scores_of(teacher, student)
    leaves = {key: value.clone().requires_grad_() for key, value in ours.items()}
    loss(teacher, student, leaves, theirs, how).sum().backward()
    generator = torch.Generator().manual_seed(2)
    for _ in range(2):
        way = {key: torch.randn(value.shape, generator=generator) for key, value in ours.items()}
        along = sum(float((leaf.grad * way[key]).sum()) for key, leaf in leaves.items() if leaf.grad is not None)
        sides = []
        for step in (1e-5, -1e-5):
            moved = {key: value.double() + step * way[key] for key, value in ours.items()}
            by_hand = [expected(teacher, student, moved, theirs, how, row) for row in range(len(LENGTHS))]
            sides.append(sum(by_hand))
        assert along == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("teacher", "student", "how"), [one for one in settings() if one[0] == one[1] and one[2].kind == "global"], ids=name
)
def test_marginals_are_zero_for_equal_heads(teacher: str, student: str, how: Softening) -> None:
    scores = draw(teacher, 0)
    leaves = {key: value.clone().requires_grad_() for key, value in scores.items()}
    found = loss(teacher, student, leaves, scores, how)
    found.sum().backward()
    torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-6)
    for leaf in leaves.values():
        if leaf.grad is not None:
            torch.testing.assert_close(leaf.grad, torch.zeros_like(leaf.grad), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("teacher", "student"), [("crf", "tagger"), ("tagger", "crf")])
def test_chain_without_transitions_equals_a_tagger(teacher: str, student: str) -> None:
    tagger = draw("tagger", 0)
    nothing = {"transitions": torch.full((TAGS, TAGS), 0.7), "start": torch.zeros(TAGS), "end": torch.zeros(TAGS)}
    scores = {"tagger": tagger, "crf": {"emissions": tagger["logits"], **nothing}}
    leaves = {key: value.clone().requires_grad_() for key, value in scores[student].items()}
    found = loss(teacher, student, leaves, scores[teacher], Softening(2.0))
    found.sum().backward()
    torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-6)
    assert all(float(leaf.grad.abs().max()) < 2e-6 for leaf in leaves.values() if leaf.grad is not None)


@every_case
def test_marginals_ignore_padding_and_batch_order(teacher: str, student: str) -> None:
    how = Softening(2.0)
    theirs, ours = scores_of(teacher, student)
    found = loss(teacher, student, ours, theirs, how)
    wide = loss(teacher, student, padded(ours, 2), padded(theirs, 2, -9.0), how, mask_of(width=5))
    torch.testing.assert_close(wide, found, rtol=1e-5, atol=1e-6)
    order = [2, 0, 1]
    mixed = loss(teacher, student, permuted(ours, order), permuted(theirs, order), how, mask_of()[order])
    torch.testing.assert_close(mixed, found[order], rtol=1e-5, atol=1e-6)


@every_case
def test_marginals_have_no_gradient_in_padding(teacher: str, student: str) -> None:
    theirs, ours = scores_of(teacher, student)
    leaves = {key: value.requires_grad_() for key, value in padded(ours, 1).items()}
    mask = mask_of(width=4)
    loss(teacher, student, leaves, padded(theirs, 1, -9.0), Softening(2.0), mask).sum().backward()
    for key, leaf in leaves.items():
        if leaf.grad is not None and len(leaf) == len(mask) and leaf.dim() > 2:
            assert not leaf.grad[~mask].any(), key


@every_case
def test_marginals_are_finite_for_near_certain_teachers(teacher: str, student: str) -> None:
    tags = 1 + 4 * SPAN_LABELS if teacher == "spans" else TAGS
    theirs, ours = draw(teacher, 0, tags=tags, size=200.0), draw(student, 1, tags=tags, size=200.0)
    local = [Softening(4.0, "local")] if HEAD_PAIRS[teacher, student].local else []
    for how in (Softening(), Softening(3.0), *local):
        leaves = {key: value.clone().requires_grad_() for key, value in ours.items()}
        found = loss(teacher, student, leaves, theirs, how)
        found.sum().backward()
        assert found.isfinite().all()
        assert (found < 4000).all()
        assert all(leaf.grad.isfinite().all() for leaf in leaves.values() if leaf.grad is not None)


@pytest.mark.parametrize(
    ("teacher", "student"), [("spans", "crf"), ("tagger", "spans"), ("tree-tagger", "parser"), ("parser", "tagger")]
)
def test_marginals_refuse_unknown_pairs_of_heads(teacher: str, student: str) -> None:
    with pytest.raises(KselectError, match=f"a teacher's {teacher} and a student's {student}: .*crf -> tagger"):
        Marginals(teacher, student)


@pytest.mark.parametrize(
    ("teacher", "student", "arcs"),
    [("crf", "crf", "heads"), ("spans", "spans", "heads"), ("parser", "parser", TREES[0])],
)
def test_marginals_refuse_local_softening_of_global_models(teacher: str, student: str, arcs: str) -> None:
    with pytest.raises(KselectError, match=f"softening local .*student's {student} .*use softening global") as error:
        Marginals(teacher, student, 2.0, "local", arcs)
    assert error.value.setting == "softening"


def test_marginals_refuse_arcs_of_a_teacher_without_them() -> None:
    for teacher, student in (("crf", "tagger"), ("tree-tagger", "tree-tagger")):
        with pytest.raises(KselectError, match=f"arc_marginals projective needs a teacher's parser .*not {teacher}"):
            Marginals(teacher, student, arcs="projective")


def test_marginals_refuse_unknown_softenings_and_arcs() -> None:
    with pytest.raises(KselectError, match="Unknown softening 'locally': did you mean 'local'"):
        Marginals("crf", "tagger", 2.0, "locally")  # type: ignore[arg-type]
    with pytest.raises(KselectError, match="Unknown arc_marginals 'projectiv': did you mean 'projective'"):
        Marginals("parser", "parser", arcs="projectiv")
