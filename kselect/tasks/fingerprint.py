"""Fingerprints: which texts a model was trained on, kept as hashes next to the model, and whether a split has some."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kselect.errors import KselectError, first_line
from kselect.tasks.splits import OVERLAP, Examples, is_held_out

FILE = "training_texts.npy"
"""The fingerprint in a model's folder: NumPy's format, little-endian uint64, ascending, without duplicates, `[n]`."""
HASH_BYTES = 8
Fingerprint = NDArray[np.uint64]
"""Hashes of texts, ascending, `[n]`."""


def text_hashes(keys: Iterable[Hashable]) -> NDArray[np.uint64]:
    """Return the hash of each text, pair of texts or sequence of words, `[n]`, in their order.

    It is the first 8 bytes, in little-endian order, of the SHA-256 of the text as JSON in UTF-8: a string, or an array
    of two strings or of all words.
    """
    digests = b"".join(
        hashlib.sha256(json.dumps(key, ensure_ascii=False).encode()).digest()[:HASH_BYTES] for key in keys
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def fingerprint(examples: Examples) -> Fingerprint:
    """Return the hashes of all texts of some examples, without their labels."""
    return np.unique(text_hashes(examples.keys()))


def save_fingerprint(hashes: Fingerprint, folder: str | Path) -> None:
    """Write a fingerprint into the folder of its model."""
    np.save(Path(folder, FILE), hashes.astype("<u8"), allow_pickle=False)


def read_fingerprint(path: Path) -> Fingerprint:
    """Read a fingerprint.

    Raises:
        KselectError: the file is not one.
    """
    try:
        hashes = np.load(path, allow_pickle=False)
    except Exception as error:  # NumPy's parser of headers raises errors of many kinds
        raise KselectError(f"{path} cannot be read ({first_line(error)}): restore or remove it.") from error
    if not isinstance(hashes, np.ndarray) or hashes.dtype != np.uint64 or hashes.ndim != 1:
        raise KselectError(f"{path} holds no hashes of texts (uint64, one dimension): restore or remove it.")
    return np.unique(hashes)


@dataclass(frozen=True)
class Overlap:
    """How many examples of a split have texts that a teacher was trained on, and the student is not."""

    split: str
    shared: int
    examples: int

    @property
    def large(self) -> bool:
        """Whether these are `OVERLAP` of the split or more."""
        return self.shared > 0 and self.shared >= OVERLAP * self.examples


def texts_to_learn(splits: Mapping[str, Examples]) -> Fingerprint:
    """Return the hashes of the texts of all splits to learn from."""
    learned = [fingerprint(split) for name, split in splits.items() if not is_held_out(name)]
    return np.unique(np.concatenate(learned))


def find_overlaps(known: Fingerprint, splits: Mapping[str, Examples]) -> list[Overlap]:
    """Return the overlap of a teacher's texts `known` with each split that is held out of train.

    Texts that the student learns from, too, do not count: they are duplicates in the data.
    """
    hashes = {name: text_hashes(split.keys()) for name, split in splits.items() if is_held_out(name)}
    seen = {name: np.isin(own, known) for name, own in hashes.items()}
    if any(flags.any() for flags in seen.values()):
        learned = texts_to_learn(splits)
        seen = {name: flags & ~np.isin(hashes[name], learned) for name, flags in seen.items()}
    return [Overlap(name, int(flags.sum()), len(flags)) for name, flags in seen.items()]
