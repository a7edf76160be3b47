"""Sentences of several splits in one tagging scheme, with warnings of unusual tags."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from kselect.errors import KselectError, unknown
from kselect.logging import get_logger
from kselect.tasks.labels import first_variants, spelling
from kselect.tasks.words.schemes import (
    FILE_SCHEMES,
    MODEL_SCHEMES,
    OUTSIDE,
    PLAIN,
    SCHEMES,
    TagSet,
    convert,
    detect,
    repair,
)
from kselect.tasks.words.sentence import TaggedSentence

SPAN_LIKE = {
    re.compile(r"([BIESLUMW])[_:/. ](.+)"): r"\1-\2",
    re.compile(r"([biesluMW])[-_:/. ](.+)", re.IGNORECASE): r"\1-\2",
    re.compile(r"(.+)[-_:/.]([BIESLUMW])", re.IGNORECASE): r"\2-\1",
}
"""Usual ways of writing tags of spans that are not read as such, and how to write them."""


@dataclass(frozen=True)
class TaggedData:
    """Sentences by split ("train", "dev", ...), all in the scheme of `tag_set`.

    Attributes:
        tag_set: tags of train. Others stay in the sentences that have them, and count as missed.
        file_scheme: the scheme that the data was read in.
        parts: the sentences of each split.
        repaired: places of the impossible tags that were changed, by split.
        unseen: tags that train does not have, and their number, by split.
    """

    tag_set: TagSet
    file_scheme: str
    parts: dict[str, list[TaggedSentence]]
    repaired: dict[str, list[str]]
    unseen: dict[str, Counter[str]]


def tagged_data(
    parts: Mapping[str, Sequence[TaggedSentence]],
    *,
    scheme: str | None = None,
    model_scheme: str | None = None,
    strict: bool = False,
) -> TaggedData:
    """Convert sentences to one scheme; warn of tags that were repaired, and of those that train does not have.

    Args:
        parts: sentences with tags; "train" is among them.
        scheme: of the data, one of `FILE_SCHEMES` or plain; by default it is inferred from train.
        model_scheme: that a model is to predict in, one of `SCHEMES` or plain; by default the data's, if it is one.
        strict: refuse impossible tags rather than repair them.

    Raises:
        KselectError: an unknown scheme, plain tags that are wanted in another scheme, two spellings of one tag, or an
            impossible tag if `strict`.
    """
    for name, known in ((scheme, FILE_SCHEMES), (model_scheme, SCHEMES)):
        if name not in (None, PLAIN, *known):
            raise unknown("tagging scheme", str(name), (*known, PLAIN))
    file_scheme = scheme or detect(parts["train"])
    model_scheme = model_scheme or MODEL_SCHEMES.get(file_scheme, file_scheme)
    if (file_scheme == PLAIN) != (model_scheme == PLAIN):
        raise KselectError(
            f"Tags in the scheme {file_scheme} cannot be converted to {model_scheme}: give the same as scheme and as "
            "file_scheme.",
            setting="scheme",
        )
    check_spellings(parts, ignore_case=file_scheme != PLAIN)
    if scheme is None and file_scheme == PLAIN:
        _warn_of_span_like(parts["train"])
    sound: dict[str, list[TaggedSentence]] = {}
    repaired: dict[str, list[str]] = {}
    for part, sentences in parts.items():
        sound[part], repaired[part] = repair(sentences, file_scheme, strict=strict)
        if model_scheme != file_scheme:
            sound[part] = [sentence.tagged(convert(sentence.tags, model_scheme)) for sentence in sound[part]]
    tag_set = TagSet.of(sound["train"], model_scheme)
    unseen = {part: tag_set.unseen(sentences) for part, sentences in sound.items()}
    data = TaggedData(tag_set, file_scheme, sound, repaired, unseen)
    _warn_of_repaired(data)
    _warn_of_unseen(data)
    return data


def check_spellings(parts: Mapping[str, Sequence[TaggedSentence]], ignore_case: bool = True) -> None:
    """Refuse tags that are two spellings of one; such that differ in case alone are refused if `ignore_case`."""
    places: dict[str, str] = {}
    for sentences in parts.values():
        for sentence in sentences:
            for i, tag in enumerate(sentence.tags):
                if tag not in places:
                    places[tag] = sentence.origin.place(i)
    if variants := first_variants(places, partial(spelling, ignore_case=ignore_case)):
        _, tag, other = variants
        raise KselectError(f"{places[tag]} has the tag {tag!r}, and {places[other]} {other!r}: write them alike.")


def _warn_of_span_like(train: Sequence[TaggedSentence]) -> None:
    """Warn of plain tags that look like those of spans."""
    counts = Counter(tag for sentence in train for tag in sentence.tags)
    names = [tag for tag in counts if tag.upper() != OUTSIDE]
    source, most_frequent = train[0].origin.source, max(counts, key=lambda tag: counts[tag])
    pattern = next((known for known in SPAN_LIKE if names and all(map(known.fullmatch, names))), None)
    if pattern is not None:
        read = re.sub(pattern, SPAN_LIKE[pattern], names[0])
        wanted = f"write '{read[0].upper()}{read[1:]}' in place of '{names[0]}', and {OUTSIDE} outside of spans"
    elif most_frequent == OUTSIDE and len(counts) > 1:
        wanted = f"write B-{names[0]} on a span's first word, and I-{names[0]} on others, in place of '{names[0]}'"
    else:
        return
    get_logger().warning(
        "%s has tags such as '%s', read as plain tags and scored by accuracy: to have spans scored by F1, %s.",
        source,
        names[0],
        wanted,
    )


def _warn_of_repaired(data: TaggedData) -> None:
    for part, places in data.repaired.items():
        if places:
            get_logger().warning(
                "%s has %d tag%s impossible in %s, %sat %s, now repaired.",
                data.parts[part][0].origin.source,
                len(places),
                "s" * (len(places) != 1),
                data.file_scheme.upper(),
                "the first " * (len(places) != 1),
                places[0],
            )


def _warn_of_unseen(data: TaggedData) -> None:
    for part, unseen in data.unseen.items():
        if unseen:
            get_logger().warning(
                "%s has %d tag%s that train does not have and no prediction gets right: %s.",
                data.parts[part][0].origin.source,
                unseen.total(),
                "s" * (unseen.total() != 1),
                ", ".join(sorted(unseen)),
            )
