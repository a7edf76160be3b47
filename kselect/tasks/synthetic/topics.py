"""Texts on topics that are grouped in fields, with adjustable similarity of classes and difficulty of examples.

Some words belong to one topic, some to a field of topics, the others to none; a text has a fixed number of each, in any
order. The more words topics share with their field, the more similar they are; the fewer words belong to the topic, the
harder the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from string import ascii_lowercase

_LETTERS = ascii_lowercase.partition("w")[0]


@dataclass(frozen=True)
class Topics:
    """Classes in a hierarchy of two levels, as in the synthetic setting of Tang et al. (2020, arXiv 2002.03532).

    A topic is called `a1`, the first of the first field; its words are `a1w0`, ..., those of its field `aw0`, ..., and
    those of none `w0`, .... A word of a topic identifies it; a word of a field leaves all of its topics equally likely.
    """

    fields: int = 4
    """At most 22, as a word's `w` begins where the name of its topic or field ends."""
    per_field: int = 3
    """Topics of each field."""
    own: tuple[int, ...] = (0, 1, 2, 3)
    """Possible numbers of words of the topic in a text, drawn for each text independently of its topic."""
    shared: tuple[int, ...] = (0, 1, 2, 3)
    """Likewise for words of its field."""
    common: int = 6
    """Likewise for words of no field."""
    own_words: int = 6
    """Vocabulary of a topic."""
    field_words: int = 12
    """Vocabulary of a field."""
    common_words: int = 24
    """Vocabulary of words of no field."""

    def __post_init__(self) -> None:
        if not 1 <= self.fields <= len(_LETTERS):
            raise ValueError(f"There are {self.fields} fields: give 1 to {len(_LETTERS)}.")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the topics, field by field."""
        letters = _LETTERS[: self.fields]
        return tuple(f"{letter}{number}" for letter in letters for number in range(1, self.per_field + 1))

    def vocabulary(self) -> tuple[str, ...]:
        """Return every word that a text can hold, in a fixed order."""
        own = [word for topic in self.labels for word in _words(topic, self.own_words)]
        shared = [word for letter in _LETTERS[: self.fields] for word in _words(letter, self.field_words)]
        return (*own, *shared, *_words("", self.common_words))

    def text(self, random: Random, label: int) -> tuple[str, None]:
        """Return a text on the topic `label`; no second."""
        topic = self.labels[label]
        words = random.choices(_words(topic, self.own_words), k=random.choice(self.own))
        words += random.choices(_words(topic[0], self.field_words), k=random.choice(self.shared))
        words += random.choices(_words("", self.common_words), k=self.common)
        random.shuffle(words)
        return " ".join(words), None


def _words(of: str, count: int) -> list[str]:
    return [f"{of}w{number}" for number in range(count)]
