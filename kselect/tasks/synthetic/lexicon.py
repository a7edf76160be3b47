"""The words of the synthetic grammar, and the relations among them that its labels rest on."""

from __future__ import annotations

NOUNS: tuple[tuple[str, str], ...] = (
    ("dog", "dogs"), ("cat", "cats"), ("bird", "birds"), ("horse", "horses"),
    ("doctor", "doctors"), ("poet", "poets"),
)  # fmt: skip
"""Nouns as (singular, plural)."""
INTRANSITIVE_VERBS: tuple[tuple[str, str], ...] = (
    ("sleeps", "sleep"), ("sings", "sing"), ("waits", "wait"), ("smiles", "smile"),
)  # fmt: skip
TRANSITIVE_VERBS: tuple[tuple[str, str], ...] = (
    ("sees", "see"), ("likes", "like"), ("follows", "follow"), ("helps", "help"),
)  # fmt: skip
"""Verbs as (singular, plural)."""
DETERMINERS: tuple[tuple[str, ...], tuple[str, ...]] = (
    ("a", "this", "the"),
    ("many", "these", "the"),
)
"""Determiners of singular and of plural nouns."""
ADJECTIVES: tuple[str, ...] = ("small", "old", "happy", "quiet", "young", "clever")
ADVERBS: tuple[str, ...] = ("often", "quickly", "gladly", "today")
PREPOSITIONS: tuple[str, ...] = ("near", "behind", "with", "beside")
RELATIVIZER = "which"

NOUN_KINDS: dict[str, tuple[str, ...]] = {
    "animal": ("dog", "cat", "bird", "horse"),
    "person": ("child", "doctor", "pilot", "poet"),
}
"""Hypernym to hyponyms."""
VERB_KINDS: dict[str, tuple[str, ...]] = {
    "moves": ("runs", "walks", "swims", "jumps"),
    "speaks": ("shouts", "whispers", "sings", "argues"),
}
QUANTIFIERS: tuple[str, ...] = ("every", "some", "no")
NEGATION = "never"


def vocabulary() -> tuple[str, ...]:
    """Return every word that a synthetic sentence can hold, in a fixed order, each once."""
    words = [form for forms in (*NOUNS, *INTRANSITIVE_VERBS, *TRANSITIVE_VERBS, *DETERMINERS) for form in forms]
    words += [*ADJECTIVES, *ADVERBS, *PREPOSITIONS, RELATIVIZER]
    for kinds in (NOUN_KINDS, VERB_KINDS):
        for kind, members in kinds.items():
            words += [kind, *members]
    words += [*QUANTIFIERS, NEGATION]
    return tuple(dict.fromkeys(words))
