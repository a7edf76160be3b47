"""Teacher outputs on disk: keyed by content, the same for every run, and never used when they are not whole."""

from __future__ import annotations

import errno
import json
import logging
import mmap
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import Tensor

from kselect.distillation.distiller import Distiller
from kselect.distillation.sampler import sorted_batches
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.cache_entry import LOCKS, CacheEntry
from kselect.distillation.teacher.fingerprint import cache_key
from kselect.distillation.teacher.ragged import RaggedLayout
from kselect.distillation.teacher.sources import CachedTeacher, LiveTeacher
from kselect.errors import KselectError
from kselect.models.loading import load_classifier
from kselect.models.needs import KINDS, Needs
from kselect.models.outputs import forward
from kselect.tasks.encoding import EncodedSplit, encode
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task

ROOT = Path(__file__).parents[3]
EVERYTHING = Needs(*[frozenset({1, 3})] * len(KINDS))
INDICES = np.array([40, 3, 17, 8])
ALL = [1, 1, 1, 1, 1]
HEADER = 128  # bytes of a .npy file before its values

# A run on a cache that another process fills at the same time, its kinds in an order of its own.
RUN = """
import sys
from tests.distillation.teacher.test_cache import trained
from kselect.io import write_json
selections = {"attention": [[0, 0, 0, 1, 0]], "hidden": [[0, 1, 1, 0, 0], [0, 0, 0, 0, 1]]}
write_json(__import__("pathlib").Path(sys.argv[2]), trained(selections[sys.argv[1]]))
"""


def trained(first: list[list[int]]) -> dict[str, list[float]]:
    """Read under the selections `first`, then train anew under all; returns the student's weights."""
    distiller = tiny_distiller()
    distiller.reset(0)
    for selection in first:
        distiller.advance(selection, 1)
    distiller.reset(5)
    distiller.advance(ALL, 3)
    return {name: value.flatten().tolist() for name, value in distiller.student.model.state_dict().items()}


@pytest.fixture(scope="module")
def examples() -> EncodedSplit:
    task = tiny_task()
    return encode(task.splits["train"], tiny_classifier(task).tokenizer, 32)


def live(seed: int = 0, dtype: torch.dtype = torch.float32) -> LiveTeacher:
    return LiveTeacher([tiny_classifier(tiny_task(), seed=seed).model], dtype)


def cached(examples: EncodedSplit, offered: Needs = EVERYTHING, teacher: LiveTeacher | None = None) -> CachedTeacher:
    return CachedTeacher(teacher or live(), examples, offered, CacheFolder(), 1e9, {"task": "tiny", "teacher": "t"})


def read(teacher: CachedTeacher, needs: Needs = EVERYTHING, indices: np.ndarray = INDICES) -> dict[str, Tensor]:
    outputs = teacher.outputs_for(indices, teacher.examples.batch(indices), needs)
    inner = {f"{kind}-{layer}": value for kind in KINDS for layer, value in outputs.layers(kind).items()}
    return {"logits": outputs.logits, **inner}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.npy")}


@contextmanager
def passes(teacher: CachedTeacher) -> Iterator[list[int]]:
    """Count the batches that the teacher runs."""
    seen: list[int] = []
    hook = teacher.live.models[0].register_forward_hook(lambda *_: seen.append(1))
    yield seen
    hook.remove()


@pytest.mark.slow
def test_cache_filled_by_two_processes_equals_one_filled_alone(tmp_path: Path, cache_dir: Path) -> None:
    told = [tmp_path / "attention", tmp_path / "hidden"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KSELECT_CACHE": str(tmp_path / "shared")}
    command = [sys.executable, "-c", RUN]
    running = [subprocess.Popen([*command, path.name, str(path)], cwd=ROOT, env=env) for path in told]
    alone = trained([ALL])
    assert [process.wait() for process in running] == [0, 0]
    for path in told:
        assert json.loads(path.read_text()) == alone
    assert files(tmp_path / "shared") == files(cache_dir)
    kinds = {Path(name).stem.partition("-")[0] for name in files(cache_dir)}
    assert kinds == {"logits", "hidden_states", "attentions"}


def test_cache_entry_waits_for_a_filling_process(examples: EncodedSplit, cache_dir: Path) -> None:
    first, second = cached(examples), cached(examples)
    with passes(second) as seen:
        with first.entry.filling(), pytest.raises(TimeoutError):
            FileLock(cache_dir / LOCKS / first.entry.key).acquire(timeout=0.01)
        theirs = read(first)
        assert equal(read(second), theirs)
        assert seen == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_cache_entry_adding_keeps_existing_files(dtype: torch.dtype, examples: EncodedSplit, cache_dir: Path) -> None:
    first = Needs(hidden_states=frozenset({1}))
    read(cached(examples, first, live(dtype=dtype)), first)
    before = {path: path.stat().st_ino for path in cache_dir.rglob("*.npy")}
    assert sorted(path.name for path in before) == ["hidden_states-1.npy", "logits.npy"]
    outputs = read(cached(examples, teacher=live(dtype=dtype)))
    assert {path: path.stat().st_ino for path in before} == before
    fresh = CachedTeacher(live(dtype=dtype), examples, EVERYTHING, CacheFolder(cache_dir / "other"), 1e9)
    assert equal(read(fresh), outputs)


def test_cached_teacher_reads_any_order(examples: EncodedSplit) -> None:
    teacher = cached(examples)
    every = np.arange(len(examples))
    shuffled = np.random.default_rng(0).permutation(every)
    straight, moved = read(teacher, indices=every), read(teacher, indices=shuffled)
    assert all(torch.equal(straight[name][shuffled], moved[name]) for name in straight)


def test_array_file_holds_real_tokens_in_order(examples: EncodedSplit) -> None:
    teacher = cached(examples)
    read(teacher)
    order = np.concatenate(sorted_batches(examples.lengths, 32))
    stored = np.load(teacher.entry.folder / "hidden_states-3.npy").reshape(-1, 16)
    starts = dict(zip(order, np.cumsum(examples.lengths[order]) - examples.lengths[order], strict=True))
    for index in INDICES:
        alone = examples.batch([index])
        length = examples.lengths[index]
        with torch.no_grad():
            outputs = forward(teacher.live.models[0], alone, Needs(hidden_states=frozenset({3})))
        expected = outputs.hidden_states[3][0, :length].numpy()
        np.testing.assert_allclose(stored[starts[index] : starts[index] + length], expected, rtol=2e-3, atol=2e-3)


def test_array_file_sizes_are_as_predicted(examples: EncodedSplit) -> None:
    teacher = cached(examples)
    read(teacher)
    tokens, pairs = int(examples.lengths.sum()), int((examples.lengths.astype(int) ** 2).sum())
    expected = {f"{kind}-{layer}": 2 * 16 * tokens for kind in KINDS for layer in (1, 3)}
    expected |= {f"{kind}-{layer}": 2 * 2 * pairs for kind in ("attentions", "attention_scores") for layer in (1, 3)}
    expected |= {"logits": 4 * 2 * len(examples)}
    for name, count in expected.items():
        size = (teacher.entry.folder / f"{name}.npy").stat().st_size
        assert size == teacher.entry.arrays[name].bytes == HEADER + count
    assert teacher.entry.arrays.keys() == expected.keys()


def test_cache_key_depends_on_content_only(examples: EncodedSplit, tmp_path: Path) -> None:
    task, teacher = tiny_task(), tiny_classifier(tiny_task())
    model = teacher.model
    key = cache_key([model], torch.float32, examples)
    assert len(key) == 32
    teacher.save_pretrained(tmp_path)
    copy = load_classifier(tmp_path, task).model
    forward(copy, examples.batch([0]), Needs(attentions=frozenset({1})))
    assert cache_key([copy], torch.float32, examples) == key
    assert cache_key([model], torch.float32, replace(examples, labels=1 - examples.labels)) == key
    others = [
        cache_key([model], torch.bfloat16, examples),
        cache_key([model, model], torch.float32, examples),
        cache_key([live(seed=1).models[0]], torch.float32, examples),
        cache_key([model], torch.float32, replace(examples, input_ids=examples.input_ids[::-1])),
        cache_key([model], torch.float32, replace(examples, token_type_ids=None)),
        cache_key([model], torch.float32, replace(examples, max_length=31)),
    ]
    one_token = [ids.copy() for ids in examples.input_ids]
    one_token[5][1] += 1
    others.append(cache_key([model], torch.float32, replace(examples, input_ids=one_token)))
    with torch.no_grad():
        copy.get_parameter("classifier.bias")[0] += 1e-6
    others.append(cache_key([copy], torch.float32, examples))
    copy.load_state_dict(model.state_dict())
    copy.config.hidden_act = "relu"
    others.append(cache_key([copy], torch.float32, examples))
    assert len({key, *others}) == 1 + len(others)


@pytest.mark.parametrize("harm", ["truncated", "longer", "gone", "other shape"])
def test_cache_entry_rewrites_incomplete_files(
    harm: str, examples: EncodedSplit, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = cached(examples)
    outputs = read(teacher)
    path = teacher.entry.folder / "queries-3.npy"
    content = path.read_bytes()
    if harm == "truncated":
        path.write_bytes(content[:-2])
    elif harm == "longer":
        path.write_bytes(content + b"x")
    elif harm == "gone":
        path.unlink()
    else:
        np.save(path, np.load(path).reshape(2, -1))
    assert equal(read(cached(examples)), outputs)
    assert any(
        "queries-3.npy is damaged or missing and will be computed again" in message for message in caplog.messages
    )
    assert path.read_bytes() == content
    assert cached(examples).entry.damaged() == []


@pytest.mark.parametrize("harm", ["damaged", "of another key", "of another format"])
def test_cache_entry_ignores_a_foreign_index(harm: str, examples: EncodedSplit) -> None:
    teacher = cached(examples, Needs())
    outputs = read(teacher, Needs())
    index = teacher.entry.folder / "index.json"
    facts = json.loads(index.read_text())
    if harm == "damaged":
        index.write_text(index.read_text()[:-20])
    else:
        changed = {"of another key": {"key": "0" * 32}, "of another format": {"format": -1}}[harm]
        index.write_text(json.dumps(facts | changed))
    again = cached(examples, Needs())
    with passes(again) as seen:
        assert equal(read(again, Needs()), outputs)
        assert len(seen) == 2
    assert json.loads(index.read_text()) == facts


def test_cache_entry_damaged_finds_a_flipped_bit(examples: EncodedSplit) -> None:
    teacher = cached(examples)
    read(teacher)
    assert teacher.entry.damaged() == []
    for position in (60, 1000):  # in the header, in the values
        path = teacher.entry.folder / "keys-1.npy"
        content = bytearray(path.read_bytes())
        content[position] ^= 1
        path.write_bytes(content)
        assert CacheEntry(teacher.entry.folder).damaged() == [path]
        content[position] ^= 1
        path.write_bytes(content)
    assert teacher.entry.damaged() == []


def test_cached_teacher_tries_overflowing_outputs_once(examples: EncodedSplit) -> None:
    loud = live()
    with torch.no_grad():
        loud.models[0].bert.encoder.layer[0].output.LayerNorm.weight[3] = 1e6
    needs = EVERYTHING.only(["hidden_states"])
    first = cached(examples, needs, loud)
    read(first, needs)
    assert first.entry.overflowing == ("hidden_states-1",)
    assert [path.name for path in first.entry.folder.glob("*.npy")] == ["logits.npy"]
    again = cached(examples, needs, loud)
    assert again.cacheable == Needs()
    with passes(again) as seen:
        read(again, needs)
        assert len(seen) == 1  # live, and no pass over all examples
    third = Needs(hidden_states=frozenset({3}))
    assert cached(examples, third, loud).cacheable == third


def test_cache_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        KselectError, match=r"file/cache cannot be created \(Not a directory\): give another cache_dir, or"
    ):
        tiny_distiller({"cache_dir": str(tmp_path / "file" / "cache")})
    assert tiny_distiller({"cache_dir": str(tmp_path / "file" / "cache"), "teacher_cache": 0}).names


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_cache_read_only_is_read_and_not_written(examples: EncodedSplit, cache_dir: Path) -> None:
    teacher = cached(examples)
    logits = read(teacher, Needs())
    folders = [teacher.entry.folder, cache_dir / LOCKS, cache_dir]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert equal(read(cached(examples), Needs()), logits)
        with pytest.raises(KselectError, match=r"cannot be stored in .* \(Permission denied\): give another cache_dir"):
            read(cached(examples))
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_cache_on_a_full_disk_leaves_no_partial_files(examples: EncodedSplit) -> None:
    teacher = cached(examples)
    logits = read(teacher, Needs())
    before = sorted(path.name for path in teacher.entry.folder.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(
            KselectError, match=r"outputs cannot be stored in .* \(File too large\): give another cache_dir"
        ):
            read(teacher)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in teacher.entry.folder.iterdir()) == before
    assert torch.equal(read(teacher)["logits"], logits["logits"])


def test_cache_that_cannot_be_mapped_is_refused_after_one_pass(
    examples: EncodedSplit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some network folders read and write, and map nothing."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(mmap, "mmap", refuse)
    teacher = cached(examples)
    with (
        passes(teacher) as seen,
        pytest.raises(
            KselectError, match=r"cannot be stored in .* \(hidden_states-1 was written, and cannot be read\)"
        ),
    ):
        read(teacher)
    assert len(seen) == 2
    assert any("hidden_states-1.npy is damaged or missing" in message for message in caplog.messages)


def test_cache_entry_adding_checks_free_space_first(examples: EncodedSplit) -> None:
    teacher = cached(examples)
    huge = RaggedLayout(examples.lengths, np.arange(len(examples)), (2**50,))
    with (
        pytest.raises(KselectError, match=r"\(No space left on device: \d+ MiB are needed, \d+ are free\)"),
        teacher.entry.filling(),
        teacher.entry.adding({"logits": huge}, {}),
    ):
        raise AssertionError("nothing is to be computed")


def test_cache_entry_filling_deletes_orphans(examples: EncodedSplit) -> None:
    teacher = cached(examples, Needs())
    teacher.entry.folder.mkdir(parents=True)
    (teacher.entry.folder / ".logits.npy.part").write_bytes(b"half")
    (teacher.entry.folder / ".keys-1.npy.part").write_bytes(b"half")
    read(teacher, Needs())
    assert sorted(path.name for path in teacher.entry.folder.iterdir()) == ["index.json", "logits.npy"]


def test_being_filled_is_false_for_an_unreadable_lock(cache_dir: Path) -> None:
    entry = CacheEntry(cache_dir / ("f" * 32))
    (cache_dir / LOCKS / entry.key).mkdir(parents=True)  # as on a disk that may only be read: no PermissionError
    assert not entry.being_filled


def test_cache_entry_clear_keeps_mapped_files_readable(examples: EncodedSplit) -> None:
    teacher = cached(examples)
    outputs = read(teacher)
    with CacheEntry(teacher.entry.folder).filling():
        assert not teacher.entry.clear()
    assert teacher.entry.clear()
    assert not teacher.entry.folder.exists()
    assert equal(read(teacher), outputs)
    assert equal(read(cached(examples)), outputs)


def test_cache_entry_cleared_while_waiting_is_filled_again(
    examples: EncodedSplit, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = cached(examples)
    other = CacheEntry(teacher.entry.folder)
    with ThreadPoolExecutor() as threads:
        with other.filling():
            waiting = threads.submit(read, teacher)
            deadline = time.monotonic() + 5
            while not caplog.records and time.monotonic() < deadline:
                time.sleep(0.01)
            shutil.rmtree(other.folder)  # as `clear` does, under the same lock
        outputs = waiting.result()
    told = f"Waiting for another run, which is computing the teacher's outputs in {other.folder}."
    assert caplog.record_tuples == [("kselect", logging.WARNING, told)]
    assert equal(read(cached(examples)), outputs)


class ClearedEntry(CacheEntry):
    """One that another process clears as soon as it is let go."""

    @contextmanager
    def filling(self) -> Iterator[None]:
        with super().filling():
            yield
        assert CacheEntry(self.folder).clear()


class ClearedFolder(CacheFolder):
    """A folder of such entries."""

    def entry(self, key: str) -> CacheEntry:
        return ClearedEntry(super().entry(key).folder)


def test_cache_entry_cleared_after_filling_is_still_read(examples: EncodedSplit) -> None:
    teacher = CachedTeacher(live(), examples, EVERYTHING, ClearedFolder(), 1e9)
    outputs = read(teacher)
    assert not teacher.entry.folder.exists()
    assert equal(read(cached(examples)), outputs)


def test_cache_entry_bytes_ignores_vanished_files(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"1234")
    (tmp_path / "renamed").symlink_to(tmp_path / "gone")  # listed, and not found when it is looked at
    assert CacheEntry(tmp_path).bytes == 4


def test_cache_entry_cleared_by_another_process(examples: EncodedSplit) -> None:
    teacher = cached(examples, Needs())
    read(teacher, Needs())
    late = CacheEntry(teacher.entry.folder)
    assert teacher.entry.clear()
    assert (late.bytes, late.last_used) == (0, 0.0)
    assert late.clear()


def test_restore_is_exact_with_a_cache_filled_again(cache_dir: Path) -> None:
    def weights(distiller: Distiller) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in distiller.student.model.state_dict().items()}

    straight = tiny_distiller()
    straight.reset(2)
    straight.advance(ALL, 2)
    moment = straight.snapshot()
    straight.advance(ALL, 3)
    for clear in (False, True):
        for entry in CacheFolder().entries() if clear else ():
            entry.clear()
        resumed = tiny_distiller()
        resumed.restore(moment)
        resumed.advance(ALL, 3)
        assert equal(weights(resumed), weights(straight))


def test_watch_teacher_reports_progress() -> None:
    told: list[tuple[int, int]] = []
    distiller = tiny_distiller()
    distiller.watch_teacher(lambda done, total: told.append((done, total)))
    distiller.reset(0)
    distiller.account.begin()  # the probe before the first step is another account
    distiller.advance([1, 0, 0, 0, 0], 1)
    assert (told, distiller.account.seconds["teacher"]) == ([], 0)
    distiller.advance([0, 1, 0, 0, 0], 1)
    assert told == [(32, 64), (64, 64)]
    first = distiller.account.seconds["teacher"]
    distiller.advance([0, 1, 0, 0, 0], 1)
    assert 0 < distiller.account.seconds["teacher"] - first < first


def test_cache_folder_default_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert CacheFolder("/given").path == Path("/given")
    monkeypatch.setenv("KSELECT_CACHE", "~/mine")
    assert CacheFolder().path == tmp_path / "mine"
    monkeypatch.delenv("KSELECT_CACHE")
    assert CacheFolder().path == Path("/xdg/kselect")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert CacheFolder().path == tmp_path / ".cache" / "kselect"
