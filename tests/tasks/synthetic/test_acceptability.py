"""The generator against a recogniser written on its own, from the grammar in the module's docstring."""

from __future__ import annotations

import re
from random import Random

import pytest

from kselect.tasks import load_task
from kselect.tasks.synthetic.acceptability import sentence
from kselect.tasks.synthetic.lexicon import (
    ADJECTIVES,
    ADVERBS,
    DETERMINERS,
    INTRANSITIVE_VERBS,
    NOUNS,
    PREPOSITIONS,
    TRANSITIVE_VERBS,
)


def _letters(word: str) -> str:
    """One letter a word class: lower case singular, upper case plural; `t` is a transitive verb, `i` not."""
    if word in DETERMINERS[0] and word in DETERMINERS[1]:
        return "*"
    for number, case in ((0, str.lower), (1, str.upper)):
        for letter, words in (
            ("d", DETERMINERS[number]),
            ("n", [noun[number] for noun in NOUNS]),
            ("i", [verb[number] for verb in INTRANSITIVE_VERBS]),
            ("t", [verb[number] for verb in TRANSITIVE_VERBS]),
        ):
            if word in words:
                return case(letter)
    return "a" * (word in ADJECTIVES) + "v" * (word in ADVERBS) + "p" * (word in PREPOSITIONS) + "w" * (word == "which")


_CORE = {"s": "[d*]a?n", "p": "[D*]a?N"}
_ANY = f"(?:{_CORE['s']}|{_CORE['p']})"
_PHRASE = {"s": f"(?:iv?|t{_ANY})", "p": f"(?:Iv?|T{_ANY})"}
_OBJECT_RELATIVE = f"w(?:{_CORE['s']}t|{_CORE['p']}T)"
_SENTENCE = re.compile(
    "|".join(f"{_CORE[n]}(?:p{_ANY}|w{_PHRASE[n]}|{_OBJECT_RELATIVE})?{_PHRASE[n]}" for n in ("s", "p"))
)


def acceptable(text: str) -> bool:
    return _SENTENCE.fullmatch("".join(_letters(word) for word in text.split())) is not None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("the dogs near a cat sleep", 1),
        ("the dogs near a cat sleeps", 0),
        ("a poet which the birds see sings often", 1),
        ("a poet which the birds sees sings often", 0),
        ("many dog sleep", 0),
        ("dog the sleeps", 0),
    ],
)
def test_the_recogniser_on_sentences_judged_by_hand(text: str, label: int) -> None:
    assert acceptable(text) == bool(label)


def test_every_label_is_what_the_recogniser_says() -> None:
    random = Random(1)
    for index in range(5000):
        text, second = sentence(random, index % 2)
        assert second is None
        assert acceptable(text) == bool(index % 2), text


def test_dev_labels_are_clean() -> None:
    dev = load_task("synthetic-acceptability").splits["dev"]
    assert [int(acceptable(text)) for text in dev.text_a] == dev.labels


def test_sentences_are_short_and_attractors_occur() -> None:
    random = Random(2)
    texts = [sentence(random, 1)[0] for _ in range(2000)]
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 3
    assert max(lengths) <= 13
    # A noun of the other number right before the main verb, as in "the dogs near a cat sleep".
    tagged = ["".join(_letters(word) for word in text.split()) for text in texts]
    assert sum(bool(re.match(r"^[d*]a?n.*NI?[it]|^[D*]a?N.*n[IT]", tags)) for tags in tagged) > 100
