"""Score a saved model on a task, beside the constant prediction.

Takes a model, a run folder with a model in it (whose task and data are then those of the run unless others are
given; where only other files are given, they are read with its settings), or a policy, which has no score without a
teacher: what it is gets printed.

Examples:
  kselect evaluate runs/student
  kselect evaluate runs/student/student --task mrpc --data_dir glue
  kselect evaluate runs/teacher/model --task rte --precision fp32
  kselect evaluate runs/policy
"""

from __future__ import annotations

from pathlib import Path

from kselect.cli.saved import find_policy, find_settings, kind_of, task_of_run
from kselect.config import EvaluateSettings as Settings

NAME = "evaluate"
POSITIONAL = "model"
UNDER = task_of_run


def run(settings: Settings) -> None:
    """Print the model's scores on dev and on further splits like it, or what a policy is."""
    policy = find_policy(settings.model.model)
    if policy is not None:
        _describe(policy)
    else:
        _score(settings)


def _score(settings: Settings) -> None:
    import numpy as np

    from kselect.tasks.registry import make_task

    task = make_task(settings.task)  # before torch is loaded, so that faults in data are told at once

    from kselect.cli.scoring import load_scorer
    from kselect.cli.session import no_better
    from kselect.cli.table import print_table
    from kselect.distillation.evaluation import evaluate

    scorer = load_scorer(settings.model, task, settings.task.max_length)
    encoded = scorer.encode({split: task.splits[split] for split in task.reported})
    limit = settings.task.train_limit
    for split, examples in encoded.items():
        every = np.arange(len(examples))
        evaluation = evaluate(scorer.classifier, task, examples, every, settings.model.batch_size, scorer.dtype)
        constant = task.constant_score(split)
        rows = [[name, f"{value:.4f}", f"{constant[name]:.4f}"] for name, value in evaluation.metrics.items()]
        rows.append(["squared error" if task.regression else "cross-entropy", f"{evaluation.loss:.4f}", ""])
        columns = ["metric", kind_of(settings.model.model), "constant"]
        cut = f" (cut to train_limit {limit})" if len(task.splits[split]) == limit else ""
        print_table(f"{task.name}, {evaluation.examples} examples of {split}{cut}", columns, rows)
        if not task.has_one_label(split):
            for line in no_better(split, evaluation.metrics["score"], constant["score"]):
                print(line)


def _describe(policy: Path) -> None:
    from kselect.agents.serialization import read_description
    from kselect.cli.table import print_table

    description, run = read_description(policy), find_settings(str(policy))
    rows = [["agent", description["class"]], ["actions", description["actions"]]]
    rows += [[name, str(value)] for name, value in description["settings"].items()]
    knowledge = description.get("names") or run.get("knowledge")
    rows += [["knowledge", ", ".join(knowledge)]] if knowledge else []
    rows += [["task", str(run["task"])]] if "task" in run else []
    print_table(f"{policy} is a policy", ["setting", "value"], rows)
    print(f"Its score is that of a student: kselect distill --agent {policy} --teacher ...")
