"""Minari datasets of hand-made runs, read again by Minari."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kselect.collection.minari_datasets import ROWS, write_datasets
from kselect.collection.table import Run, read_pool
from kselect.errors import KselectError
from tests.collection.tables import ENTRIES, GOLD, entry, write

minari = pytest.importorskip("minari", reason="Minari is not installed: pip install 'kselect[collect]'")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Runs with random arrays, one of which weights further texts, too."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    found = read_pool(write(tmp_path / "runs.jsonl", [*ENTRIES, with_texts()]))
    generator = np.random.default_rng(0)
    for number, run in enumerate(found):
        save(run, tmp_path, decisions=3 + number, generator=generator)
    return found


def with_texts() -> dict[str, object]:
    return entry("gold", [{"weights": GOLD}], *[0.5] * 6, condition="texts", texts=True)


def save(run: Run, pool: Path, decisions: int, generator: np.random.Generator) -> None:
    run.arrays(pool).parent.mkdir(parents=True, exist_ok=True)
    rows = len(run.rows)
    np.savez(
        run.arrays(pool),
        context=generator.uniform(-5, 5, (decisions + 1, 6)).astype(np.float32),
        knowledge=generator.uniform(-5, 5, (decisions + 1, rows, 4)).astype(np.float32),
        weights=generator.random((decisions, rows), dtype=np.float32),
        reward=generator.normal(size=decisions),
        step=np.arange(1, decisions + 1) * 7,
    )


def test_every_run_is_an_episode_equal_to_its_arrays(runs: list[Run], tmp_path: Path) -> None:
    assert write_datasets(runs, tmp_path, "mine") == {"mine/2-rows-v0": 5, "mine/3-rows-v0": 1}
    for name, expected in (("mine/2-rows-v0", runs[:-1]), ("mine/3-rows-v0", runs[-1:])):
        dataset = minari.load_dataset(name)
        assert dataset.storage.metadata[ROWS] == list(expected[0].rows)
        metadata = dataset.storage.get_episode_metadata(range(len(expected)))
        for run, episode, kept in zip(expected, dataset.iterate_episodes(), metadata, strict=True):
            arrays = np.load(run.arrays(tmp_path))
            for key in ("context", "knowledge"):
                np.testing.assert_array_equal(episode.observations[key], arrays[key])
                assert dataset.observation_space[key].shape == arrays[key].shape[1:]
            np.testing.assert_array_equal(episode.actions, arrays["weights"])
            np.testing.assert_array_equal(episode.rewards, arrays["reward"])
            np.testing.assert_array_equal(episode.infos["step"], [0, *arrays["step"]])
            assert all(map(dataset.action_space.contains, episode.actions))
            assert episode.terminations.tolist() == [False] * (len(episode.rewards) - 1) + [True]
            assert not episode.truncations.any()
            infos = {key: set(values.tolist()) for key, values in episode.infos.items() if key != "step"}
            assert infos == {
                "condition": {run.condition},
                "seed": {run.seed},
                "selection": {run.selection},
                "stratum": {"weak teacher"},
                "task": {"sst2"},
                "final_reward_score": {run.score(1.0, "reward")},
                "final_dev_score": {run.score(1.0, "dev")},
            }
            assert kept["marks"]["0.25"] == run.marks[0.25]
            assert kept["stages"] == run.stages


def test_the_same_runs_are_not_written_twice_and_others_are_a_new_version(runs: list[Run], tmp_path: Path) -> None:
    assert list(write_datasets(runs[:2], tmp_path, "mine")) == ["mine/2-rows-v0"]
    assert list(write_datasets(runs[:2], tmp_path, "mine")) == ["mine/2-rows-v0"]
    assert write_datasets(runs[:3], tmp_path, "mine") == {"mine/2-rows-v1": 3}
    assert write_datasets(runs[:3], tmp_path, "mine") == {"mine/2-rows-v1": 3}
    assert minari.load_dataset("mine/2-rows-v0").total_episodes == 2


def test_a_dataset_whose_writing_was_stopped_is_not_taken_for_whole(runs: list[Run], tmp_path: Path) -> None:
    (tmp_path / "datasets" / "mine" / "2-rows-v0" / "data").mkdir(parents=True)
    (tmp_path / "datasets" / "mine" / "2-rows-v0" / "data" / "metadata.json").write_text('{"total_ep')
    assert list(write_datasets(runs[:2], tmp_path, "mine")) == ["mine/2-rows-v1"]


def test_other_settings_of_knowledge_are_another_dataset(tmp_path: Path, runs: list[Run]) -> None:
    other = entry("gold", [{"weights": GOLD}], *[0.5] * 6, seed=7)
    other["settings"]["knowledge"] = {"knowledge": ["gold", "logits"], "temperature": 4.0}
    found = read_pool(write(tmp_path / "runs.jsonl", [ENTRIES[0], other]))
    save(found[1], tmp_path, 3, np.random.default_rng(1))
    assert write_datasets(found, tmp_path, "mine") == {"mine/2-rows-v0": 1, "mine/2-rows-2-v0": 1}


def test_arrays_that_are_not_of_the_run_are_refused(runs: list[Run], tmp_path: Path) -> None:
    runs[0].arrays(tmp_path).write_bytes(b"no arrays")
    with pytest.raises(KselectError, match=r"gold\.npz has no arrays of a run"):
        write_datasets(runs, tmp_path, "mine")
    runs[0].arrays(tmp_path).write_bytes(runs[-1].arrays(tmp_path).read_bytes())
    with pytest.raises(KselectError, match=r"gold\.npz is not of gold"):
        write_datasets(runs, tmp_path, "mine")
    runs[0].arrays(tmp_path).write_bytes(runs[1].arrays(tmp_path).read_bytes())
    with np.load(runs[1].arrays(tmp_path)) as file:
        arrays = dict(file)
    arrays["context"] = arrays["context"][:, :4]
    np.savez(runs[1].arrays(tmp_path), allow_pickle=False, **arrays)
    with pytest.raises(KselectError, match=r"Observations in weak under seed 0 \(logits\) have another size"):
        write_datasets(runs, tmp_path, "mine")
    with pytest.raises(KselectError, match="No run has finished"):
        write_datasets([], tmp_path, "mine")
