"""Sentences as token ids: where words stand, how long ones are cut and put together again, what batches hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase, XLNetTokenizer

from kselect.errors import KselectError
from kselect.tasks.words import IGNORED, ParsedSentence, TaggedSentence, find_tree_error
from kselect.tasks.words.encoding import EncodedWords
from kselect.tasks.words.sentence import WordSplit
from kselect.tasks.words.tagging_task import WordTask
from tests.words import ORIGIN, byte_tokenizer, parsing_task, tagging_task, tokenizer, unigram_tokenizer

TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "wordpiece": tokenizer,
    "bytes": byte_tokenizer,
    "bytes with a space before": lambda: byte_tokenizer(add_prefix_space=True),
    "unigram": unigram_tokenizer,
}
every_tokenizer = pytest.mark.parametrize("kind", TOKENIZERS)
LENGTHS = (3, 4, 5, 7, 24)


def encoded(task: WordTask[Any], max_length: int, kind: str = "wordpiece") -> EncodedWords:
    words = task.encode(task.splits["train"], TOKENIZERS[kind](), max_length)
    assert isinstance(words, EncodedWords)
    return words


def text(tokens: str | list[str]) -> str:
    return "".join(token.removeprefix("##").lstrip("Ġ▁") for token in tokens)


@every_tokenizer
def test_tokens_are_those_of_the_text_as_it_stands(kind: str) -> None:
    made = TOKENIZERS[kind]()
    split = tagging_task().splits["train"]
    found = encoded(tagging_task(), 24, kind)
    for piece, ids in zip(found.pieces, found.input_ids, strict=True):
        if piece.last - piece.first == len(split.sentences[piece.sentence]):
            assert ids.tolist() == made(" ".join(split.sentences[piece.sentence].words))["input_ids"]


@every_tokenizer
@pytest.mark.parametrize("max_length", LENGTHS)
def test_no_word_is_lost_and_each_is_found_at_its_first_token(kind: str, max_length: int) -> None:
    made = TOKENIZERS[kind]()
    sentences = tagging_task().splits["train"].sentences
    found = encoded(tagging_task(), max_length, kind)
    seen: list[list[str]] = [[] for _ in sentences]
    rows = zip(found.pieces, found.input_ids, found.word_positions, found.labels, strict=True)
    for piece, ids, positions, labels in rows:
        assert len(ids) <= max_length
        words = sentences[piece.sentence].words[piece.first : piece.last]
        assert len(positions) == len(labels) == len(words) > 0
        assert (ids[0], ids[-1]) == (
            made.convert_tokens_to_ids(made.convert_ids_to_tokens([ids[0]])[0]),
            made("a")["input_ids"][-1],
        )
        bounds = [*positions.tolist(), len(ids) - 1]
        for i, word in enumerate(words):
            tokens = made.convert_ids_to_tokens(ids[bounds[i] : bounds[i + 1]].tolist())
            assert text(tokens)
            assert word.startswith(text(tokens))
            assert text(tokens) == word or len(tokens) == max_length - 2
        seen[piece.sentence] += words
        expected = tagging_task().tag_set.ids(sentences[piece.sentence].tags[piece.first : piece.last])
        assert labels.tolist() == expected
    assert [tuple(words) for words in seen] == [sentence.words for sentence in sentences]
    assert found.truncated == 0
    assert found.word_counts.tolist() == [len(positions) for positions in found.word_positions]


def test_pieces_are_about_as_long_as_each_other() -> None:
    sentence = TaggedSentence(("ab",) * 9, ("O",) * 9, ORIGIN)  # 18 tokens, of which 8 fit: three times 6
    found = tagging_task().encode(WordSplit([sentence]), tokenizer(), 10)
    assert [len(ids) - 2 for ids in found.input_ids] == [6, 6, 6]
    assert [(piece.first, piece.last) for piece in found.pieces] == [(0, 3), (3, 6), (6, 9)]


def test_words_of_which_the_tokenizer_makes_nothing_stand_as_unknown() -> None:
    words = ("ab", "\u200b", "\x00", "zz", "cd")
    found = tagging_task().encode(WordSplit([TaggedSentence(words, ("O",) * 5, ORIGIN)]), tokenizer(), 24)
    assert tokenizer().convert_ids_to_tokens(found.input_ids[0].tolist()) == [
        "[CLS]", "a", "##b", "[UNK]", "[UNK]", "[UNK]", "c", "##d", "[SEP]",
    ]  # fmt: skip
    assert found.word_positions[0].tolist() == [1, 3, 4, 5, 6]


def test_a_word_may_hold_a_space() -> None:
    found = tagging_task().encode(WordSplit([TaggedSentence(("a b", "c"), ("O", "O"), ORIGIN)]), tokenizer(), 24)
    assert found.word_positions[0].tolist() == [1, 3]


def test_a_length_without_room_and_a_tokenizer_that_will_not_do_are_refused() -> None:
    task = tagging_task()
    with pytest.raises(KselectError, match="max_length is 2: give at least 3 tokens"):
        encoded(task, 2)
    left = tokenizer()
    left.padding_side = "left"
    with pytest.raises(KselectError, match="does not pad on the right"):
        task.encode(task.splits["train"], left, 24)


def test_batch_has_words_and_tokens() -> None:
    task = parsing_task()
    found = encoded(task, 24)
    rows = [5, 0, 9, 3]
    batch = found.batch(rows)
    widest = int(found.word_counts[rows].max())
    assert batch["labels"].shape == (4, widest, 2)
    assert batch["word_positions"].shape == batch["word_mask"].shape == (4, widest)
    assert {name: value.dtype for name, value in batch.items()} == {
        "input_ids": torch.int64,
        "attention_mask": torch.int64,
        "labels": torch.int64,
        "word_positions": torch.int64,
        "word_mask": torch.bool,
    }
    for i, row in enumerate(rows):
        n = found.word_counts[row]
        assert batch["word_mask"][i].tolist() == [True] * n + [False] * (widest - n)
        assert batch["word_positions"][i].tolist() == [*found.word_positions[row], *[0] * (widest - n)]
        assert batch["labels"][i, :n].tolist() == found.labels[row].tolist()
        assert (batch["labels"][i, n:] == IGNORED).all()
        assert found.trimmed(batch["labels"][i].numpy(), row).tolist() == found.labels[row].tolist()
    alone = found.batch([rows[0]])
    assert alone["labels"].shape[1] == found.word_counts[rows[0]]


@pytest.mark.parametrize("max_length", LENGTHS)
def test_gold_tags_come_back_from_pieces(max_length: int) -> None:
    task = tagging_task()
    found = encoded(task, max_length)
    indices = np.random.default_rng(0).permutation(len(found))
    answers = [found.labels[int(index)] for index in indices]
    sentences = found.split.sentences
    assert task.tags(answers, found, indices) == {i: sentence.tags for i, sentence in enumerate(sentences)}
    assert task.score_rows(answers, found, indices)["score"] == 1.0


def test_a_sentence_that_lacks_a_piece_is_left_out() -> None:
    task = tagging_task()
    found = encoded(task, 4)
    cut = next(i for i, piece in enumerate(found.pieces) if piece.first > 0)
    indices = np.array([i for i in range(len(found)) if i != cut])
    tags = task.tags([found.labels[int(index)] for index in indices], found, indices)
    assert set(range(len(found.split))) - set(tags) == {found.pieces[cut].sentence}


@pytest.mark.parametrize("max_length", LENGTHS)
def test_gold_arcs_come_back_from_pieces(max_length: int) -> None:
    task = parsing_task()
    found = encoded(task, max_length)
    for piece, labels in zip(found.pieces, found.labels, strict=True):
        sentence = found.split.sentences[piece.sentence]
        for (head, relation), word in zip(labels.tolist(), range(piece.first, piece.last), strict=True):
            gold = sentence.heads[word]
            inside = gold == 0 or piece.first < gold <= piece.last
            assert head == (IGNORED if not inside else gold - piece.first if gold else 0)
            assert relation == (task.labels.index(sentence.relations[word]) if inside else IGNORED)
    if max_length == 24:
        indices = np.arange(len(found))
        trees = task.answers(list(found.labels), found, indices)
        assert trees == {i: (one.heads, one.relations) for i, one in enumerate(found.split.sentences)}
        assert task.score_rows(list(found.labels), found, indices)["score"] == 1.0


@pytest.mark.parametrize("max_length", LENGTHS)
def test_pieces_that_are_trees_make_one_tree(max_length: int) -> None:
    """The root of a later piece hangs from the first's, as root no more, and every other arc stays what it was."""
    task = parsing_task()
    found = encoded(task, max_length)
    rng = np.random.default_rng(0)
    answers = []
    for count in found.word_counts:
        root = int(rng.integers(count))
        heads = [0 if i == root else root + 1 for i in range(count)]
        answers.append(np.array([[head, rng.integers(3)] for head in heads]))
    trees = task.answers(answers, found, np.arange(len(found)))
    assert trees.keys() == set(range(len(found.split)))
    tops = {
        found.pieces[i].sentence: int(np.flatnonzero(a[:, 0] == 0)[0]) + 1
        for i, a in reversed(list(enumerate(answers)))
    }
    for number, (tree, relations) in trees.items():
        assert find_tree_error(tree) is None
        assert tree[tops[number] - 1] == 0
        for piece, answer in zip(found.pieces, answers, strict=True):
            if piece.sentence == number:
                for word, (head, relation) in enumerate(answer.tolist()):
                    top = 0 if piece.first == 0 else tops[number]
                    assert tree[piece.first + word] == (head + piece.first if head else top)
                    joined = piece.first > 0 and head == 0 and task.labels[relation] == "root"
                    assert relations[piece.first + word] == ("parataxis" if joined else task.labels[relation])


def test_sentences_without_labels_have_unknown_tags_and_stand_ins_for_heads() -> None:
    bare = WordSplit([TaggedSentence(("ab", "cd"), (), ORIGIN)])
    assert tagging_task().encode(bare, tokenizer(), 24).labels[0].tolist() == [IGNORED, IGNORED]
    unparsed = WordSplit([ParsedSentence(("ab", "cd"), ("X", "X"), (), (), ORIGIN)])
    assert parsing_task().encode(unparsed, tokenizer(), 24).labels[0].tolist() == [[0, 0], [0, 0]]


def test_relations_that_train_does_not_have_are_not_learned() -> None:
    one = ParsedSentence(("ab", "cd"), ("X", "X"), (0, 1), ("root", "strange"), ORIGIN)
    assert parsing_task().encode(WordSplit([one]), tokenizer(), 24).labels[0].tolist() == [[0, 2], [1, IGNORED]]


def test_xlnet_is_refused() -> None:
    made = XLNetTokenizer(vocab=[("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("<pad>", 0.0), ("▁a", -1.0)])
    with pytest.raises(KselectError, match="does not pad on the right"):
        tagging_task().encode(tagging_task().splits["train"], made, 24)
