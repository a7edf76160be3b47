"""A parser's trees against those latent in attention, tree by tree."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kselect.knowledge.base import Batch, ParsedSentences
from kselect.knowledge.trees import FLOOR, ParserTrees
from kselect.models.heads.parser import possible_heads
from kselect.models.outputs import ModelOutputs
from tests.structure.enumeration import trees

HEADS, TOKENS, SIZE = 2, 12, 3
POSITIONS = ([1, 3, 4], [7, 9], [2, 3, 5, 8], [0])
"""Of the words of four sentences: two of the first text, one of the second and of the third, which has but one word."""
EXAMPLES = (0, 0, 1, 2)
LAYER = 2
KNOWLEDGE = ParserTrees(LAYER)
LABELS = torch.tensor([0, 1, 0])


def parsed(seed: int = 0, wider: int = 0) -> ParsedSentences:
    """Probabilities of heads, with random ones in padding."""
    lengths = torch.tensor([len(places) for places in POSITIONS])
    width = int(lengths.max()) + wider
    mask = torch.arange(width) < lengths[:, None]
    positions = torch.zeros(len(POSITIONS), width, dtype=torch.long)
    for row, places in enumerate(POSITIONS):
        positions[row, : len(places)] = torch.tensor(places)
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(len(POSITIONS), int(lengths.max()), int(lengths.max()) + 1, generator=generator)
    scores = torch.nn.functional.pad(scores, (0, wider, 0, wider), value=3.0)
    heads = scores.masked_fill(~possible_heads(mask), -torch.inf).softmax(-1)
    return ParsedSentences(torch.tensor(EXAMPLES), positions, mask, heads)


def attention(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    queries, keys = (1.5 * torch.randn(3, HEADS, TOKENS, SIZE, generator=generator) for _ in range(2))
    return queries, keys


def outputs(queries: Tensor, keys: Tensor) -> ModelOutputs:
    mask = torch.ones(3, TOKENS, dtype=torch.long)
    return ModelOutputs(torch.zeros(3, 2), mask, queries={LAYER: queries}, keys={LAYER: keys})


def by_hand(queries: Tensor, keys: Tensor, given: ParsedSentences) -> Tensor:
    """The divergence of each example, summed over all trees of each sentence."""
    total, words = torch.zeros(3, dtype=torch.float64), torch.zeros(3)
    for row, (example, places) in enumerate(zip(EXAMPLES, POSITIONS, strict=True)):
        n = len(places)
        q, k = (x[example, :, places].double() for x in (queries, keys))
        scores = torch.einsum("hid,hjd->ij", q, k) / (HEADS * SIZE**0.5)
        share = scores.softmax(-1) + FLOOR
        student = torch.cat([share.diagonal()[:, None], share], 1).log()
        teacher = (given.heads[row, :n, : n + 1].double() + FLOOR).log()
        every = torch.tensor(trees(n))
        log_p, log_q = (table[torch.arange(n), every].sum(1).log_softmax(0) for table in (teacher, student))
        total = total.index_add(0, torch.tensor([example]), (log_p.exp() * (log_p - log_q)).sum()[None])
        words[example] += n
    return total / words


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_parser_trees_equal_a_sum_over_all_trees(seed: int) -> None:
    given = parsed(seed)
    ours, theirs = ([x.requires_grad_() for x in attention(seed)] for _ in range(2))
    loss = KNOWLEDGE.loss(outputs(*ours), None, Batch(LABELS, parsed=given))
    exact = by_hand(theirs[0], theirs[1], given)
    assert loss.shape == (3,)
    torch.testing.assert_close(loss.double(), exact, rtol=1e-5, atol=1e-6)
    loss.sum().backward()
    exact.sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_parser_trees_ignore_padding_and_special_tokens() -> None:
    queries, keys = attention(1)
    loss = KNOWLEDGE.loss(outputs(queries, keys), None, Batch(LABELS, parsed=parsed()))
    torch.testing.assert_close(
        KNOWLEDGE.loss(outputs(queries, keys), None, Batch(LABELS, parsed=parsed(wider=2))), loss
    )
    for example in range(3):
        read = {place for row, places in enumerate(POSITIONS) if EXAMPLES[row] == example for place in places}
        rest = [token for token in range(TOKENS) if token not in read]
        queries[example, :, rest], keys[example, :, rest] = 9.0, -9.0
    torch.testing.assert_close(KNOWLEDGE.loss(outputs(queries, keys), None, Batch(LABELS, parsed=parsed())), loss)


def test_parser_trees_keep_sentences_separate() -> None:
    """What the first text's second sentence is like moves its own tree alone."""
    queries, keys = attention(1)
    given = parsed()
    before = by_sentence(queries, keys, given)
    keys[0, :, POSITIONS[1][0]] += 5.0
    after = by_sentence(queries, keys, given)
    assert (before - after).abs().gt(1e-4).tolist() == [False, True, False, False]


def by_sentence(queries: Tensor, keys: Tensor, given: ParsedSentences) -> Tensor:
    rows = [ParsedSentences(*(x[[row]] for x in vars(given).values())) for row in range(len(EXAMPLES))]
    losses = [KNOWLEDGE.loss(outputs(queries, keys), None, Batch(LABELS, parsed=row)) for row in rows]
    return torch.stack([loss[EXAMPLES[row]] for row, loss in enumerate(losses)])


def test_parser_trees_are_zero_for_one_word() -> None:
    loss = KNOWLEDGE.loss(outputs(*attention(4)), None, Batch(LABELS, parsed=parsed(4)))
    assert loss[2] == 0
    assert (loss[:2] > 0).all()
