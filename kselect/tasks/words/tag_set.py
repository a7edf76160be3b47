"""The tags that a model can give: those of the training data, in the order of their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from kselect.tasks.words.schemes import OUTSIDE, PLAIN, SCHEMES, TAG, read_spans
from kselect.tasks.words.sentence import TaggedSentence

IGNORED = -100
"""Id of a tag that training does not have; what PyTorch's cross-entropy leaves out."""


@dataclass(frozen=True)
class TagSet:
    """Tags in the order of their ids: sorted if plain; otherwise O, then every letter of each label in turn."""

    scheme: str
    """One of `SCHEMES`, or plain."""
    labels: tuple[str, ...]
    """Labels of spans, sorted; or the plain tags themselves."""

    @classmethod
    def of(cls, train: Iterable[TaggedSentence], scheme: str) -> TagSet:
        """Collect what training has; a label that it has comes with all of its tags in the scheme, met or not."""
        met = {sentence.tags for sentence in train}
        labels = {tag for tags in met for tag in (tags if scheme == PLAIN else (s.label for s in read_spans(tags)))}
        return cls(scheme, tuple(sorted(labels)))

    @classmethod
    def named(cls, tags: Sequence[str], scheme: str | None = None) -> TagSet:
        """Return the set that has these tags, or as many as a scheme has of their labels.

        Without `scheme` it is told from the letters, IOB1 being taken for IOB2, which has the same.
        """
        parts = [TAG.fullmatch(tag) for tag in tags if tag != OUTSIDE]
        if scheme is None:
            letters = {part[1] for part in parts if part}
            of_letters = "bilou" if letters & set("LU") else "bioes" if letters & set("ES") else "iob2"
            scheme = of_letters if parts and all(parts) else PLAIN
        labels = {part[2] or "" for part in parts if part}
        return cls(scheme, tuple(sorted(tags if scheme == PLAIN else labels)))

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """All tags, `[K]`."""
        if self.scheme == PLAIN:
            return self.labels
        used = set(SCHEMES[self.scheme]) | ({"B"} if self.scheme == "iob1" else set())
        letters = [letter for letter in "BIESLU" if letter in used]
        return (OUTSIDE, *(f"{x}-{label}" if label else x for label in self.labels for x in letters))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {tag: i for i, tag in enumerate(self.tags)}

    def __len__(self) -> int:
        """Number of tags, K."""
        return len(self.tags)

    def ids(self, tags: Iterable[str]) -> list[int]:
        """Return ids, `[n]`; `IGNORED` for what training does not have."""
        return [self._ids.get(tag, IGNORED) for tag in tags]

    def names(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Return the tags of ids, `[n]`; raises `ValueError` for an id that is none."""
        names = tuple(ids)
        if not all(0 <= i < len(self) for i in names):
            raise ValueError(f"Ids of tags are 0 to {len(self) - 1}, not {names}.")
        return tuple(self.tags[i] for i in names)

    def unseen(self, sentences: Sequence[TaggedSentence]) -> Counter[str]:
        """Count the tags that no prediction can get right, training having none like them."""
        return Counter(tag for sentence in sentences for tag in sentence.tags if tag not in self._ids)
