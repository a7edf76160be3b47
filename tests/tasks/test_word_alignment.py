"""The words that a tokenizer cuts texts into, and where each stands in the input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from kselect.errors import KselectError
from kselect.tasks.encoding import encode
from kselect.tasks.splits import Split
from kselect.tasks.word_alignment import STAND_IN, words_of_texts
from tests.words import LETTERS, byte_tokenizer, tokenizer, unigram_tokenizer

TEXTS = ["ab cd, efg", "h", "abcd  ghh b ef"]
OTHERS = ["ef", "", "b h cd"]
LONGEST = 24
TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "wordpiece": tokenizer,
    "bytes": byte_tokenizer,
    "unigram": unigram_tokenizer,
}
every_tokenizer = pytest.mark.parametrize("kind", TOKENIZERS)


def pairs() -> Split:
    return Split(TEXTS, OTHERS, [0] * len(TEXTS))


@every_tokenizer
def test_the_words_of_a_pair_are_those_of_two_sentences(kind: str) -> None:
    found = words_of_texts(pairs(), TOKENIZERS[kind](), LONGEST)
    first = {"wordpiece": ("ab", "cd", ",", "efg"), "bytes": ("ab", "cd", "efg"), "unigram": ("ab", "cd,", "efg")}
    assert found.sentences == [first[kind], ("ef",), ("h",), ("abcd", "ghh", "b", "ef"), ("b", "h", "cd")]
    assert found.examples.tolist() == [0, 0, 1, 2, 2]
    rows, examples = found.of(np.array([2, 0]))
    assert rows.tolist() == [3, 4, 0, 1]
    assert examples.tolist() == [0, 0, 1, 1]


@every_tokenizer
@pytest.mark.parametrize("max_length", [8, LONGEST])
def test_a_word_is_where_its_first_token_is(kind: str, max_length: int) -> None:
    made = TOKENIZERS[kind]()
    encoded, found = encode(pairs(), made, max_length), words_of_texts(pairs(), made, max_length)
    for words, example, positions in zip(found.sentences, found.examples, found.positions, strict=True):
        tokens = made.convert_ids_to_tokens(encoded.input_ids[example].tolist())
        bare = [token.removeprefix("##").lstrip("Ġ▁") for token in tokens]
        for word, position in zip(words, positions, strict=True):
            rest = "".join(bare[position:]).lstrip()
            assert rest.startswith((word[0], made.unk_token)) or tokens[position] in ("▁", "Ġ")
            assert not tokens[position].startswith("##")


def test_words_beyond_the_input_are_none() -> None:
    found = words_of_texts(pairs(), tokenizer(), 8)
    assert found.sentences[0] == ("ab", "cd")  # three tokens are special, and the longer text is cut, within a word
    assert [len(words) for words in found.sentences] == [2, 1, 1, 1, 2]


def test_a_text_without_words_has_one_that_stands_for_it() -> None:
    found = words_of_texts(Split(["ab", "", " "], None, [0, 0, 0]), tokenizer(), LONGEST)
    assert found.sentences == [("ab",), (STAND_IN,), (STAND_IN,)]
    assert [positions.tolist() for positions in found.positions] == [[1], [0], [0]]
    assert found.examples.tolist() == [0, 1, 2]


def test_tokenizers_that_do_not_map_tokens_to_words_are_refused() -> None:
    from tokenizers import Tokenizer, models

    whole = Tokenizer(models.Unigram([("<unk>", 0.0), (" ", -1.0), *((letter, -1.0) for letter in LETTERS)], unk_id=0))
    one = PreTrainedTokenizerFast(tokenizer_object=whole, unk_token="<unk>", pad_token="<unk>")
    with pytest.raises(KselectError, match="does not split texts into words: give a model with another tokenizer"):
        words_of_texts(Split(["ab cd"], None, [0]), one, LONGEST)
