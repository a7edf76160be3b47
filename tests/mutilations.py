"""What can become of a file: cut off, overwritten, swapped for another, entries missing or of another type."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Mutilation = Callable[[bytes], bytes]
DISK_BLOCK = 4096
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 1234\n"


def _zeros_in_the_middle(content: bytes) -> bytes:
    size = min(DISK_BLOCK, len(content) // 2)
    start = (len(content) - size) // 2
    return content[:start] + bytes(size) + content[start + size :]


def _flipped(place: float) -> Mutilation:
    def flip(content: bytes) -> bytes:
        index = int(place * len(content))
        return content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :]

    return flip


CUT: dict[str, Mutilation] = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-3],
}
OVERWRITTEN: dict[str, Mutilation] = {
    "zeros": lambda content: bytes(len(content)),
    "zeros in the middle": _zeros_in_the_middle,
    "text": lambda content: b"not one of ours\n",
    "web page": lambda content: b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n",
    "LFS pointer": lambda content: LFS_POINTER,
    "Latin-1": lambda content: b"\xe9t\xe9 \xff" + content[4:],
}
CHANGED: dict[str, Mutilation] = {
    "a bit in the middle": _flipped(0.5),
    "a bit at three quarters": _flipped(0.75),
    "a byte more in the middle": lambda content: content[: len(content) // 2] + b"0" + content[len(content) // 2 :],
    "twice": lambda content: content + content,
}
"""These may leave a text what it has to be, so that only a checksum shows them."""
OF_JSON: dict[str, Mutilation] = {
    "a list": lambda content: b"[]",
    "null": lambda content: b"null",
    "a number of thousands of digits": lambda content: b"1" * 5000,
    "nested too deeply": lambda content: b"[" * 100_000,
    "a key twice": lambda content: content.replace(b"{", b'{"a": 1, "a": 2, ', 1),
}
WRONG: dict[str, Any] = {"null": None, "a list": [[1]], "a text": "\x1b[2J", "a number": -1.5, "an object": {"a": {}}}


def with_entry(name: str, *value: Any) -> Mutilation:
    """Return what gives an entry of a JSON object another value, or removes it."""

    def change(content: bytes) -> bytes:
        values = json.loads(content)
        if value:
            values[name] = value[0]
        else:
            del values[name]
        return json.dumps(values).encode()

    return change


def of_entries(*names: str, right: type | None = None) -> dict[str, Mutilation]:
    """Return mutilations of the entries of a JSON object, whose values are of the type `right`."""
    table = {f"no {name}": with_entry(name) for name in names}
    wrong = {kind: value for kind, value in WRONG.items() if right is None or type(value) is not right}
    for name in names:
        table |= {f"{kind} for {name}": with_entry(name, value) for kind, value in wrong.items()}
    return table


def of_lines(*names: str, right: type | None = None) -> dict[str, Mutilation]:
    """Return mutilations of the first line of a file of JSON lines."""
    return {name: _on_first_line(change) for name, change in (of_entries(*names, right=right) | OF_JSON).items()}


def _on_first_line(change: Mutilation) -> Mutilation:
    def apply(content: bytes) -> bytes:
        first, rest = content.split(b"\n", 1)
        return change(first) + b"\n" + rest

    return apply
