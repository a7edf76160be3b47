"""Score a saved model on a task, beside the constant prediction.

Examples:
  kselect evaluate runs/student/student --task mrpc
  kselect evaluate runs/teacher/model --task rte --data_dir glue --precision fp32
"""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config import EvaluationConfig, TaskConfig

NAME = "evaluate"
POSITIONAL = "model"


@dataclass
class Settings:
    """What `kselect evaluate` takes."""

    model: EvaluationConfig
    task: TaskConfig


def run(settings: Settings) -> None:
    """Print the model's scores on the dev split."""
    import numpy as np
    import torch
    from accelerate import Accelerator

    from kselect.cli.session import warn_truncated
    from kselect.cli.table import print_table
    from kselect.distillation.evaluation import evaluate
    from kselect.distillation.precision import resolve_precision
    from kselect.distillation.setup import make_task
    from kselect.models.classifier import input_length, load_classifier
    from kselect.tasks.encoding import encode

    task = make_task(settings.task)
    classifier = load_classifier(settings.model.model, task)
    max_length = input_length(classifier, settings.task.max_length)
    device = Accelerator(cpu=not torch.cuda.is_available()).device
    encoded = encode(task.splits["dev"], classifier.tokenizer, max_length)
    warn_truncated(encoded.truncated, max_length)
    evaluation = evaluate(
        classifier.model.to(device),
        task,
        encoded,
        np.arange(len(encoded)),
        settings.model.batch_size,
        resolve_precision(settings.model.precision, device),
    )
    constant = task.constant_score("dev")
    rows = [[name, f"{value:.4f}", f"{constant[name]:.4f}"] for name, value in evaluation.metrics.items()]
    rows.append(["cross-entropy", f"{evaluation.loss:.4f}", ""])
    print_table(f"{task.name}, {evaluation.examples} examples of dev", ["metric", "model", "constant"], rows)
