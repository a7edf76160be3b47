"""Show the whole path in minutes, on generated data.

Generates a small suite of tasks, trains a teacher, trains a selection policy, distils students under it
and under baselines, and prints them side by side.

Examples:
  kselect demo
  kselect demo --seed 1 --runs_dir runs/demo
"""

from __future__ import annotations

from pathlib import Path

from kselect.cli import distill, train_policy, train_teacher
from kselect.config import (
    AgentConfig,
    DistillSettings,
    PolicyConfig,
    RunConfig,
    StudentConfig,
    TaskConfig,
    TrainingConfig,
    TrainPolicySettings,
    TrainTeacherSettings,
)
from kselect.config import DemoSettings as Settings

NAME = "demo"
TASKS = ("synthetic-acceptability", "synthetic-entailment")
BASELINES = ("fine-tune", "vanilla-kd", "all", "random-hard")
TEACHER = TrainingConfig(epochs=10, batch_size=64, learning_rate=1e-3, precision="fp32")
STUDENT = TrainingConfig(epochs=1, batch_size=64, learning_rate=5e-4, precision="fp32")
EPISODES = 4


def run(settings: Settings) -> None:
    """Run the demonstration."""
    from datetime import datetime

    from kselect.cli.table import print_table

    folder = Path(settings.run.runs_dir) / f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    header: list[str] = ["agent"]
    columns: list[list[str]] = []
    for task in TASKS:
        header += [task.removeprefix("synthetic-"), "time"]
        columns += _scores_and_times(_distil_students(task, folder, settings.run.seed))
    agents = ["constant prediction", "teacher", "(learning the policy)", *BASELINES, "learned policy"]
    print_table("Score on dev, time of training", header, [list(row) for row in zip(agents, *columns, strict=True)])
    print("One seed and small tasks: differences of a point or two are chance. Scores are Matthews and accuracy.")
    print(f"students: {folder}/*/student, which transformers' AutoModelForSequenceClassification loads")
    print(f"curves:   tensorboard --logdir {folder}")


def _distil_students(name: str, folder: Path, seed: int) -> list[Path]:
    """Train a teacher, a policy, and a student under every agent; returns the folders in this order."""
    from kselect.recipes import resolve

    short = name.removeprefix("synthetic-")
    task = TaskConfig(name)

    def place(what: str) -> RunConfig:
        return RunConfig(seed, str(folder), f"{short}-{what}")

    teacher = train_teacher.run(TrainTeacherSettings(task=task, training=TEACHER, run=place("teacher")))
    model = StudentConfig(str(teacher / "model"), layers=2)
    policy = train_policy.run(
        TrainPolicySettings(
            task=task, model=model, training=STUDENT, policy=PolicyConfig(EPISODES), run=place("policy")
        )
    )
    deciders = {name: name for name in BASELINES} | {"learned": str(policy / "policy")}
    students = [
        distill.run(
            DistillSettings(
                task=task, model=model, training=STUDENT, knowledge=resolve(agent), agent=agent, run=place(what)
            )
        )
        for what, agent in ((what, AgentConfig(name)) for what, name in deciders.items())
    ]
    return [teacher, policy, *students]


def _scores_and_times(folders: list[Path]) -> tuple[list[str], list[str]]:
    """Return the cells of one task: the constant prediction's, then those of each run."""
    from kselect.io import read_json

    results = [read_json(folder / "results.json") for folder in folders]
    scores = [results[0]["constant"]["score"], *(result["metrics"].get("score") for result in results)]
    return ["" if score is None else f"{score:.3f}" for score in scores], [
        "",
        *(f"{result['seconds']:.1f} s" for result in results),
    ]
