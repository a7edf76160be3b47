"""Write a saved model's predictions on test examples to a file.

For GLUE's tasks these are files in the format of its submissions (MRPC.tsv, MNLI-m.tsv, ...), from its test files. For
custom texts it is a table of ids or row numbers, predictions and a probability for every class. For sentences it
is the test file again, with the model's tags or trees in it.

Examples:
  kselect predict runs/student --data_dir glue --output submission
  kselect predict runs/student/student --task mnli --data_dir glue --output submission
  kselect predict runs/mine --test_file new.csv --text_columns review --output answers.tsv
  kselect predict runs/mine/student --test_file pairs.jsonl --text_columns question,answer --id_column id
  kselect predict runs/parser --task_type trees --test_file new.conllu --output parsed.conllu
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kselect.cli.artifacts import find_model
from kselect.cli.inference import InferenceModel, label_names, load_inference_model, word_labels
from kselect.config import EvaluationConfig, PredictSettings, TaskConfig
from kselect.distillation.evaluation import predict, predict_logits
from kselect.errors import KselectError
from kselect.io import write_texts
from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.predictions import TABLE_SUFFIXES, glue_submission, table_predictions
from kselect.tasks.registry import canonical, custom_name, task_name, text_files
from kselect.tasks.task import Task, TextTask
from kselect.tasks.text_files import Unlabelled
from kselect.tasks.words.encoding import EncodedWords
from kselect.tasks.words.parsing_files import WordSource


@dataclass(frozen=True)
class PredictionJob:
    """Test examples, and the files of a model's predictions on them.

    Attributes:
        task: without examples, with the labels that the model was trained with.
        texts: returns the text of each file, in the format of a suffix.
        source: the file of the examples, where predictions are written into a copy of it.
        suffixes: allowed suffixes of the files; empty for any.
    """

    file_names: list[str]
    sizes: list[int]
    task: Task[Any]
    texts: Callable[[InferenceModel, str], list[str]]
    source: Path | None = None
    suffixes: tuple[str, ...] = ()


def run(settings: PredictSettings, data: Mapping[str, Unlabelled] | WordSource) -> list[Path]:
    """Write the predictions, every file once all of them are made, and return their paths."""
    config = settings.model
    if isinstance(data, WordSource):
        job = _job_of_words(settings.task, config, data)
    else:
        job = _job_of_texts(settings.task, config, data)
    paths = _paths(settings.predictions.output, job)
    _check_writable(paths[0].parent)
    inference = load_inference_model(config, job.task, settings.task.max_length)
    texts = job.texts(inference, paths[0].suffix)
    write_texts(dict(zip(paths, texts, strict=True)))
    kind = "sentence" if isinstance(data, WordSource) else "example"
    for path, size in zip(paths, job.sizes, strict=True):
        print(f"predictions: {path} ({size} {kind}{'s' * (size != 1)})")
    return paths


def _job_of_texts(config: TaskConfig, model: EvaluationConfig, tests: Mapping[str, Unlabelled]) -> PredictionJob:
    """Return what predicts whole texts: GLUE's test files, or custom ones."""
    files, task = text_files(config), _text_task(config, model)

    def texts(inference: InferenceModel, suffix: str) -> list[str]:
        encoded = inference.encode({name: test.split for name, test in tests.items()})
        written = []
        for name, test in tests.items():
            rows = np.arange(len(test.ids))
            logits = predict_logits(inference.classifier, encoded[name], rows, model.batch_size, inference.dtype)
            if files is None:
                written.append(glue_submission(task, test.ids, logits.numpy()))
            else:
                written.append(table_predictions(task, test.ids, logits.numpy(), files.id_column or "index", suffix))
        return written

    names, sizes = [f"{name}.tsv" for name in tests], [len(test.ids) for test in tests.values()]
    return PredictionJob(names, sizes, task, texts, suffixes=(".tsv",) if files is None else TABLE_SUFFIXES)


def _job_of_words(config: TaskConfig, model: EvaluationConfig, source: WordSource) -> PredictionJob:
    """Return what predicts sentences, word by word."""
    task = source.task_of(custom_name(task_name(config)), word_labels(find_model(model.model)))
    test = source.unlabelled(task)

    def texts(inference: InferenceModel, suffix: str) -> list[str]:
        encoded = inference.encode({"test": test.split})["test"]
        assert isinstance(encoded, EncodedWords)
        rows = np.arange(len(encoded))
        predicted = predict(inference.classifier, encoded, rows, model.batch_size, inference.dtype).answers
        answers = task.answers(predicted, encoded, rows)
        return [test.text([answers[number] for number in range(len(test.split))])]

    return PredictionJob([test.file_name], [len(test.split)], task, texts, test.path)


def _text_task(config: TaskConfig, model: EvaluationConfig) -> TextTask:
    if not config.own:
        name = canonical(task_name(config))
        return TextTask(name, GLUE_FORMATS[name].labels, {}, GLUE_FORMATS[name].metrics)
    labels = () if config.regression else config.labels or label_names(find_model(model.model))
    return TextTask(task_name(config), tuple(labels), {}, (), config.multi_label)


def _check_writable(folder: Path) -> None:
    """Refuse an output that cannot be written, before a model has worked for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise KselectError(f"{folder} cannot be written to ({error.strerror}): give another --output.") from None


def _paths(output: str, job: PredictionJob) -> list[Path]:
    path, names = Path(output).expanduser(), job.file_names
    wanted = f"that ends in {' or '.join(job.suffixes)}" if job.suffixes else "with a suffix"
    of_other_format = bool(job.suffixes) and path.suffix.lower() in (*TABLE_SUFFIXES, ".json", ".txt", ".parquet")
    if of_other_format and path.suffix not in job.suffixes and not path.is_dir():
        raise KselectError(f"{path} names a format that predictions are not written in: give a file {wanted}.")
    if path.is_dir() or (path.suffix not in job.suffixes if job.suffixes else not path.suffix):
        if path.is_file():
            raise KselectError(f"{path} is a file: give --output a folder, or a file {wanted}.")
        paths = [path / name for name in names]
        for taken in filter(Path.is_dir, paths):
            raise KselectError(f"{taken} is a folder, where a file is to go: give another --output.")
    elif len(names) > 1:
        names_of_files = " and ".join(Path(name).stem for name in names)
        raise KselectError(f"{path} is one file, and there are {names_of_files} to write: give --output a folder.")
    else:
        paths = [path]
    for source in filter(None, [job.source]):
        if paths[0].resolve() == source.expanduser().resolve():
            raise KselectError(f"{paths[0]} is the file to predict, which would be lost: give another --output.")
    return paths
