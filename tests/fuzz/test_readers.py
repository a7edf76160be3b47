"""Every reader, on files of random bytes and on valid ones that were changed at random: one line, or what it reads.

`KSELECT_FUZZ` is the number of files for each reader; `make nightly` sets it to 100,000.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from kselect.agents import RandomHard, load_agent
from kselect.analysis.recording.table import DTYPES, ExampleTable
from kselect.collection.minari_datasets import read_arrays
from kselect.collection.suite import read_suite
from kselect.config import KnowledgeConfig
from kselect.config.yaml_file import read as read_yaml
from kselect.distillation.snapshot import Snapshot
from kselect.distillation.teacher.array_file import map_array
from kselect.distillation.teacher.cache_index import ArrayRecord, CacheIndex
from kselect.models.checksums import check_checksums, save_checksums
from kselect.models.heads.saved import saved_facts
from kselect.recipes.resolve import read_comparison, save_comparison
from kselect.runs.resume import identify
from kselect.runs.run_log import Ledger
from kselect.tasks.fingerprint import read_fingerprint
from kselect.tasks.readers import read_table
from kselect.tasks.words.conll import read_columns
from kselect.tasks.words.conllu import read_treebank
from tests.agents.identity import IdentityEnv
from tests.command_line import settings_of
from tests.damage import read_or_refused

EXAMPLES = int(os.environ.get("KSELECT_FUZZ", "25"))
ROOT = Path(__file__).parents[2]
TOKENS = [
    *(
        b"\x00",
        b"\n",
        b"\r",
        b"\t",
        b'"',
        b"'",
        b"\\",
        b",",
        b";",
        b":",
        b": ",
        b"- ",
        b"#",
        b"{",
        b"}",
        b"[",
        b"]",
        b" ",
    ),
    *(b"null", b"true", b"NaN", b"Infinity", b"-0", b"1e999", b"9" * 5000, b"-1", b"1.0", b"0x10", b"010", b"1:30"),
    *(b"!!int ", b"!!bool ", b"!!timestamp ", b"!!python/none ", b"&a ", b"*a", b"<<: ", b"? ", b"| ", b"%", b"---\n"),
    *(b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b"\xe2\x80\xa8", "é".encode(), b"\\ud800", b"[" * 3000, b"{a: " * 300),
    *(b'{"a": 1, "a": 2}', b"-DOCSTART-", b"1-2", b"1.1", b"_", b"sent_id = ", b"\x1b[2J"),
]
Change = tuple[int, str, bytes]


def changed(content: bytes, changes: list[Change]) -> bytes:
    """Apply changes to places of a file."""
    for place, kind, new in changes:
        start = place % (len(content) + 1)
        removed = {"insert": 0, "replace": len(new), "cut out": place % 97, "truncate": len(content), "zeros": 64}[kind]
        middle = {"cut out": b"", "truncate": b"", "zeros": bytes(min(64, len(content) - start))}.get(kind, new)
        content = content[:start] + middle + content[start + removed :]
    return content


def changes() -> st.SearchStrategy[list[Change]]:
    kinds = st.sampled_from(["insert", "replace", "cut out", "truncate", "zeros"])
    new = st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=8)
    return st.lists(st.tuples(st.integers(0, 10**7), kinds, new), max_size=4)


def save_policy(path: Path) -> None:
    env = IdentityEnv(soft=False, rows=2)
    RandomHard(env.observation_space, env.action_space).save(path.parent)


def save_facts(path: Path) -> None:
    path.write_text(json.dumps({"head": "crf", "labels": ["O", "B-A"], "sizes": {}}, indent=2))


def save_index(path: Path) -> None:
    index = CacheIndex({"examples": 2, "tokens": 9, "task": "t"}, {"logits": ArrayRecord(8, "0")}, ("hidden-1",))
    path.write_text(index.to_json("0" * 32))


def save_columns(path: Path) -> None:
    path.write_text("# id\n-DOCSTART- O\n\nEU B-ORG\nrejects O\n\nA B-PER\n", encoding="utf-8")


def save_treebank(path: Path) -> None:
    rows = ["1-2\tab\t_\t_\t_\t_\t_\t_\t_\t_", "1\ta\ta\tX\t_\t_\t0\troot\t_\t_", "2\tb\tb\tX\t_\t_\t1\tdep\t_\t_"]
    path.write_text("# sent_id = 1\n" + "\n".join(rows) + "\n\n", encoding="utf-8")


def save_rows(path: Path) -> None:
    table: dict[str, Any] = {name: np.arange(20) for name in DTYPES}
    ExampleTable(**table).save(path)


def save_arrays(path: Path) -> None:
    arrays: dict[str, Any] = dict.fromkeys(("context", "knowledge", "weights", "reward", "step"), np.arange(9.0))
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def save_sums(path: Path) -> None:
    save_facts(path.with_name("head.json"))
    save_checksums(path.parent)


def save_array(path: Path) -> None:
    np.save(path, np.arange(8, dtype=np.float32))


def settings_from(path: Path) -> Any:
    return settings_of("distill", ["--teacher", "t", "--config", str(path)])


def words_of(path: Path) -> Any:
    words = path.read_bytes().decode(errors="surrogateescape").split("\n")
    return settings_of("distill", words) if not {"-h", "--help"} & set(words) else None


def save_words(path: Path) -> None:
    path.write_text("--teacher\nt\n--scales\nhidden=2\n--agent_settings\n{weights: {gold: 1}}\n--layers\n1,3\n--seed=1")


def save_settings(path: Path) -> None:
    values = settings_of("distill", ["--teacher", "t", "--scales", "hidden=2"]).to_dict()
    path.write_text(yaml.safe_dump({name: value for name, value in values.items() if value is not None}))


READERS: dict[str, tuple[str, Callable[[Path], object], Callable[[Path], object]]] = {
    "TSV": ("rows.tsv", lambda path: path.write_text('text\tlabel\na "b"\tyes\nc\tno\n'), read_table),
    "CSV": ("rows.csv", lambda path: path.write_text('text,label\n"a, ""b""",yes\nc,no\n'), read_table),
    "JSONL": (
        "rows.jsonl",
        lambda path: path.write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n'),
        read_table,
    ),
    "Parquet": (
        "rows.parquet",
        lambda path: parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": [1, 0]}), path),
        read_table,
    ),
    "tags": ("tags.conll", save_columns, read_columns),
    "trees": ("trees.conllu", save_treebank, read_treebank),
    "YAML": (
        "settings.yaml",
        lambda path: path.write_text("epochs: 3\nscales: {hidden: 1e-4}\nlayers: [1, 3]\n"),
        lambda path: read_yaml(str(path)),
    ),
    "settings": ("settings.yaml", save_settings, settings_from),
    "options": ("words", save_words, words_of),
    "suite": (
        "suite.yaml",
        lambda path: path.write_bytes((ROOT / "studies" / "selecting" / "texts.yaml").read_bytes()),
        read_suite,
    ),
    "policy's description": ("agent.json", save_policy, lambda path: load_agent(path.parent)),
    "policy's arrays": ("agent.safetensors", save_policy, lambda path: load_agent(path.parent)),
    "policy's comparison": (
        "knowledge.json",
        lambda path: save_comparison(path.parent, KnowledgeConfig()),
        lambda path: KnowledgeConfig(**read_comparison(path.parent)),
    ),
    "checkpoint": (
        "latest.safetensors",
        lambda path: Snapshot({"a": torch.arange(9.0)}, {"n": 1}).save(path),
        Snapshot.load,
    ),
    "head": ("head.json", save_facts, lambda path: saved_facts(path.parent)),
    "texts": ("training_texts.npy", lambda path: np.save(path, np.arange(9, dtype=np.uint64)), read_fingerprint),
    "checksums": (
        "checksums.json",
        save_sums,
        lambda path: check_checksums(path.parent),
    ),
    "cache's index": ("index.json", save_index, lambda path: CacheIndex.read(path, "0" * 32)),
    "cache's array": ("a.npy", save_array, lambda path: map_array(path, 8, np.float32, 160)),
    "ledger": (
        "runs.jsonl",
        lambda path: Ledger(path, ("seed",)).append({"seed": 1, "settings": {"a": None}}),
        lambda path: Ledger(path, ("seed",), {"metrics": ("score",)}).latest(),
    ),
    "recording": ("rows.parquet", save_rows, ExampleTable.load),
    "collected arrays": ("run.npz", save_arrays, read_arrays),
}
"""For each kind of file: its name, what writes a valid one, and what reads it."""


@pytest.mark.parametrize("name", READERS)
def test_any_file_is_read_or_refused_in_a_line(name: str, tmp_path: Path) -> None:
    file, write, read = READERS[name]
    path = tmp_path / file
    write(path)
    valid = path.read_bytes()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="KSELECT_FUZZ" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    @given(changes(), st.none() | st.binary(max_size=200))
    def check(made: list[Change], content: bytes | None) -> None:
        path.write_bytes(changed(valid if content is None else content, made))
        read_or_refused(lambda: read(path))

    check()


def test_settings_that_are_alike_identify_the_same_run() -> None:
    assert identify({"a": 1, "run_name": "x"}) == identify({"run_name": "y", "a": 1}) != identify({"a": 2})
