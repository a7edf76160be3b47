"""`kselect collect` on generated tasks with a tiny encoder."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import DatasetCard

from kselect.cli.collect import command_of
from kselect.cli.commands import COMMANDS
from kselect.cli.main import main
from kselect.collection.fit import trials
from kselect.collection.replay import race, switch
from kselect.collection.table import read_pool
from tests.tiny import save_encoder, tiny_classifier, tiny_task

SUITE = """
dev_examples: 40
tasks:
  synthetic-acceptability:
knowledge: {knowledge: [gold, logits, hidden]}
selections:
  gold: {gold: 1, transfer: 0}
  texts: {logits: 1, hidden: 1, transfer: 1}
  texts>gold:
    - {until: 0.5, weights: {logits: 1, hidden: 1, transfer: 1}}
    - {weights: {gold: 1, transfer: 0}}
agents:
  distilbert: {agent: distilbert, texts: false}
  augmented: {agent: tinybert, texts: false, augment: 1}
  random: {agent: random-hard}
  learning: {agent: online}
  learned: {agent: paper, texts: false, episodes: 2, knowledge: [gold, logits]}
defaults:
  task: synthetic-acceptability
  labelled: 64
  held_out: 40
  teacher: {examples: 200, epochs: 1.0, learning_rate: 1e-3}
  student: {layers: 2}
  training: {epochs: 4.0, batch_size: 8, learning_rate: 1e-3}
conditions:
  - {name: texts, stratum: texts, unlabelled: 100}
  - {name: new, stratum: new head, student: {initial: encoder}}
  - {name: narrow, stratum: narrow, student: {initial: narrow}}
  - {name: sure, stratum: miscalibrated, teacher: {logit_factor: 4.0}}
"""


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of one seed, collected in two commands."""
    folder = tmp_path_factory.mktemp("collect")
    (folder / "suite.yaml").write_text(SUITE)
    save_encoder(tiny_classifier(tiny_task(), layers=4), folder / "encoder")
    assert collect(folder, "--conditions", "texts") == 0
    assert collect(folder) == 0
    return folder


def collect(folder: Path, *options: str) -> Any:
    words = ["collect", "--suite", str(folder / "suite.yaml"), "--encoder", str(folder / "encoder")]
    return main([*words, "--pool", str(folder / "pool"), "--seeds", "0", *options])


def entries(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return entries_of(folder / "pool")


def entries_of(pool: Path) -> dict[tuple[str, str], dict[str, Any]]:
    lines = (pool / "runs.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert len({(one["condition"], one["selection"]) for one in found}) == len(found)  # none was computed twice
    return {(one["condition"], one["selection"]): one for one in found}


@pytest.mark.parametrize(
    "words",
    [
        ["--suite", "my suite.yaml"],
        [
            "--suite",
            "a.yaml",
            "--conditions",
            "sst2-*,mrpc-*",
            "--seeds",
            "0",
            "--selections",
            "[]",
            "--agents",
            "online",
        ],
        ["--suite", "a.yaml", "--ablate", "--plot", "map.png", "--engine", "ray", "--gpus_per_run", "0.5"],
    ],
)
def test_the_command_of_a_pool_gives_its_settings(words: list[str]) -> None:
    command: Any = COMMANDS["collect"]
    settings = command.settings(words)
    assert command.settings(shlex.split(command_of(settings))[2:]) == settings


def test_agents_are_run_by_name_with_what_they_need(pool: Path, tmp_path: Path) -> None:
    shutil.copytree(pool / "pool", tmp_path / "pool")
    words = ("--conditions", "texts", "--selections", "[]", "--agents", "*", "--pool", str(tmp_path / "pool"))
    assert collect(pool, *words) == 0
    kept = entries_of(tmp_path / "pool")
    found = {selection: one for (_, selection), one in kept.items() if "agent" in one["settings"]}
    assert set(found) == {"distilbert", "augmented", "random", "learning", "learned"}
    assert set(found["distilbert"]["scales"]) == {"gold", "logits", "hidden-cosine"}
    assert "transfer" not in found["distilbert"]["examples"]
    assert "augmented" in found["augmented"]["examples"]
    assert set(found["random"]["scales"]) == {"gold", "logits", "hidden"}
    assert "transfer" in found["random"]["examples"]
    assert found["learning"]["seconds"]["updating"] > 0
    assert set(found["learned"]["scales"]) == {"gold", "logits"}
    assert found["learned"]["seconds"]["updating"] > 0
    assert found["learned"]["steps"] == found["distilbert"]["steps"]
    runs = read_pool(tmp_path / "pool" / "runs.jsonl")
    assert {run.selection for run in runs if not run.stages} == set(found)
    assert not {trial.selection for trial in trials(runs)} & set(found)


def test_kinds_that_the_models_do_not_support_can_be_skipped(pool: Path, tmp_path: Path) -> None:
    text = (pool / "suite.yaml").read_text().replace("hidden]}", "hidden, marginals], skip_unsupported: true}")
    (tmp_path / "suite.yaml").write_text(text.replace("gold: {gold: 1,", "gold: {gold: 1, marginals: 1,"))
    options = ("--suite", str(tmp_path / "suite.yaml"), "--pool", str(tmp_path / "pool"), "--conditions", "new")
    assert collect(pool, *options) == 0
    (skipped,) = entries_of(tmp_path / "pool").values()
    assert set(skipped["scales"]) == {"gold", "logits", "hidden"}
    plain = entries(pool)["new", "gold"]
    assert skipped["marks"] == plain["marks"]


def test_every_condition_has_a_run_of_each_selection_that_it_allows(pool: Path) -> None:
    found = entries(pool)
    assert {selection for condition, selection in found if condition == "texts"} == {"gold", "texts", "texts>gold"}
    assert {selection for condition, selection in found if condition != "texts"} == {"gold"}
    for one in found.values():
        assert list(one["marks"]) == ["0.25", "0.5", "1.0"]
        assert set(one["marks"]["1.0"]) == {"reward", "dev"}
        assert set(one["marks"]["0.5"]) == {"reward"}
        assert one["examples"]["train"] == pytest.approx(64, abs=5)
        assert one["steps"] == pytest.approx(32, abs=3)


def test_a_switch_is_the_fixed_run_until_it_happens(pool: Path) -> None:
    found = entries(pool)
    fixed, switched = found["texts", "texts"]["marks"], found["texts", "texts>gold"]["marks"]
    assert fixed["0.25"] == switched["0.25"]
    assert fixed["0.5"] == switched["0.5"]
    assert fixed["1.0"] != switched["1.0"]


def test_conditions_share_a_teacher_that_is_trained_alike(pool: Path) -> None:
    names = sorted(path.name for path in (pool / "pool" / "teachers").iterdir() if not path.name.startswith("."))
    assert len(names) == 2  # one and its overconfident copy
    found = entries(pool)
    plain, sure = (found[name, "gold"]["teacher"]["dev"] for name in ("new", "sure"))
    assert plain["score"] == sure["score"]
    assert plain["loss"] != sure["loss"]


def test_decisions_are_kept_for_learning(pool: Path) -> None:
    arrays = np.load(pool / "pool" / "conditions" / "texts-0" / "texts.npz")
    decisions = len(arrays["step"])
    assert arrays["context"].shape[0] == arrays["knowledge"].shape[0] == decisions + 1
    assert arrays["knowledge"].shape[1] == arrays["weights"].shape[1] == 4
    assert arrays["reward"].shape == (decisions,)
    assert arrays["step"][-1] == entries(pool)["texts", "texts"]["steps"]
    assert arrays["logits-1.0"].shape == (len(arrays["labels"]), 2)


def test_the_table_of_a_pool_is_read_and_replayed(pool: Path) -> None:
    runs = read_pool(pool / "pool" / "runs.jsonl")
    by_name = {(run.condition, run.selection): run for run in runs}
    assert set(by_name) == set(entries(pool))
    assert by_name["texts", "gold"].rows == ("gold", "logits", "hidden", "transfer")
    assert by_name["new", "gold"].rows == ("gold", "logits", "hidden")
    texts = [run for run in runs if run.condition == "texts"]
    assert switch(texts, "texts", "gold", 0.5)[0].score == by_name["texts", "texts>gold"].score(1.0, "dev")
    assert race(texts, ["texts", "texts>gold"], 0.5)[0].cost == 1.0  # they are one student until then
    for run in runs:
        facts = run.read_facts().vector()
        observed = np.load(run.arrays(pool / "pool"))["context"][0][-len(facts) :]
        np.testing.assert_array_equal(observed, np.clip(facts, -5, 5))


def test_the_card_says_what_the_pool_holds(pool: Path) -> None:
    card = DatasetCard.load(pool / "pool" / "README.md")
    assert card.data.license == "other"
    assert "6 students" in card.text
    assert "4 conditions" in card.text
    assert "| texts | synthetic-acceptability | texts | 3 |" in card.text
    assert "| gold | gold 1, transfer 0 | 4 |" in card.text
    switched = "logits 1, hidden 1, transfer 1 until 0.5; then gold 1, transfer 0"
    assert f"| texts>gold | {switched} | 1 |" in card.text
    assert "| kselect | " in card.text
    assert "Of further runs" not in card.text


def test_runs_are_written_as_minari_datasets(
    pool: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    minari = pytest.importorskip("minari", reason="Minari is not installed: pip install 'kselect[collect]'")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert collect(pool, "--minari", "mine") == 0
    said = capsys.readouterr().out
    assert "minari: mine/4-rows-v0 (3 episodes)" in said
    assert "minari: mine/3-rows-v0 (3 episodes)" in said
    dataset = minari.load_dataset("mine/4-rows-v0")
    for episode in dataset.iterate_episodes():
        condition, selection = episode.infos["condition"][0], episode.infos["selection"][0]
        arrays = np.load(pool / "pool" / "conditions" / f"{condition}-0" / f"{selection}.npz")
        np.testing.assert_array_equal(episode.observations["knowledge"], arrays["knowledge"])
        np.testing.assert_array_equal(episode.actions, arrays["weights"])
        np.testing.assert_array_equal(episode.rewards, arrays["reward"])
        found = entries(pool)[condition, selection]["marks"]["1.0"]
        assert episode.infos["final_dev_score"][0] == found["dev"]["score"]
    data = json.loads((pool / "pool" / "conditions" / "texts-0" / "data.json").read_text())["student"]
    (teacher,) = (path for path in (pool / "pool" / "teachers").glob("*-factor1") if path.is_dir())
    env = dataset.recover_environment(teacher=str(teacher), layers=2, **data)
    assert env.observation_space == dataset.observation_space
    assert env.action_space == dataset.action_space


def test_a_run_that_fails_fails_the_command_and_is_counted_in_the_card(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE.replace("name: new,", "name: new, labelled: 100000,"))
    options = ["--suite", str(tmp_path / "suite.yaml"), "--pool", str(tmp_path / "pool"), "--conditions", "new"]
    assert collect(pool, *options) == 2
    assert "1 of 1 runs failed (Condition new needs" in capsys.readouterr().err
    assert "Of further runs, 1 failed." in (tmp_path / "pool" / "README.md").read_text()


def test_without_minari_there_is_a_line(
    pool: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kselect.cli.preflight.find_spec", lambda name: None)
    assert collect(pool, "--minari", "mine") == 2
    assert "pip install 'kselect[collect]'" in capsys.readouterr().err


def test_what_is_wrong_is_said_in_a_line(pool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--conditions", "text"], "did you mean 'texts'"),
        (["--conditions", "x*"], "No condition matches x*"),
        (["--selections", "gould"], "did you mean 'gold'"),
        (["--conditions", "new", "--selections", "texts"], "reads further texts, which none"),
        (["--seeds", "0,0"], "seeds names one twice"),
        (["--suite", "nowhere.yaml"], "nowhere.yaml"),
    ):
        assert collect(pool, *options) == 2
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error


@pytest.mark.slow
def test_an_ablation_says_what_each_kind_adds(pool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--ablate", "--conditions", "new", "--pool", str(pool / "ablation")]
    assert collect(pool, *options, "--selections", "everything,* alone,without hidden") == 0
    out = capsys.readouterr().out
    assert "What each kind of knowledge adds" in out
    row = next(line for line in out.splitlines() if line.startswith("new") and "hidden" in line)
    scores = {one: entry["marks"]["1.0"]["dev"]["score"] for (_, one), entry in entries_of(pool / "ablation").items()}
    assert f"{100 * (scores['everything'] - scores['without hidden']):+.1f}" in row
    assert collect(pool, "--plot", "map.png") == 2
    assert "plot is of ablate" in capsys.readouterr().err


def write_pool(folder: Path, **changes: str) -> Path:
    """Write a suite of one condition and one selection, and an encoder."""
    suite = SUITE.replace("  texts: {logits: 1, hidden: 1, transfer: 1}\n", "").split("  texts>gold:")[0]
    rest = SUITE[SUITE.index("defaults:") : SUITE.index("  - {name: texts")] + "  - {name: plain, stratum: plain}\n"
    for name, value in changes.items():
        rest = rest.replace(name, value)
    (folder / "suite.yaml").write_text(suite + rest)
    if not (folder / "encoder").exists():
        save_encoder(tiny_classifier(tiny_task(), layers=4), folder / "encoder")
    return folder


@pytest.mark.slow
def test_the_data_of_a_condition_that_has_changed_are_drawn_again(tmp_path: Path) -> None:
    assert collect(write_pool(tmp_path)) == 0
    drawn = tmp_path / "pool" / "conditions" / "plain-0"
    before = (drawn / "teacher-scores.json").read_text()
    changes = {"labelled: 64": "labelled: 32", "held_out: 40": "held_out: 60"}
    assert collect(write_pool(tmp_path, **changes)) == 0
    first, second = map(json.loads, (tmp_path / "pool" / "runs.jsonl").read_text().splitlines())
    assert [one["examples"]["train"] for one in (first, second)] == pytest.approx([64, 32], abs=5)
    assert second["steps"] == pytest.approx(first["steps"] / 2, abs=3)
    assert (drawn / "teacher-scores.json").read_text() != before
    time = (drawn / "data.json").stat().st_mtime_ns
    assert collect(write_pool(tmp_path, **changes, **{"epochs: 4.0": "epochs: 2.0"})) == 0
    assert (drawn / "data.json").stat().st_mtime_ns == time  # the data do not depend on epochs


def test_a_pool_has_one_encoder(pool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_encoder(tiny_classifier(tiny_task(), layers=4), pool / "other")
    assert collect(pool, "--encoder", str(pool / "other")) == 2
    assert "give that one, or another pool" in capsys.readouterr().err
