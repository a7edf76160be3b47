"""Score a saved model on a task, and compare it with the constant prediction, which ignores the input.

Takes a model, a run folder with a model in it (whose task and data are then those of the run unless others are
given; where only other files are given, they are read with its settings), or a policy, which is described, since it
has no score without a teacher.

Examples:
  kselect evaluate runs/student
  kselect evaluate runs/student/student --task mrpc --data_dir glue
  kselect evaluate runs/tags --report --report_file tags.json
  kselect evaluate runs/teacher/model --task rte --precision fp32
  kselect evaluate runs/policy
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kselect.agents.serialization import read_description
from kselect.cli.console import print_table
from kselect.cli.inference import load_inference_model
from kselect.cli.notices import no_better, warn_long
from kselect.config import EvaluateSettings
from kselect.distillation.evaluation import evaluation_of, predict
from kselect.io import write_json
from kselect.runs.artifacts import find_policy, find_settings, kind_of
from kselect.tasks.class_report import ClassReport, class_report
from kselect.tasks.task import Task

MOST_CLASSES = 15
"""Classes of the largest confusion matrix that is printed."""


def run(settings: EvaluateSettings, task: Task | None) -> None:
    """Print the model's scores on dev and on further splits like it, or a description of a policy."""
    policy = find_policy(settings.model.model)
    if policy is not None or task is None:
        _describe(Path(settings.model.model) if policy is None else policy)
    else:
        _score(settings, task)


def _score(settings: EvaluateSettings, task: Task) -> None:
    model = load_inference_model(settings.model, task, settings.task.max_length)
    encoded = {
        split: task.encode(task.splits[split], model.classifier.tokenizer, model.max_length) for split in task.reported
    }
    every = encoded.values()
    warn_long(sum(one.truncated for one in every), sum(one.in_pieces for one in every), model.max_length)
    limit = settings.task.train_limit
    written: dict[str, Any] = {}
    for split, examples in encoded.items():
        indices = np.arange(len(examples))
        predictions = predict(model.classifier, examples, indices, model.batch_size, model.dtype)
        evaluation = evaluation_of(predictions, task, examples, indices)
        constant = task.constant_score(split)
        rows = [[name, f"{value:.4f}", f"{constant[name]:.4f}"] for name, value in evaluation.metrics.items()]
        rows.append(["squared error" if task.regression else "cross-entropy", f"{evaluation.loss:.4f}", ""])
        columns = ["metric", kind_of(settings.model.model), "constant prediction"]
        cut = f" (cut to train_limit {limit})" if len(task.splits[split]) == limit else ""
        print_table(f"{task.name}, {evaluation.examples} examples of {split}{cut}", columns, rows)
        if not task.has_one_label(split):
            for line in no_better(split, evaluation.metrics["score"], constant["score"]):
                print(line)
        written[split] = {**vars(evaluation), "constant": constant}
        report = class_report(task, predictions.answers, examples, indices)
        if report is not None:
            written[split]["classes"] = report.to_dict()
            if settings.report.report:
                _print_report(split, report)
    if settings.report.report_file is not None:
        write_json(Path(settings.report.report_file), written)


def _print_report(split: str, report: ClassReport) -> None:
    """Print the scores of each class, and the confusion matrix if it is not too wide for that."""
    rows = [[name, *(f"{v:.4f}" for v in each[:3]), str(each.support)] for name, each in report.scores.items()]
    rows.append(["macro", "", "", f"{report.macro_f1:.4f}", str(sum(each.support for each in report.scores.values()))])
    print_table(f"classes of {split}", ["class", "precision", "recall", "f1", "support"], rows)
    if not report.names:
        return
    if len(report.names) > MOST_CLASSES:
        print(f"The confusion matrix has {len(report.names)} classes, which a report_file holds.")
        return
    counts = [[name, *map(str, row)] for name, row in zip(report.names, report.confusion.tolist(), strict=True)]
    print_table(f"confusion on {split}", ["gold, by predicted", *report.names], counts)


def _describe(policy: Path) -> None:
    description, run = read_description(policy), find_settings(str(policy))
    rows = [["agent", description["class"]], ["actions", description["actions"]]]
    rows += [[name, str(value)] for name, value in description["settings"].items()]
    knowledge = description.get("names") or run.get("knowledge")
    rows += [["knowledge", ", ".join(knowledge)]] if knowledge else []
    rows += [["task", str(run["task"])]] if "task" in run else []
    print_table(f"{policy} is a policy", ["setting", "value"], rows)
    print(f"It is scored by distilling a student: kselect distill --agent {policy} --teacher ...")
