from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from kselect.errors import KselectError
from kselect.tasks.fingerprint import (
    FILE,
    Overlap,
    find_overlaps,
    fingerprint,
    read_fingerprint,
    save_fingerprint,
    texts_to_learn,
)
from kselect.tasks.splits import Split
from kselect.tasks.words.sentence import Origin, TaggedSentence, WordSplit


def by_hand(key: object) -> int:
    """The documented format, spelt out."""
    return int.from_bytes(hashlib.sha256(json.dumps(key, ensure_ascii=False).encode("utf-8")).digest()[:8], "little")


def texts(*names: str) -> Split:
    return Split(list(names), None, [0] * len(names))


def test_hashes_are_of_texts_pairs_and_words() -> None:
    assert fingerprint(texts("naïve", "naïve")).tolist() == [by_hand("naïve")]
    assert fingerprint(Split(["a"], ["b"], [1])).tolist() == [by_hand(["a", "b"])]
    sentence = TaggedSentence(("a", "b"), ("X", "Y"), Origin("file"))
    assert fingerprint(WordSplit([sentence])).tolist() == [by_hand(["a", "b"])]
    assert fingerprint(texts("a b")).tolist() != fingerprint(texts("ab")).tolist()


def test_a_fingerprint_is_read_as_written(tmp_path: Path) -> None:
    hashes = fingerprint(texts(*map(str, range(100))))
    assert (np.diff(hashes.astype(object)) > 0).all()
    save_fingerprint(hashes, tmp_path)
    assert read_fingerprint(tmp_path / FILE).tolist() == hashes.tolist()


@pytest.mark.parametrize("content", [b"", b"no array", "numbers"])
def test_another_file_is_refused(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / FILE
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, np.zeros(3))
    with pytest.raises(KselectError, match="restore or remove it"):
        read_fingerprint(path)


def test_texts_that_the_student_reads_as_well_do_not_count() -> None:
    splits = {
        "train": texts("a", "b"),
        "transfer": texts("c"),
        "reward": texts("a", "c", "d", "e"),
        "dev": texts("x", "y"),
        "dev_mismatched": texts("d"),
    }
    known = fingerprint(texts("a", "c", "d"))
    found = find_overlaps(known, splits)
    assert found == [Overlap("reward", 1, 4), Overlap("dev", 0, 2), Overlap("dev_mismatched", 1, 1)]
    assert [each.large for each in found] == [True, False, True]


@pytest.mark.parametrize(("shared", "large"), [(0, False), (1, False), (2, True)])
def test_a_hundredth_of_a_split_is_large(shared: int, large: bool) -> None:
    assert Overlap("dev", shared, 200).large is large


def test_a_further_split_of_any_name_is_held_out() -> None:
    splits = {name: Split([f"{name} {i}" for i in range(4)], None, [0, 1, 0, 1]) for name in ("train", "dev", "test")}
    assert len(texts_to_learn(splits)) == 4
    assert [each.shared for each in find_overlaps(fingerprint(splits["test"]), splits)] == [0, 4]
