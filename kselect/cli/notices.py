"""What commands say of the data, the student and its scores."""

from __future__ import annotations

from kselect.cli.console import notice
from kselect.config import StudentConfig
from kselect.distillation.builders import Models
from kselect.distillation.distiller import Distiller
from kselect.tasks.task import Task

FEW = 20
"""Examples, below which a score moves by five points or more with a single one."""


def warn_of_head(models: Models) -> None:
    """Warn of a student whose head is randomly initialised."""
    if models.head_is_random:
        notice(f"The student's head, {models.student.head.name}, is randomly initialised, with the seed of the run.")


def say_default_depth(config: StudentConfig, models: Models) -> None:
    """Say how many layers the student keeps where nobody has chosen."""
    if config.student is None and config.layers is None:
        student, teacher = models.student.layers, models.teachers[0].layers
        notice(f"The student keeps {student} of the teacher's {teacher} layers: --layers sets how many, or which.")


def warn_of_lengths(distiller: Distiller) -> None:
    """Warn of examples that are longer than the student's input; see `warn_long`."""
    truncated, in_pieces = (sum(counts.values()) for counts in (distiller.truncated, distiller.in_pieces))
    warn_long(truncated, in_pieces, distiller.max_length)


def warn_long(truncated: int, in_pieces: int, max_length: int) -> None:
    """Print how many texts, or sentences of words, are longer than the model's input, if any."""
    beyond = f"longer than max_length ({max_length} tokens)"
    if truncated:
        texts, were = ("text is", "was") if truncated == 1 else ("texts are", "were")
        notice(f"{truncated} {texts} {beyond} and {were} cut.")
    if in_pieces:
        sentences, are = ("sentence is", "is") if in_pieces == 1 else ("sentences are", "are")
        notice(f"{in_pieces} {sentences} {beyond} and {are} read in pieces.")


def describe_metrics(metrics: dict[str, float], task: Task) -> str:
    """Return a model's metrics on dev next to those of the constant prediction, a line per split."""
    lines = []
    for split, prefix in task.reported.items():
        constant = task.constant_score(split)
        shown = ", ".join(f"{name} {metrics[prefix + name]:.4f}" for name in constant)
        count = len(task.splits[split])
        examples = f"{count} example{'s' * (count != 1)}{', too few to judge a model by' * (count < FEW)}"
        lines.append(
            f"{split} ({examples}): {shown} (the constant prediction, which ignores the input, scores "
            f"{constant['score']:.4f})"
        )
        if not task.has_one_label(split):
            lines += no_better(split, metrics[prefix + "score"], constant["score"])
    return "\n".join(lines)


def no_better(split: str, score: float, constant: float) -> list[str]:
    """Return a warning if a score is not above that of the constant prediction."""
    if score > constant:
        return []
    same = "scores as the constant prediction does, and may have become one"
    result = same if score == constant else "scores below the constant prediction"
    return [f"{split}: the model {result}. Check --learning_rate, --epochs, and how frequent labels are."]
