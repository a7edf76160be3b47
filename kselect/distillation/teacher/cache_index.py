"""The index of a cache entry: which arrays it holds in full, and what they are of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

FORMAT = 1  # of the files and of the pass that fills them; part of the key
ARRAY_NAME = re.compile(r"[a-z_]{1,32}(-[0-9]{1,4})?")


@dataclass(frozen=True)
class ArrayRecord:
    """Size of an array file in bytes, and the checksum of its content."""

    bytes: int
    checksum: str


@dataclass(frozen=True)
class CacheIndex:
    """What an entry's `index.json` says.

    Attributes:
        about: description of the entry for people: task, teacher, precision, and the numbers of examples and tokens.
        overflowing: sorted names of arrays with values outside half precision, which are not stored.
        damaged: whether there is an index file that could not be read.
    """

    about: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, ArrayRecord] = field(default_factory=dict)
    overflowing: tuple[str, ...] = ()
    damaged: bool = False

    @staticmethod
    def read(path: Path, key: str) -> CacheIndex:
        """Read the index of the entry `key`; an empty one if it is missing, damaged, or of another format or key."""
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            return CacheIndex()
        except (OSError, ValueError, RecursionError):
            return CacheIndex(damaged=True)
        return _parse(content, key) or CacheIndex(damaged=True)

    def updated(
        self,
        about: Mapping[str, Any],
        written: Mapping[str, ArrayRecord],
        dropped: Iterable[str],
        overflowing: Iterable[str],
    ) -> CacheIndex:
        """Return the index after a pass that wrote some arrays and dropped others."""
        dropped = set(dropped)
        arrays = {name: record for name, record in {**self.arrays, **written}.items() if name not in dropped}
        return replace(
            self,
            about=dict(about),
            arrays=arrays,
            overflowing=tuple(sorted({*self.overflowing, *overflowing})),
            damaged=False,
        )

    def to_json(self, key: str) -> str:
        """Return the content of `index.json` for the entry `key`."""
        content = {
            "format": FORMAT,
            "key": key,
            "about": dict(self.about),
            "arrays": {name: asdict(record) for name, record in self.arrays.items()},
            "beyond": list(self.overflowing),
        }
        return json.dumps(content, indent=2)


def _parse(content: Any, key: str) -> CacheIndex | None:
    """Return the index of a JSON value; None if that is not what `to_json` writes for this key."""
    if not isinstance(content, dict) or (content.get("format"), content.get("key")) != (FORMAT, key):
        return None
    about, arrays, overflowing = (content.get(name) for name in ("about", "arrays", "beyond"))
    if not isinstance(about, dict) or not isinstance(arrays, dict) or not isinstance(overflowing, list):
        return None
    if not all(_is_count(about.get(name)) and about[name] > 0 for name in ("examples", "tokens")):
        return None
    if not all(isinstance(about.get(name, ""), str) for name in ("task", "teacher", "precision")):
        return None
    if not all(map(_is_name, [*arrays, *overflowing])) or not all(map(_is_record, arrays.values())):
        return None
    return CacheIndex(about, {name: ArrayRecord(**record) for name, record in arrays.items()}, tuple(overflowing))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and ARRAY_NAME.fullmatch(value) is not None


def _is_record(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"bytes", "checksum"}:
        return False
    return _is_count(value["bytes"]) and isinstance(value["checksum"], str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
