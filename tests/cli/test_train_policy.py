"""A policy on several tasks: what each takes from the command, what is refused, and what the run tells of it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import yaml
from gymnasium.vector import SyncVectorEnv
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kselect.cli.commands import COMMANDS
from kselect.cli.further_tasks import settings_of_tasks
from kselect.cli.main import main
from kselect.cli.train_policy import env_specs
from kselect.cli.training_run import build_distiller
from kselect.recipes.policies import build_trainable_agent
from kselect.training.api import Episode, learn
from tests.command_line import settings_of
from tests.tiny import save_encoder, tiny_classifier, tiny_task

TASKS = ("acceptability", "entailment")


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teachers")
    for name in TASKS:
        tiny_classifier(tiny_task(f"synthetic-{name}")).save_pretrained(folder / name)
        (folder / f"{name}.yaml").write_text(f"task: synthetic-{name}\nteacher: {folder / name}\nepochs: 2\n")
    return folder


def words(teachers: Path, runs: Path, *more: str) -> list[str]:
    small = ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--layers", "1"]
    main_task = ["--config", str(teachers / "acceptability.yaml"), "--epochs", "1"]
    return ["train-policy", *main_task, *small, "--runs_dir", str(runs), "--episodes", "4", *more]


@pytest.fixture(scope="module")
def folder(teachers: Path) -> Path:
    """A policy learned on both tasks, whose second file is gone since."""
    runs, also = teachers / "runs", teachers / "also.yaml"
    also.write_text((teachers / "entailment.yaml").read_text())
    assert main(words(teachers, runs, "--also", str(also))) == 0
    also.unlink()
    (folder,) = runs.iterdir()
    return folder


def test_tasks_alternate_and_the_run_logs_each(folder: Path) -> None:
    assert folder.name.startswith("synthetic-acceptability-synthetic-entailment-policy-actor-critic-0-")
    results = json.loads((folder / "results.json").read_text())
    assert results["tasks"] == 2 * ["synthetic-acceptability", "synthetic-entailment"]
    assert results["metrics"] == {
        "reward/synthetic-acceptability": results["rewards"][2],
        "reward/synthetic-entailment": results["rewards"][3],
    }
    phases = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = {i: sum(phase["steps"] for phase in phases if phase["episode"] == i) for i in range(4)}
    assert steps == {0: 10, 1: 20, 2: 10, 3: 20}  # an epoch here, two there, as each file says
    assert {phase["task"] for phase in phases if phase["episode"] % 2} == {"synthetic-entailment"}
    assert [phase["step"] for phase in phases] == sorted({phase["step"] for phase in phases})
    events = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in events.Scalars("result/reward/synthetic-entailment")] == [60]


@pytest.mark.slow
def test_its_config_alone_repeats_the_run(folder: Path, tmp_path: Path) -> None:
    config = folder / "config.yaml"
    assert json.loads(yaml.safe_load(config.read_text())["also"][0])["epochs"] == 2.0
    assert main(["train-policy", "--config", str(config), "--runs_dir", str(tmp_path), "--run_name", "again"]) == 0
    policies = [(path / "policy" / "agent.safetensors").read_bytes() for path in (folder, tmp_path / "again")]
    assert policies[0] == policies[1]


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("teacher: x", [], "also.yaml names no task: a further task needs at least its task and its teacher."),
        ("task: rte", [], "also.yaml names no teacher: a further task"),
        ("task: rte\nteacher: x\nseed: 3", [], "also.yaml: seed is shared by all tasks: leave it out there"),
        ("task: rte\nteacher: x\nepoch: 3", [], "also.yaml: unknown key 'epoch': did you mean 'epochs'?"),
        ("task: rte\nteacher: x\nepochs: many", [], "also.yaml: epochs is 'many': expected a number."),
        ("- rte", [], "also.yaml is not a mapping"),
        (None, [], "also.yaml does not exist: give --also the path of a YAML file."),
        ("task: rte\nteacher: x", ["--episodes", "1"], "episodes is 1: give one for each of 2 tasks, or more."),
        ("task: rte\nteacher: x", ["--parallel", "3"], "parallel is 3: give a divisor of episodes (4)."),
        (
            "task: rte\nteacher: x",
            ["--episodes", "3", "--parallel", "3"],
            "parallel is 3: give 1, or a multiple of the",
        ),
        (
            "task: rte\nteacher: x",
            ["--engine", "ray"],
            "engine is ray, which computes parallel episodes: give",
        ),
        ("task: rte\nteacher: x", ["--gpus_per_run", "1"], "gpus_per_run is for the engine ray: leave it out."),
        ("task: rte\nteacher: x", ["--engine", "slurm"], "--engine is 'slurm': expected local or ray."),
        ("KNOWLEDGE", [], "One policy needs one kind of environment: offer the same knowledge in every task, in the"),
        ("KNOWLEDGE", ["--parallel", "2"], "One policy needs one kind of environment: offer the same knowledge in"),
        ("task: rte\nteacher: x\nstudent: y", ["--layers", "1"], "layers is 1, but y has its own layers"),
    ],
)
def test_bad_further_tasks(
    teachers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, more: list[str], said: str
) -> None:
    also = tmp_path / "also.yaml"
    if text == "KNOWLEDGE":
        text = (teachers / "entailment.yaml").read_text() + "knowledge: [gold, logits]\n"
    if text is not None:
        also.write_text(text)
    assert main(words(teachers, tmp_path / "runs", "--also", str(also), *more)) == 2
    error = capsys.readouterr().err
    assert said in error
    *data, _ = error.splitlines()
    assert all("; train: " in line for line in data)
    assert not (tmp_path / "runs").exists()


def headless(task: str, folder: Path) -> Path:
    classifier = tiny_classifier(tiny_task(task), layers=2)
    save_encoder(classifier, folder)
    return folder


def test_a_further_task_may_load_its_student(tmp_path: Path) -> None:
    also = tmp_path / "also.yaml"
    also.write_text("task: rte\nteacher: t\nstudent: s")
    command = COMMANDS["train-policy"]
    settings = settings_of(command.name, ["--teacher", "t", "--episodes", "2", "--also", str(also)])
    _, further = settings_of_tasks(settings, settings.policy.also, COMMANDS["train-policy"])
    assert (further.model.student, further.model.kept_layers) == ("s", None)
    assert settings.model.kept_layers == 3


def test_processes_train_the_students_that_a_serial_run_trains(teachers: Path, tmp_path: Path) -> None:
    student = headless("synthetic-acceptability", tmp_path / "student")
    small = ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--epochs", "1"]
    run = ["--config", str(teachers / "acceptability.yaml"), "--student", str(student), "--seed", "5"]
    settings = settings_of("train-policy", [*run, *small])
    distiller = build_distiller(settings)

    def learned(streams: bool) -> Episode:
        setup = build_trainable_agent(settings.agent, distiller, settings.phases, 5)
        (spec,) = env_specs(setup.env, [settings], [distiller])
        vector = SyncVectorEnv([pickle.loads(pickle.dumps(spec)).make])
        (episode,) = learn(setup.agent, vector if streams else setup.env, 1, seed=5)
        return episode

    assert learned(streams=True).history == learned(streams=False).history


def test_other_data_are_not_learned_from_by_the_first_tasks_sentences(teachers: Path, tmp_path: Path) -> None:
    words = ["--task_type", "tags", "--task", "one", "--train_file", "one.conll", "--unlabelled_file", "words.txt"]
    for more, kept in (({"train_file": "other.conll"}, None), ({}, "words.txt")):
        also = ["--also", str(tmp_path / "other.yaml")]
        (tmp_path / "other.yaml").write_text(yaml.safe_dump({"task": "other", "teacher": "t", **more}))
        command = COMMANDS["train-policy"]
        settings = settings_of(command.name, [*words, "--teacher", str(teachers / TASKS[0]), *also])
        first, other = settings_of_tasks(settings, settings.policy.also, command)
        assert (first.task.unlabelled_file, other.task.unlabelled_file) == ("words.txt", kept)


def test_several_files_are_one_option(teachers: Path) -> None:
    settings = settings_of("train-policy", ["--teacher", "t", "--also", "a.yaml,b.yaml"])
    assert settings.policy.also == ["a.yaml", "b.yaml"]
