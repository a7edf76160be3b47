"""Write a saved model's predictions on test examples to a file.

For GLUE's tasks these are files in the format of its submissions (MRPC.tsv, MNLI-m.tsv, ...), from its test files. For
data of your own it is a table of ids or row numbers, predictions and a probability for every class.

Examples:
  kselect predict runs/student --data_dir glue --output submission
  kselect predict runs/student/student --task mnli --data_dir glue --output submission
  kselect predict runs/mine --test_file new.csv --text_columns review --output answers.tsv
  kselect predict runs/mine/student --test_file pairs.jsonl --text_columns question,answer --id_column id
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kselect.cli.saved import task_of_run
from kselect.config import EvaluationConfig, PredictionConfig, TaskConfig
from kselect.errors import UserError

if TYPE_CHECKING:
    from kselect.tasks.text_task import TextTask

NAME = "predict"
POSITIONAL = "model"
UNDER = task_of_run


@dataclass
class Settings:
    """What `kselect predict` takes."""

    model: EvaluationConfig
    task: TaskConfig
    predictions: PredictionConfig


def run(settings: Settings) -> list[Path]:
    """Write the predictions, every file once all of them are made, and return their paths."""
    import numpy as np

    from kselect.cli.scoring import load_scorer
    from kselect.distillation.evaluation import predict_logits
    from kselect.distillation.setup import own_files, task_name
    from kselect.study.atomic import write_texts
    from kselect.tasks.predictions import glue_submission, own_predictions
    from kselect.tasks.registry import load_test

    name, files = task_name(settings.task), own_files(settings.task)
    tests = load_test(name, settings.task.data_dir, files=files)
    paths = _paths(settings.predictions.output, list(tests))
    task = _task(settings, name)
    with _writing(paths):
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=paths[0].parent).close()
    scorer = load_scorer(settings.model, task, settings.task.max_length)
    encoded = scorer.encode({part: test.split for part, test in tests.items()})
    texts = []
    for part, test in tests.items():
        every = np.arange(len(test.ids))
        logits = predict_logits(
            scorer.classifier, encoded[part], every, settings.model.batch_size, scorer.dtype
        ).numpy()
        if files is None:
            texts.append(glue_submission(task, test.ids, logits))
        else:
            texts.append(own_predictions(task, test.ids, logits, files.id_column or "index"))
    with _writing(paths):
        write_texts(dict(zip(paths, texts, strict=True)))
    for path in paths:
        print(f"predictions: {path}")
    return paths


@contextmanager
def _writing(paths: list[Path]) -> Iterator[None]:
    """Refuse, in one line, an output that the system does not let one write."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{paths[0].parent} cannot be written to ({error.strerror}): give another --output.") from None


def _task(settings: Settings, name: str) -> TextTask:
    """Return the task without its examples; labels of own data are those that the model was trained with."""
    from kselect.cli.saved import find_model
    from kselect.cli.scoring import label_names
    from kselect.tasks.glue import GLUE_FORMATS
    from kselect.tasks.registry import canonical
    from kselect.tasks.text_task import TextTask

    if not settings.task.own:
        format = GLUE_FORMATS[canonical(name)]
        return TextTask(canonical(name), format.labels, {}, format.metrics)
    labels = () if settings.task.regression else settings.task.labels or label_names(find_model(settings.model.model))
    return TextTask(name, tuple(labels), {}, ())


def _paths(output: str, names: list[str]) -> list[Path]:
    path = Path(output).expanduser()
    if path.suffix != ".tsv" or path.is_dir():
        if path.is_file():
            raise UserError(f"{path} is a file: give --output a folder, or a file that ends in .tsv.")
        paths = [path / f"{name}.tsv" for name in names]
        for taken in filter(Path.is_dir, paths):
            raise UserError(f"{taken} is a folder, where a file is to go: give another --output.")
        return paths
    if len(names) > 1:
        raise UserError(f"{path} is one file, and there are {' and '.join(names)} to write: give --output a folder.")
    return [path]
