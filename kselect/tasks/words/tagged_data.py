"""What a tagging task learns from and is scored on: sentences in one scheme, and the tags of the training data."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kselect.errors import UserError, unknown
from kselect.tasks.words.schemes import PLAIN, SCHEMES, convert, detect, repair
from kselect.tasks.words.sentence import TaggedSentence
from kselect.tasks.words.tag_set import TagSet


@dataclass(frozen=True)
class TaggedData:
    """Sentences by part ("train", "dev", ...), all in the scheme of `tag_set`."""

    tag_set: TagSet
    """What training has. Another tag stays in the sentences that have it, where scores count it as missed."""
    file_scheme: str
    """The scheme that the data was read in."""
    parts: dict[str, list[TaggedSentence]]
    repaired: dict[str, list[str]]
    """Places of the impossible tags that were changed, by part."""
    unseen: dict[str, Counter[str]]
    """Tags that training does not have, and their number, by part."""


def tagged_data(
    parts: Mapping[str, Sequence[TaggedSentence]],
    *,
    scheme: str | None = None,
    model_scheme: str | None = None,
    strict: bool = False,
) -> TaggedData:
    """Bring sentences into one scheme, and say in a warning what was repaired, and what training does not have.

    Arguments:
        parts: sentences with tags; "train" is among them.
        scheme: of the data, one of `SCHEMES` or plain; by default it is told from train.
        model_scheme: that a model is to predict in; by default the data's.
        strict: refuse impossible tags rather than repair them.

    Raises `UserError` for an unknown scheme, for plain tags that are wanted in another scheme, and as `repair` does.
    """
    known = (*SCHEMES, PLAIN)
    for name in (scheme, model_scheme):
        if name is not None and name not in known:
            raise unknown("tagging scheme", name, known)
    file_scheme = scheme or detect(parts["train"])
    model_scheme = model_scheme or file_scheme
    if (file_scheme == PLAIN) != (model_scheme == PLAIN):
        raise UserError(
            f"Tags in the scheme {file_scheme} cannot be had in {model_scheme}: give --scheme and --file_scheme alike."
        )
    sound, repaired = {}, {}
    for part, sentences in parts.items():
        sound[part], repaired[part] = repair(sentences, file_scheme, strict=strict)
        if model_scheme != file_scheme:
            sound[part] = [sentence.tagged(convert(sentence.tags, model_scheme)) for sentence in sound[part]]
    tag_set = TagSet.of(sound["train"], model_scheme)
    data = TaggedData(
        tag_set, file_scheme, sound, repaired, {part: tag_set.unseen(sentences) for part, sentences in sound.items()}
    )
    _tell(data)
    return data


def _tell(data: TaggedData) -> None:
    log = logging.getLogger("kselect")
    for part, sentences in data.parts.items():
        source = sentences[0].origin.source if sentences else part
        if places := data.repaired[part]:
            log.warning(
                "%s has %d tag%s impossible in %s, %sat %s, now repaired.",
                source,
                len(places),
                "s" * (len(places) != 1),
                data.file_scheme.upper(),
                "the first " * (len(places) != 1),
                places[0],
            )
        if unseen := data.unseen[part]:
            log.warning(
                "%s has %d tag%s that train has none of, and no prediction gets right: %s.",
                source,
                unseen.total(),
                "s" * (unseen.total() != 1),
                ", ".join(sorted(unseen)),
            )
