"""`kselect explain`: the ladder on tiny models, its files, a stopped one gone on with, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kselect.analysis.plotting import can_draw
from kselect.cli.main import main
from kselect.models.scratch import new_classifier
from kselect.tasks import load_task
from kselect.tasks.synthetic.tasks import TOPICS
from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer
from tests import word_files
from tests.command_line import settings_of
from tests.tiny import tiny_classifier, tiny_task
from tests.word_files import SENTENCES

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs" / "explain").glob("*.yaml"))
SMALL = ["--max_length", "32", "--batch_size", "16", "--precision", "fp32", "--learning_rate", "3e-3", "--epochs", "1"]
TOPIC_RUNGS = ["fine-tune", "label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim", "kd", "kd-top-3", "kd-top-6"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Teachers of twelve topics and of two classes, as they were drawn."""
    place = tmp_path_factory.mktemp("place")
    task = load_task("synthetic-topics", train_limit=120)
    tokenizer = synthetic_tokenizer(32, TOPICS.vocabulary())
    teacher = new_classifier(task, tokenizer, layers=2, hidden_size=16, heads=2, max_length=32)
    teacher.save_pretrained(place / "topics")
    tiny_classifier(tiny_task(), layers=2).save_pretrained(place / "two")
    return place


def topics(place: Path, runs: Path, *more: str) -> list[str]:
    task = ["--task", "synthetic-topics", "--train_limit", "120", "--teacher", str(place / "topics"), "--layers", "1"]
    return ["explain", *task, *SMALL, "--seeds", "0,1", "--runs_dir", str(runs), *more]


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def fails(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    capsys.readouterr()
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1].removeprefix("kselect: error: ")


@pytest.fixture(scope="module")
def straight(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ladder that was never stopped."""
    runs = tmp_path_factory.mktemp("straight")
    assert main(topics(place, runs, "--run_name", "straight")) == 0
    return runs / "straight"


def test_the_folder_holds_runs_table_curves_and_results(straight: Path) -> None:
    lines = [json.loads(line) for line in (straight / "runs.jsonl").read_text().splitlines()]
    assert [(line["seed"], line["rung"]) for line in lines] == [(seed, rung) for seed in (0, 1) for rung in TOPIC_RUNGS]
    found = results(straight)
    assert (found["task"], found["classes"], found["seeds"]) == ("synthetic-topics", 12, [0, 1])
    assert set(found["rungs"]) == set(TOPIC_RUNGS)
    for line in lines:
        assert found["rungs"][line["rung"]]["metrics"][str(line["seed"])] == line["metrics"]
    scores = {(line["rung"], line["seed"]): 100 * line["metrics"]["score"] for line in lines}
    gains = [scores["kd", seed] - scores["fine-tune", seed] for seed in (0, 1)]
    assert found["metrics"]["gain/kd"] == found["rungs"]["kd"]["gain"]["mean"] == pytest.approx(sum(gains) / 2)
    assert [lead["of"] for lead in found["leads"]] == ["kd-pt", "kd-sim", "kd-pt"]
    table = (straight / "explanation.md").read_text()
    assert all(
        f"\n| {rung} | " in re.sub(" +", " ", table) for rung in ("constant prediction", "teacher", *TOPIC_RUNGS)
    )
    assert all(f"* {finding}\n" in table for finding in found["findings"])
    events = EventAccumulator(str(straight)).Reload()
    curve = [(event.step, event.value) for event in events.Scalars("score/kd-pt")]
    expected = [(line["seed"], line["metrics"]["score"]) for line in lines if line["rung"] == "kd-pt"]
    assert [step for step, _ in curve] == [seed for seed, _ in expected]
    assert [value for _, value in curve] == pytest.approx([score for _, score in expected])
    assert "explanation/text_summary" in events.Tags()["tensors"]
    assert events.Scalars("result/gain/kd")[0].value == pytest.approx(found["metrics"]["gain/kd"])
    assert (straight / "explanation.png").exists() == can_draw()
    assert json.loads((straight / "environment.json").read_text())["seed"] == [0, 1]
    assert not (straight / "checkpoints").exists()


@pytest.mark.slow
def test_kd_is_vanilla_kd_and_every_rung_a_distillation_of_its_own(place: Path, straight: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (straight / "runs.jsonl").read_text().splitlines()]
    found = {(line["rung"], line["seed"]): line["metrics"] for line in lines}
    base = ["distill", *topics(place, tmp_path)[1:], "--temperature", "1"]
    base[base.index("--seeds") : base.index("--seeds") + 2] = ["--seed", "1"]
    known = results(straight)["teacher"]
    strength = [word for name in ("label_smoothing", "similarity_mass") for word in (f"--{name}", str(known[name]))]

    def fixed(kind: str) -> list[str]:
        return ["--agent", "fixed", "--agent_settings", json.dumps({"weights": {"gold": 0.5, kind: 0.5}})]

    for rung, how in (
        ("kd", ["--agent", "vanilla-kd"]),
        ("fine-tune", ["--agent", "fine-tune"]),
        ("kd-top-3", [*fixed("kd-top-k"), "--top_k", "0.25"]),
        ("label-smoothing", fixed("label-smoothing") + strength),
        ("kd-sim", fixed("kd-sim") + strength),
        ("kd-pt", fixed("kd-pt")),
        ("kd-pt-sim", fixed("kd-pt-sim")),
    ):
        assert main([*base, *how, "--run_name", rung]) == 0
        assert results(tmp_path / rung)["metrics"] == found[rung, 1]


def interrupt(words: list[str], ledger: Path, runs: int) -> None:
    """Run a command in this process, and interrupt it after so many runs."""

    def watch() -> None:
        while not ledger.exists() or ledger.read_text().count("\n") < runs:
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    assert main(words) == 130
    watcher.join()


@pytest.mark.slow
def test_a_stopped_ladder_goes_on_where_it_was(
    place: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    words = topics(place, tmp_path, "--run_name", "mine")
    interrupt(words, folder / "runs.jsonl", runs=5)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    (done,) = re.findall(r"interrupted after (\d+) of 16 runs; to resume, give the same command again", last)
    kept = (folder / "runs.jsonl").read_text()
    assert 5 <= int(done) < 16
    assert not (folder / "results.json").exists()
    assert "learning_rate was 0.003, is 0.1" in fails(capsys, [*words, "--learning_rate", "0.1"])
    assert main(words) == 0
    assert f"Resuming {folder} after {done} of 16 runs." in capsys.readouterr().err
    assert (folder / "runs.jsonl").read_text().startswith(kept)
    ours, theirs = results(folder), results(straight)
    assert {name: ours[name] for name in ours} == {name: theirs[name] for name in theirs}
    assert "its run is finished" in fails(capsys, words)


@pytest.mark.slow
def test_runs_of_another_ladder_are_taken_over(
    place: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = ["--earlier", str(straight), "--measure", "loss"]
    assert main([*topics(place, tmp_path, "--run_name", "more"), *earlier, "--seeds", "0,1,2", "--top_k", "0.25"]) == 0
    assert "14 of 21 runs are finished already." in capsys.readouterr().err
    before, more = results(straight), results(tmp_path / "more")
    assert (more["seeds"], more["measure"]) == ([0, 1, 2], "loss")
    for name, rung in more["rungs"].items():
        assert {seed: rung["metrics"][seed] for seed in "01"} == before["rungs"][name]["metrics"]

    assert main([*topics(place, tmp_path, "--run_name", "third"), "--seeds", "2"]) == 0
    for name, rung in results(tmp_path / "third")["rungs"].items():
        if name in more["rungs"]:
            assert rung["metrics"]["2"] == more["rungs"][name]["metrics"]["2"]


def test_runs_of_other_settings_are_not_taken_over(
    place: Path, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = topics(place, tmp_path, "--run_name", "more", "--earlier", str(straight))
    assert fails(capsys, [*words, "--learning_rate", "0.1"]) == (
        f"{straight} holds runs of other settings: learning_rate was 0.003, is 0.1."
    )
    assert fails(capsys, [*words, "--earlier", str(tmp_path)]) == (
        f"earlier is {tmp_path}, which holds no runs of an ablation: give a folder of `explain`. (--earlier)"
    )
    assert list(tmp_path.iterdir()) == []


def test_other_data_are_noticed(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = topics(place, tmp_path, "--run_name", "mine")
    interrupt(words, tmp_path / "mine" / "runs.jsonl", runs=1)
    ledger = tmp_path / "mine" / "runs.jsonl"
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    lines[0]["initial_losses"]["logits"] += 1
    ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "teacher or data have changed, since the loss of logits" in fails(capsys, words)


def test_of_two_classes_it_says_what_is_what_and_trains_none_twice(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = [
        "--task",
        "synthetic-acceptability",
        "--train_limit",
        "80",
        "--teacher",
        str(place / "two"),
        "--layers",
        "1",
    ]
    assert main(["explain", *task, *SMALL, "--seeds", "0", "--runs_dir", str(tmp_path), "--run_name", "mine"]) == 0
    told = capsys.readouterr()
    lines = [json.loads(line) for line in (tmp_path / "mine" / "runs.jsonl").read_text().splitlines()]
    assert [line["rung"] for line in lines] == ["fine-tune", "label-smoothing", "kd"]
    found = results(tmp_path / "mine")
    for rung in ("kd-pt", "kd-pt-sim", "kd-top-1"):
        assert found["rungs"][rung]["same_as"] == "kd"
        assert found["rungs"][rung]["metrics"] == found["rungs"]["kd"]["metrics"]
    assert found["rungs"]["kd-sim"]["same_as"] == "label-smoothing"
    assert found["order"] == "not asked"
    two = "kd-pt and kd-pt-sim are identical to kd, and kd-sim is a label smoothing of "
    table = (tmp_path / "mine" / "explanation.md").read_text()
    for text in (told.err, table):  # before anything is trained, and in the folder beside what came of it
        assert two + f"{found['teacher']['label_smoothing']:.2g}" in text
        assert "kd-top-1 leaves out at most one class, so it is identical to kd." in text
    assert "A single seed gives no error estimate" in told.out
    assert {(told.err + told.out).count(finding) for finding in found["findings"]} == {1}
    assert re.search(r"Explaining synthetic-acceptability: \d+/\d+ steps \(100 %\)", told.err)
    assert "| kd-pt (= kd) | instance | " in re.sub(" +", " ", table)
    assert "±" not in table.partition("| condition")[2].partition("\n\n")[0]


def of_tags(folder: Path, head: str) -> list[str]:
    word_files.write(folder)
    files = ["--train_file", str(folder / "train.conll"), "--dev_file", str(folder / "dev.conll")]
    task = ["--task_type", "tags", "--task", "mine", *files, "--runs_dir", str(folder), *SMALL[2:]]
    encoder = ["--encoder", str(folder / "encoder"), "--head", head, "--run_name", "teacher"]
    assert main(["train-teacher", *task, *encoder]) == 0
    return ["explain", *task, "--teacher", str(folder / "teacher" / "model"), "--layers", "1", "--run_name", "mine"]


def test_tags_have_levels_under_a_tagger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*of_tags(tmp_path, "tagger"), "--seeds", "0", "--measure", "loss"]) == 0
    found = results(tmp_path / "mine")
    assert (found["classes"], found["measure"]) == (5, "loss")
    losses = {name: rung["metrics"]["0"]["loss"] for name, rung in found["rungs"].items()}
    assert found["metrics"]["gain/kd"] == pytest.approx(losses["fine-tune"] - losses["kd"])
    assert "nats on dev over fine-tuning" in capsys.readouterr().out


def test_tags_that_hang_together_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = fails(capsys, of_tags(tmp_path, "crf"))
    assert error.startswith("The teacher's head crf has no levels of knowledge")


def test_a_regression_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{sentence}\t{i / 3}" for i, sentence in enumerate(SENTENCES)]
    (tmp_path / "scored.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    word_files.save_encoder(tmp_path / "encoder")
    task = ["--train_file", str(tmp_path / "scored.tsv"), "--text_columns", "text", "--regression", "true"]
    task += ["--runs_dir", str(tmp_path), *SMALL[2:]]
    encoder = ["--encoder", str(tmp_path / "encoder"), "--run_name", "teacher"]
    assert main(["train-teacher", *task, *encoder]) == 0
    words = ["explain", *task, "--teacher", str(tmp_path / "teacher" / "model"), "--layers", "1"]
    error = fails(capsys, words)
    assert error.startswith("scored is a regression: without classes there are no levels of knowledge")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--seeds", ""], "seeds is empty: give one, or better several, such as 0,1,2."),
        (["--seeds", "0,0"], "seeds names one twice: 0, 0."),
        (["--seeds", "0,-1"], "seed is -1: give 0 or more, below 2147483648."),
        (["--seeds", "many"], "--seeds is 'many': expected whole numbers such as 1,3,5."),
        (["--top_k", "0.5,2"], "top_k is 2.0: give a share of the classes, more than 0 and up to 1."),
        (["--top_k", "half"], "--top_k is 'half': expected numbers such as 0.25,0.5."),
        (["--gold_share", "1"], "gold_share is 1.0: give a share below 1."),
        (["--measure", "f1"], "--measure is 'f1': expected score or loss."),
        (["--run_name", "a/b"], "run_name is 'a/b': give a plain name"),
        (["--agent", "all"], "Unknown option '--agent'"),
        (["--teacher", "nowhere"], "nowhere"),
    ],
)
def test_bad_input(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
    assert said in fails(capsys, topics(place, tmp_path, *more))
    assert list(tmp_path.iterdir()) == []


def test_a_parser_is_refused(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = topics(place, tmp_path)
    error = fails(capsys, [*words, "--parser", words[words.index("--teacher") + 1]])
    assert error.startswith("parser is for parser-trees, which no level of knowledge reads: leave it out.")


def test_several_teachers_are_refused(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = topics(place, tmp_path)
    words[words.index("--teacher") + 1] += f",{place / 'two'}"
    assert fails(capsys, words).startswith("Levels of knowledge are those of one teacher: give one.")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_and_their_commands_are_accepted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    comment = "\n".join(line[1:] for line in path.read_text().splitlines() if line.startswith("#"))
    lines = [line for line in comment.replace("\\\n", " ").splitlines() if line.startswith("   kselect ")]
    assert [shlex.split(line)[1] for line in lines] == ["train-teacher", "explain"]
    for line in lines:
        name, *words = shlex.split(line)[1:]
        settings = settings_of(name, words)
    assert words == ["--config", f"configs/explain/{path.name}"]
    (teacher,) = re.findall(r"--run_name (\S+)", lines[0])
    assert settings.model.teacher == f"runs/{teacher}/model"


def test_a_teacher_that_learned_nothing_is_reported_before_the_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    teacher = tiny_classifier(tiny_task(), layers=2)
    with torch.no_grad():
        teacher.model.get_parameter("classifier.weight").zero_()
    teacher.save_pretrained(tmp_path / "teacher")
    capfd.readouterr()
    task = ["--task", "synthetic-acceptability", "--train_limit", "64", "--teacher", str(tmp_path / "teacher")]
    assert main(["explain", *task, "--layers", "1", *SMALL, "--seeds", "0", "--runs_dir", str(tmp_path / "runs")]) == 0
    _, first, *rest = capfd.readouterr().err.splitlines()
    assert first.startswith("Warning: the teacher is no better than the constant prediction (")
    assert any(line.startswith("Explaining synthetic-acceptability: ") for line in rest)
