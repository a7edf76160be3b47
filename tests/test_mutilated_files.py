"""A mutilated file is named in one line, with exit code 2, or said to be computed anew; it is never used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save

from kselect.agents import ActorCritic, load_agent
from kselect.agents.serialization import seal
from kselect.analysis.recording.table import DTYPES, ExampleTable
from kselect.cli.artifacts import find_settings
from kselect.cli.main import exit_code
from kselect.collection.minari_datasets import read_arrays
from kselect.config import KnowledgeConfig
from kselect.distillation.snapshot import Snapshot, fitting
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.ragged import RaggedLayout
from kselect.envs.distillation import DistillationEnv
from kselect.models.loading import load_classifier
from kselect.recipes.resolve import read_comparison, save_comparison
from kselect.runs.checkpoint import Checkpoint
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder
from kselect.runs.run_log import Ledger
from kselect.tasks.fingerprint import fingerprint
from kselect.training.runner import EpisodeRunner
from tests.agents.identity import IdentityEnv, train
from tests.mutilations import CHANGED, CUT, OF_JSON, OVERWRITTEN, Mutilation, of_entries, of_lines, with_entry
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task
from tests.words import task_for, word_classifier

BINARY = CUT | OVERWRITTEN | CHANGED
INDEXED = {name: change for name, change in BINARY.items() if name != "twice"}  # read from their end, so once
TEXT = CUT | OVERWRITTEN
NO_CONFIG = {name: change for name, change in OF_JSON.items() if name != "a key twice"}
RUN = "these settings"
LEDGER = Ledger(Path(), ("seed",), {"metrics": ("score",)})


@dataclass(frozen=True)
class Kind:
    """A file of ours: its path in the folder of valid files, what reads it, and what may become of it."""

    path: str
    read: Callable[[Path], object]
    mutilations: dict[str, Mutilation]
    where: str = ""
    """The folder or file that is read; by default the file itself."""


def restore(path: Path) -> None:
    """Resume a tiny run from a checkpoint."""
    snapshot = Checkpoint(path, run=RUN).load()
    assert snapshot is not None
    with fitting(path):
        runner().restore(snapshot)


def runner() -> EpisodeRunner:
    env = DistillationEnv(tiny_distiller(), "hard")
    agent = ActorCritic(env.observation_space, env.action_space)
    return EpisodeRunner(agent, [env], seeds=[0], learning=True)


KINDS: dict[str, Kind] = {
    "checkpoint": Kind("latest.safetensors", restore, BINARY),
    "policy's arrays": Kind("policy/agent.safetensors", load_agent, BINARY, where="policy"),
    "policy's description": Kind(
        "policy/agent.json",
        load_agent,
        TEXT
        | OF_JSON
        | of_entries("class", right=str)
        | of_entries("context", "knowledge", right=list)
        | of_entries("settings", right=dict)
        | of_entries("actions"),
        where="policy",
    ),
    "policy's comparison": Kind(
        "policy/knowledge.json",
        lambda path: KnowledgeConfig(**read_comparison(path)),
        TEXT | OF_JSON | of_entries("temperature", right=float),
        where="policy",
    ),
    "student": Kind(
        "student/model.safetensors", lambda path: load_classifier(path, tiny_task()), BINARY, where="student"
    ),
    "student's config": Kind(
        "student/config.json",
        lambda path: load_classifier(path, tiny_task()),
        TEXT | NO_CONFIG | of_entries("hidden_size", "num_hidden_layers", "num_attention_heads"),
        where="student",
    ),
    "student's texts": Kind(
        "student/training_texts.npy", lambda path: load_classifier(path, tiny_task()), BINARY, where="student"
    ),
    "checksums": Kind(
        "student/checksums.json",
        lambda path: load_classifier(path, tiny_task()),
        TEXT | OF_JSON | of_entries("format", "files") | {"another version": with_entry("format", 2)},
        where="student",
    ),
    "head": Kind(
        "tagger/head.safetensors", lambda path: load_classifier(path, task_for("crf")), BINARY, where="tagger"
    ),
    "head's facts": Kind(
        "tagger/head.json",
        lambda path: load_classifier(path, task_for("crf")),
        TEXT | CHANGED | OF_JSON | of_entries("head", "labels"),
        where="tagger",
    ),
    "ledger": Kind(
        "runs.jsonl",
        lambda path: Ledger(path, LEDGER.key, LEDGER.numbers).entries(),
        OVERWRITTEN | of_lines("metrics"),
    ),
    "config of a run": Kind("run/config.yaml", lambda path: find_settings(str(path)), TEXT, where="run"),
    "recording": Kind("rows.parquet", ExampleTable.load, INDEXED),
    "arrays of a collected run": Kind("run.npz", read_arrays, INDEXED),
}


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a valid file of every kind, and others of the same kind in `other`."""
    folder = tmp_path_factory.mktemp("valid")
    write(folder, seed=0)
    write(folder / "other", seed=1)
    return folder


def write(folder: Path, seed: int) -> None:
    env = IdentityEnv(soft=False, rows=2)
    agent = ActorCritic(env.observation_space, env.action_space, epochs=1, memory=16, seed=seed)
    train(agent, env, 1)
    agent.save(folder / "policy")
    save_comparison(folder / "policy", KnowledgeConfig(temperature=2.0))
    student = tiny_classifier(tiny_task(), layers=1, seed=seed)
    student.training_texts = fingerprint(tiny_task().splits["train"])[seed:]
    student.save_pretrained(folder / "student")
    word_classifier("crf", seed=seed).save_pretrained(folder / "tagger")
    ledger = Ledger(folder / "runs.jsonl", LEDGER.key, LEDGER.numbers)
    for number in range(2):
        ledger.append({"seed": number, "metrics": {"score": 0.5}})
    with RunFolder.create(RunPlace(folder, "tiny", "all", seed, "run"), {"task": "tiny", "epochs": 2.0, "seed": seed}):
        (folder / "run" / "student").mkdir()
    rows = np.random.default_rng(seed).integers(100, size=4000)
    table: dict[str, Any] = {name: rows for name in DTYPES}
    ExampleTable(**table).save(folder / "rows.parquet")
    names = ("context", "knowledge", "weights", "reward", "step")
    with (folder / "run.npz").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{name: rows.astype(float) for name in names})
    stop(runner(), Checkpoint(folder / "latest.safetensors", run=RUN if seed == 0 else "other settings"))


def stop(run: EpisodeRunner, checkpoint: Checkpoint) -> None:
    """Save a run after its second phase, and stop it."""

    def on_phase(record: dict[str, Any]) -> None:
        if record["phase"] == 1:
            run.save(checkpoint)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(on_phase)


def refused(read: Callable[[], object], named: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """Return the one line that says why a file is refused."""
    capfd.readouterr()
    assert exit_code(read) == 2
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("kselect: error: ")
    assert str(named) in output.err
    assert "\x1b" not in output.err
    return output.err


def mutilated(valid: Path, kind: Kind, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Check that a file with other content is refused, and put it back."""
    path = valid / kind.path
    before = path.read_bytes()
    assert content != before
    path.write_bytes(content)
    try:
        refused(lambda: kind.read(valid / (kind.where or kind.path)), valid / (kind.where or kind.path), capfd)
    finally:
        path.write_bytes(before)


CASES = [(name, mutilation) for name, kind in KINDS.items() for mutilation in kind.mutilations]


@pytest.mark.parametrize(("name", "mutilation"), CASES, ids=[" ".join(case) for case in CASES])
def test_a_mutilated_file_is_refused(
    name: str, mutilation: str, valid: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kind = KINDS[name]
    mutilated(valid, kind, kind.mutilations[mutilation]((valid / kind.path).read_bytes()), capfd)


def test_there_are_enough_mutilations() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("name", KINDS)
def test_a_valid_file_is_read(name: str, valid: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kind = KINDS[name]
    assert exit_code(lambda: kind.read(valid / (kind.where or kind.path))) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["checkpoint", "policy's arrays", "student", "student's texts", "checksums", "head"])
def test_a_file_of_another_run_is_refused(name: str, valid: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mutilated(valid, KINDS[name], (valid / "other" / KINDS[name].path).read_bytes(), capfd)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.path.endswith((".safetensors", ".npz"))])
def test_a_file_of_another_kind_is_refused(name: str, valid: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for other in ("student/model.safetensors", "student/training_texts.npy", "runs.jsonl", "rows.parquet"):
        if other != KINDS[name].path:
            mutilated(valid, KINDS[name], (valid / other).read_bytes(), capfd)


def without(prefix: str) -> Callable[[Snapshot], Snapshot]:
    return lambda state: Snapshot(
        {name: value for name, value in state.tensors.items() if not name.startswith(prefix)}, state.facts
    )


def with_tensor(prefix: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Snapshot], Snapshot]:
    def apply(state: Snapshot) -> Snapshot:
        name = next(name for name in sorted(state.tensors) if name.startswith(prefix))
        return Snapshot({**state.tensors, name: change(state.tensors[name])}, state.facts)

    return apply


def with_fact(name: str, *value: Any) -> Callable[[Snapshot], Snapshot]:
    change = with_entry(name, *value)
    return lambda state: Snapshot(state.tensors, json.loads(change(json.dumps(state.facts).encode())))


STATES: dict[str, Callable[[Snapshot], Snapshot]] = {
    "no moments": without("run/optimizer/"),
    "no first moments": without("run/optimizer/exp_avg/"),
    "no weights": without("run/trained/"),
    "no random state": without("run/random/"),
    "no observation": without("observation/knowledge"),
    "no agent": without("agent/"),
    "a weight that is not a number": with_tensor("run/trained/", lambda value: value * torch.nan),
    "an infinite moment": with_tensor("run/optimizer/exp_avg/", lambda value: value + torch.inf),
    "a weight of another shape": with_tensor("run/trained/", lambda value: value[None]),
    "a moment of another shape": with_tensor("run/optimizer/exp_avg/", lambda value: value[None]),
    "a foreign tensor": lambda state: Snapshot({**state.tensors, "more": torch.zeros(1)}, state.facts),
    "a foreign moment": lambda state: Snapshot(
        {**state.tensors, "run/optimizer/exp_avg/more": torch.zeros(1)}, state.facts
    ),
    **{f"no {name}": with_fact(name) for name in ("agent", "episodes", "initial_losses", "costs", "round")},
    **{f"null for {name}": with_fact(name, None) for name in ("agent", "episodes", "initial_losses", "costs")},
    "a text for episodes": with_fact("episodes", "many"),
    "episodes without a task": with_fact("episodes", [{}]),
    "a round without a state": with_fact("round", {"run": {}, "env": {}, "history": [], "over": False}),
}


@pytest.fixture(scope="module")
def resuming() -> EpisodeRunner:
    return runner()


@pytest.mark.parametrize("change", STATES)
def test_a_checkpoint_that_does_not_fit_is_refused(
    change: str, valid: Path, tmp_path: Path, resuming: EpisodeRunner, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "latest.safetensors"
    STATES[change](Snapshot.load(valid / "latest.safetensors", RUN)).save(path, RUN)

    def resume() -> None:
        with fitting(path):
            resuming.restore(Snapshot.load(path, RUN))

    assert "start over" in refused(resume, path, capfd)


HEADERS: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "no checksum": lambda header, arrays: {name: header[name] for name in header if name != "checksum"},
    "no version": lambda header, arrays: {name: header[name] for name in header if name != "format"},
    "another version": lambda header, arrays: {**header, "format": 2},
    "another checksum": lambda header, arrays: {**header, "checksum": "0" * 32},
    "no facts": lambda header, arrays: seal(arrays, {"description": header["description"]}),
    "no description": lambda header, arrays: seal(arrays, {"facts": header["facts"]}),
    "another description": lambda header, arrays: seal(arrays, {**header, "description": {}}),
}


@pytest.mark.parametrize("change", HEADERS)
def test_a_policy_with_another_header_is_refused(
    change: str, valid: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(valid / "policy", tmp_path / "policy")
    path = tmp_path / "policy" / "agent.safetensors"
    arrays = load_file(path)
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["agent"])
    path.write_bytes(save(arrays, {"agent": json.dumps(HEADERS[change](header, arrays))}))
    refused(lambda: load_agent(path.parent), path, capfd)


def test_a_policy_from_before_there_were_checksums_is_read(valid: Path, tmp_path: Path) -> None:
    shutil.copytree(valid / "policy", tmp_path / "policy")
    path = tmp_path / "policy" / "agent.safetensors"
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["agent"])
    old = {name: header[name] for name in ("description", "facts")}
    path.write_bytes(save(load_file(path), {"agent": json.dumps(old)}))
    load_agent(path.parent)


@pytest.mark.parametrize("mutilation", BINARY)
def test_a_mutilated_array_of_the_cache_is_not_read(
    mutilation: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = CacheFolder(tmp_path).entry("0" * 32)
    layout = RaggedLayout(np.full(500, 8, np.int32), np.arange(500), (None, 4), np.float32)
    values = np.random.default_rng(0).random(layout.size, dtype=np.float32)
    with entry.filling(), entry.adding({"logits": layout}, {"examples": 500, "tokens": 4000}) as addition:
        addition.writers["logits"].append(values)
    read = entry.open_array("logits", layout)
    assert read is not None
    assert np.array_equal(read, values)
    path = entry.folder / "logits.npy"
    path.write_bytes(BINARY[mutilation](path.read_bytes()))
    assert entry.open_array("logits", layout) is None
    assert "logits.npy is damaged or missing and will be computed again" in caplog.text
