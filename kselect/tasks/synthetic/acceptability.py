"""Sentences that obey a small grammar of English, and sentences that break it in exactly one place.

    S    -> NP_n VP_n
    NP_n -> Core_n | Core_n Prep Core | Core_n which VP_n | Core_n which Core_m Transitive_m
    Core_n -> Det_n Adj? Noun_n
    VP_n -> Intransitive_n Adverb? | Transitive_n Core

with n, m singular or plural, drawn independently, so that nouns between a subject and its verb (attractors)
agree with that verb only by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from kselect.tasks.synthetic.lexicon import (
    ADJECTIVES,
    ADVERBS,
    DETERMINERS,
    INTRANSITIVE_VERBS,
    NOUNS,
    PREPOSITIONS,
    RELATIVIZER,
    TRANSITIVE_VERBS,
)

SHAPES = {"bare": 0.4, "preposition": 0.3, "subject relative": 0.15, "object relative": 0.15}
"""How often a subject takes each shape: bare ones are easy, and teach what the others build on."""
FAULTS = {"verb": 0.6, "determiner": 0.2, "order": 0.2}
"""How often a broken sentence has each fault, where it offers a place for it."""


@dataclass(frozen=True)
class Word:
    """A word in its place: its part of speech, and its other number where it has one."""

    form: str
    kind: str
    other: str | None = None


def _core(random: Random, number: int) -> list[Word]:
    determiner = random.choice(DETERMINERS[number])
    noun = random.choice(NOUNS)
    other = None
    if determiner not in DETERMINERS[1 - number]:
        other = DETERMINERS[1 - number][DETERMINERS[number].index(determiner)]
    words = [Word(determiner, "determiner", other)]
    if random.random() < 0.4:
        words.append(Word(random.choice(ADJECTIVES), "adjective"))
    return [*words, Word(noun[number], "noun")]


def _verb(random: Random, verbs: tuple[tuple[str, str], ...], number: int) -> Word:
    forms = random.choice(verbs)
    return Word(forms[number], "verb", forms[1 - number])


def _verb_phrase(random: Random, number: int) -> list[Word]:
    if random.random() < 0.8:
        adverb = [Word(random.choice(ADVERBS), "adverb")] if random.random() < 0.4 else []
        return [_verb(random, INTRANSITIVE_VERBS, number), *adverb]
    return [_verb(random, TRANSITIVE_VERBS, number), *_core(random, random.randrange(2))]


def _noun_phrase(random: Random, number: int) -> list[Word]:
    core = _core(random, number)
    shape = random.choices(tuple(SHAPES), weights=tuple(SHAPES.values()))[0]
    other = random.randrange(2)
    if shape == "preposition":
        return [*core, Word(random.choice(PREPOSITIONS), "preposition"), *_core(random, other)]
    if shape == "subject relative":
        return [*core, Word(RELATIVIZER, "relativizer"), *_verb_phrase(random, number)]
    if shape == "object relative":
        relative = [*_core(random, other), _verb(random, TRANSITIVE_VERBS, other)]
        return [*core, Word(RELATIVIZER, "relativizer"), *relative]
    return core


def _break(random: Random, words: list[Word]) -> list[Word]:
    """Return the sentence with one fault: a verb or determiner of the wrong number, or two words swapped."""
    faults = {
        "verb": [i for i, word in enumerate(words) if word.kind == "verb"],
        "determiner": [i for i, word in enumerate(words) if word.kind == "determiner" and word.other],
        "order": [i for i, word in enumerate(words) if word.kind == "determiner"],
    }
    fault = random.choices(tuple(FAULTS), weights=tuple(FAULTS.values()))[0]
    if not faults[fault]:
        fault = "verb"
    place = random.choice(faults[fault])
    broken = list(words)
    if fault == "order":
        broken[place], broken[place + 1] = broken[place + 1], broken[place]
    else:
        broken[place] = Word(str(words[place].other), words[place].kind)
    return broken


def sentence(random: Random, label: int) -> tuple[str, None]:
    """Return a sentence that obeys the grammar (label 1) or breaks it in one place (label 0); no second."""
    number = random.randrange(2)
    words = [*_noun_phrase(random, number), *_verb_phrase(random, number)]
    if not label:
        words = _break(random, words)
    return " ".join(word.form for word in words), None
