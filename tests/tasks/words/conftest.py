from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kselect.tasks.words import Origin, TaggedSentence


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a file as it is given, byte for byte."""

    def to_file(content: str | bytes) -> Path:
        path = tmp_path / "train.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


@pytest.fixture
def sentence() -> Callable[[str], TaggedSentence]:
    """Make a sentence of given tags, whose words stand from line 1 of a file."""

    def make(tags: str) -> TaggedSentence:
        names = tuple(tags.split())
        words = tuple(f"w{i}" for i in range(len(names)))
        return TaggedSentence(words, names, Origin("train.txt", tuple(range(1, len(names) + 1))))

    return make


@pytest.fixture
def real_file() -> Callable[[str], Path]:
    """Find a file in the folder that KSELECT_DATA names, or skip."""

    def find(name: str) -> Path:
        if not os.environ.get("KSELECT_DATA"):
            pytest.skip("real data is not here: set KSELECT_DATA to a folder with it")
        path = Path(os.environ["KSELECT_DATA"]) / name
        if not path.is_file():
            pytest.skip(f"KSELECT_DATA is set, but {path} is not there")
        return path

    return find
