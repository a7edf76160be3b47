"""Random damage to files that a reader must withstand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from kselect.errors import KselectError

T = TypeVar("T")


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file cut off, with some bytes changed, or with a part left out or repeated."""
    kind, (first, last) = rng.integers(4), sorted(rng.integers(len(content) + 1, size=2))
    if kind == 0:
        return content[:first]
    if kind == 1:
        changed = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            changed[place] = rng.integers(256)
        return bytes(changed)
    return content[:first] + content[last:] if kind == 2 else content[:last] + content[first:]


def read_or_refused(read: Callable[[], T]) -> T | None:
    """Return what is read, or None if it is refused in one line; any other error fails the test."""
    try:
        return read()
    except KselectError as error:
        message = str(error)
    assert message
    assert "\n" not in message
    return None
