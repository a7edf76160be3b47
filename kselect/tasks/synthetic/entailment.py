"""Pairs of quantified sentences, the second of which follows from the first or does not.

S -> Quantifier Adj? Noun "never"? Verb Adverb?
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from kselect.tasks.synthetic.lexicon import ADJECTIVES, ADVERBS, NEGATION, NOUN_KINDS, QUANTIFIERS, VERB_KINDS

UP, DOWN = 1, -1
RESTRICTOR_DIRECTION = {"every": DOWN, "some": UP, "no": DOWN}
SCOPE_DIRECTION = {"every": UP, "some": UP, "no": DOWN}


@dataclass(frozen=True)
class Clause:
    """A quantified sentence by its parts."""

    quantifier: str
    adjective: str | None
    noun: str
    negated: bool
    verb: str
    adverb: str | None

    def text(self) -> str:
        """Return the sentence."""
        words = [
            self.quantifier,
            self.adjective,
            self.noun,
            NEGATION if self.negated else None,
            self.verb,
            self.adverb,
        ]
        return " ".join(word for word in words if word)


def _members(kinds: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {member: kind for kind, members in kinds.items() for member in members}


def _clause(random: Random) -> Clause:
    def word(kinds: dict[str, tuple[str, ...]]) -> str:
        kind = random.choice(tuple(kinds))
        return kind if random.random() < 0.4 else random.choice(kinds[kind])

    return Clause(
        quantifier=random.choice(QUANTIFIERS),
        adjective=random.choice(ADJECTIVES) if random.random() < 0.5 else None,
        noun=word(NOUN_KINDS),
        negated=random.random() < 0.3,
        verb=word(VERB_KINDS),
        adverb=random.choice(ADVERBS) if random.random() < 0.5 else None,
    )


def _vary(random: Random, word: str, kinds: dict[str, tuple[str, ...]]) -> tuple[str, int]:
    """Return another word of that kind, and whether it says less (UP), more (DOWN) or something else (0)."""
    if word in kinds:
        return random.choice(kinds[word]), DOWN
    kind = _members(kinds)[word]
    if random.random() < 0.85:
        return kind, UP
    return random.choice([sister for sister in kinds[kind] if sister != word]), 0


def _edit_restrictor(random: Random, clause: Clause) -> tuple[Clause, int]:
    if random.random() < 0.5:
        noun, direction = _vary(random, clause.noun, NOUN_KINDS)
        return replace(clause, noun=noun), direction
    if clause.adjective:
        return replace(clause, adjective=None), UP
    return replace(clause, adjective=random.choice(ADJECTIVES)), DOWN


def _edit_scope(random: Random, clause: Clause) -> tuple[Clause, int]:
    if random.random() < 0.5:
        verb, direction = _vary(random, clause.verb, VERB_KINDS)
        return replace(clause, verb=verb), direction
    if clause.adverb:
        return replace(clause, adverb=None), UP
    return replace(clause, adverb=random.choice(ADVERBS)), DOWN


def _pair(random: Random) -> tuple[Clause, Clause, bool]:
    premise = _clause(random)
    scope_direction = SCOPE_DIRECTION[premise.quantifier] * (-1 if premise.negated else 1)
    where = random.choice(("restrictor", "scope", "both"))
    hypothesis, follows = premise, True
    if where != "scope":
        hypothesis, direction = _edit_restrictor(random, hypothesis)
        follows = direction == RESTRICTOR_DIRECTION[premise.quantifier]
    if where != "restrictor":
        hypothesis, direction = _edit_scope(random, hypothesis)
        follows = follows and direction == scope_direction
    return premise, hypothesis, follows


def pair(random: Random, label: int) -> tuple[str, str]:
    """Return a premise and a hypothesis that follows from it (label 0, entailment) or does not (label 1)."""
    while True:
        premise, hypothesis, follows = _pair(random)
        if follows == (label == 0):
            return premise.text(), hypothesis.text()
