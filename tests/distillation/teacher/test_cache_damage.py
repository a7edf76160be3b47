"""Damaged cache files: whatever is in them, outputs are computed again and the files written anew."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kselect.cli.main import main
from kselect.distillation.teacher.array_file import map_array
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.cache_entry import CacheEntry
from kselect.distillation.teacher.cache_index import CacheIndex
from kselect.distillation.teacher.sources import CachedTeacher, LiveTeacher
from kselect.models.needs import Needs
from kselect.tasks.encoding import EncodedSplit, encode
from tests.tiny import tiny_classifier, tiny_task

INDICES = np.array([40, 3, 17, 8])
RECORD = {"bytes": 640, "checksum": "ec287ade8477580ad9efeb584ab4517d"}
HEADERS = [  # found by fuzzing; NumPy's parser raises another kind of error for each of the first four
    b"'fortran_order': False, 'shape': (4,), }\n    \"tokens\": 8\n  },\n",
    b"{'descr': '<f4', 'fortran_order': False, ''': (4,), }",
    b"{'descr': '<f4', 'fortran_order': False,B'shape': (4,), }",
    b"(" * 118,
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (64, 2), }",
    b"\xff\xfe" * 59,
    b"",
]


@pytest.fixture(scope="module")
def examples() -> EncodedSplit:
    task = tiny_task()
    return encode(task.splits["train"], tiny_classifier(task).tokenizer, 32)


def cached(examples: EncodedSplit) -> CachedTeacher:
    live = LiveTeacher([tiny_classifier(tiny_task()).model], torch.float32)
    return CachedTeacher(live, examples, Needs(), CacheFolder(), 1e9, {"task": "tiny", "teacher": "t"})


def logits(teacher: CachedTeacher) -> torch.Tensor:
    return teacher.outputs_for(INDICES, teacher.examples.batch(INDICES), Needs()).logits


def without(name: str) -> Any:
    return lambda content: {key: value for key, value in content.items() if key != name}


def with_(**changes: Any) -> Any:
    return lambda content: content | changes


def about(**changes: Any) -> Any:
    return lambda content: content | {"about": content["about"] | changes}


def nested(_: Any) -> str:
    return "[" * 100_000


INDEXES = {
    "no about": without("about"),
    "no arrays": without("arrays"),
    "no overflowing": without("beyond"),
    "no tokens": about(tokens=None),
    "zero tokens": about(tokens=0),
    "negative tokens": about(tokens=-1),
    "tokens of text": about(tokens="8"),
    "task of a number": about(task=3),
    "teacher of a list": about(teacher=["t"]),
    "about of a list": with_(about=[]),
    "about of null": with_(about=None),
    "arrays of a list": with_(arrays=["logits"]),
    "array of a number": with_(arrays={"logits": 3}),
    "array without bytes": with_(arrays={"logits": {"bxtes": 144, "checksum": ""}}),
    "array with bytes of text": with_(arrays={"logits": RECORD | {"bytes": "144"}}),
    "array with negative bytes": with_(arrays={"logits": RECORD | {"bytes": -1}}),
    "array with true bytes": with_(arrays={"logits": RECORD | {"bytes": True}}),
    "array with infinite bytes": with_(arrays={"logits": RECORD | {"bytes": float("inf")}}),
    "array without checksum": with_(arrays={"logits": {"bytes": 144}}),
    "array named by NUL": with_(arrays={"\0": RECORD}),
    "array outside the folder": with_(arrays={"../../logits": RECORD}),
    "array of no layer": with_(arrays={"hidden_states-x": RECORD}),
    "overflowing of a number": with_(beyond=3),
    "overflowing of numbers": with_(beyond=[3]),
    "deep nesting": nested,
    "a list": lambda content: [content],
    "a number": lambda content: 3,
}


@pytest.mark.parametrize("mutate", INDEXES.values(), ids=INDEXES)
def test_cache_entry_with_a_damaged_index_is_filled_again(
    mutate: Any, examples: EncodedSplit, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = cached(examples)
    expected = logits(teacher)
    path = teacher.entry.folder / "index.json"
    content = path.read_text()
    mutated = mutate(json.loads(content))
    path.write_text(mutated if isinstance(mutated, str) else json.dumps(mutated))
    assert CacheEntry(teacher.entry.folder).damaged() == [path]
    assert main(["cache", "list"]) == 0
    assert main(["cache", "verify"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert torch.equal(logits(cached(examples)), expected)
    assert f"{path} is damaged: the teacher's outputs will be computed again." in caplog.messages
    assert path.read_text() == content


@pytest.mark.parametrize("header", HEADERS)
def test_cache_entry_with_a_damaged_header_is_filled_again(
    header: bytes, examples: EncodedSplit, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = cached(examples)
    expected = logits(teacher)
    path = teacher.entry.folder / "logits.npy"
    content = path.read_bytes()
    path.write_bytes(content[:10] + header[:118].ljust(117) + b"\n" + content[128:])
    assert CacheEntry(teacher.entry.folder).damaged() == [path]
    assert torch.equal(logits(cached(examples)), expected)
    assert f"{path} is damaged or missing and will be computed again." in caplog.messages
    assert path.read_bytes() == content


def test_map_array_maps_only_intact_headers(tmp_path: Path) -> None:
    path, values = tmp_path / "values.npy", np.arange(5, dtype=np.float32)
    np.save(path, values)
    content = path.read_bytes()
    mapped = map_array(path, 5, np.float32, len(content))
    assert mapped is not None
    assert mapped.tolist() == values.tolist()
    offset = len(content) - values.nbytes
    for position in range(offset):
        for bit in range(8):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            path.write_bytes(changed)
            mapped = map_array(path, 5, np.float32, len(content))
            # Only padding may differ, and only by being other white space.
            assert mapped is None or bytes(changed[:offset]).rstrip() == content[:offset].rstrip()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert map_array(path, 5, np.float32, length) is None


def test_cache_index_of_mutated_bytes_is_valid_or_empty(tmp_path: Path) -> None:
    key, path, rng = "0" * 32, tmp_path / "index.json", random.Random(0)
    about = {"task": "t", "teacher": "x", "precision": "float32", "examples": 2, "tokens": 8}
    arrays = {"logits": RECORD, "hidden_states-1": RECORD}
    content = json.dumps({"format": 1, "key": key, "about": about, "arrays": arrays, "beyond": ["keys-1"]}).encode()
    path.write_bytes(content)
    assert CacheIndex.read(path, key).to_json(key) == json.dumps(json.loads(content), indent=2)
    for _ in range(3000):
        mutated = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            start = rng.randrange(len(mutated))
            mutated[start : start + rng.randint(0, 4)] = bytes(rng.randrange(256) for _ in range(rng.randint(0, 3)))
        path.write_bytes(mutated)
        index = CacheIndex.read(path, key)
        assert index.damaged == (not index.about)
        assert all(record.bytes >= 0 and isinstance(record.checksum, str) for record in index.arrays.values())
