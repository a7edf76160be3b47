"""The labels against model theory, by enumeration.

What follows is true in every small world where the premise is; what does not has a world that shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from random import Random

from kselect.tasks import load_task
from kselect.tasks.synthetic.entailment import pair
from kselect.tasks.synthetic.lexicon import ADJECTIVES, ADVERBS, NEGATION, NOUN_KINDS, VERB_KINDS

NOUN_KIND_OF = {noun: kind for kind, nouns in NOUN_KINDS.items() for noun in nouns}
VERB_KIND_OF = {verb: kind for kind, verbs in VERB_KINDS.items() for verb in verbs}

# An individual is the set of words that are true of it; with each noun or verb comes the word of its kind.
World = tuple[frozenset[str], ...]


def _holds(text: str, world: World) -> bool:
    quantifier, *rest = text.split()
    restrictor = [word for word in rest if word in ADJECTIVES or word in NOUN_KINDS or word in NOUN_KIND_OF]
    scope = [word for word in rest if word not in restrictor and word != NEGATION]
    does = [(NEGATION in rest) != all(word in one for word in scope) for one in world if set(restrictor) <= one]
    return {"every": all(does), "some": any(does), "no": not any(does)}[quantifier]


def _closed(words: frozenset[str]) -> bool:
    """Whether a hyponym comes with its hypernym."""
    kinds = {**NOUN_KIND_OF, **VERB_KIND_OF}
    return all(kinds[word] in words for word in words if word in kinds)


def _individuals(words: list[str]) -> list[frozenset[str]]:
    subsets = product((False, True), repeat=len(words))
    every = (frozenset(word for word, given in zip(words, subset, strict=True) if given) for subset in subsets)
    return [one for one in every if _closed(one)]


def _worlds(words: list[str]) -> Iterator[World]:
    """All worlds of one or two individuals; sentences with one quantifier need no more."""
    individuals = _individuals(words)
    yield from ((one,) for one in individuals)
    yield from product(individuals, repeat=2)


@cache
def follows(premise: str, hypothesis: str) -> bool:
    """Whether the hypothesis is true in every world in which the premise is."""
    content = {word for word in (*premise.split()[1:], *hypothesis.split()[1:]) if word != NEGATION}
    kinds = {**NOUN_KIND_OF, **VERB_KIND_OF}
    words = sorted(content | {kinds[word] for word in content if word in kinds})
    return all(_holds(hypothesis, world) for world in _worlds(words) if _holds(premise, world))


def test_the_check_on_pairs_judged_by_hand() -> None:
    assert follows("every animal runs", "every small dog moves")
    assert not follows("every dog runs", "every animal runs")
    assert follows("some small dog runs today", "some animal moves")
    assert not follows("some dog runs", "some cat runs")
    assert follows("no animal moves", "no dog runs quickly")
    assert follows("every dog never moves", "every small dog never runs")
    assert not follows("every dog never runs", "every dog never moves")
    assert follows("some dog never moves", "some animal never runs")


def test_every_label_is_what_enumeration_says() -> None:
    random = Random(1)
    for index in range(200):
        label = index % 2
        premise, hypothesis = pair(random, label)
        assert follows(premise, hypothesis) == (label == 0), (premise, hypothesis)


def test_dev_labels_are_clean() -> None:
    dev = load_task("synthetic-entailment").splits["dev"]
    assert dev.text_b is not None
    for row in range(0, len(dev), 10):
        assert follows(dev.text_a[row], dev.text_b[row]) == (dev.labels[row] == 0)


def test_words_and_adverbs_in_use() -> None:
    random = Random(2)
    seen = {word for _ in range(500) for text in pair(random, 0) for word in text.split()}
    assert {*ADJECTIVES, *ADVERBS, *NOUN_KINDS, *NOUN_KIND_OF, *VERB_KINDS, *VERB_KIND_OF, NEGATION} <= seen
