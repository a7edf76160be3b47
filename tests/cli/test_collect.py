"""`kselect collect` on generated tasks with a tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kselect.cli.main import main
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
    lines = (folder / "pool" / "runs.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert len({(one["condition"], one["selection"]) for one in found}) == len(found)  # none was computed twice
    return {(one["condition"], one["selection"]): one for one in found}


def test_every_condition_has_a_run_of_each_selection_that_it_allows(pool: Path) -> None:
    found = entries(pool)
    assert {selection for condition, selection in found if condition == "texts"} == {"gold", "texts", "texts>gold"}
    assert {selection for condition, selection in found if condition != "texts"} == {"gold"}
    for one in found.values():
        assert list(one["marks"]) == ["0.25", "0.5", "1.0"]
        assert set(one["marks"]["1.0"]) == {"reward", "dev"}
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


def test_what_is_wrong_is_said_in_a_line(pool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--conditions", "text"], "did you mean 'texts'"),
        (["--conditions", "x*"], "No condition matches x*"),
        (["--selections", "gould"], "did you mean 'gold'"),
        (["--seeds", "0,0"], "seeds names one twice"),
        (["--suite", "nowhere.yaml"], "nowhere.yaml"),
    ):
        assert collect(pool, *options) == 2
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
