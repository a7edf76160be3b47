"""Write a saved model's predictions on test examples to a file.

For GLUE's tasks these are files in the format of its submissions (MRPC.tsv, MNLI-m.tsv, ...), from its test files. For
custom texts it is a table of ids or row numbers, predictions and, with --probabilities, a probability for every class;
they are read and written a few at a time, so that a file may be larger than memory. For sentences it is the test file
again, with the model's tags or trees in it.

Examples:
  kselect predict runs/student --data_dir glue --output submission
  kselect predict runs/student/student --task mnli --data_dir glue --output submission
  kselect predict runs/mine --test_file new.csv --text_columns review --output answers.tsv
  kselect predict runs/mine/student --test_file pairs.jsonl --text_columns question,answer --id_column id
  kselect predict runs/mine --test_file - --output - --probabilities
  kselect predict runs/parser --task_type trees --test_file new.conllu --output parsed.conllu
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from kselect.cli.inference import load_inference_model
from kselect.cli.notices import warn_long
from kselect.config import EvaluationConfig, PredictSettings, TaskConfig
from kselect.errors import KselectError
from kselect.inference.predictor import Predictor
from kselect.inference.saved_task import saved_task
from kselect.io import replacing
from kselect.runs.artifacts import find_model
from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.predictions import TABLE_SUFFIXES, Format, SubmissionFormat, TableFormat
from kselect.tasks.registry import canonical, custom_name, task_name, text_files
from kselect.tasks.source import Unlabelled
from kselect.tasks.table_stream import ROWS
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.parsing_files import WordSource

OUTPUT = "-"
"""What names standard output."""


@dataclass(frozen=True)
class PredictionJob:
    """Test examples, and the files of a model's predictions on them.

    Attributes:
        task: without examples, with the labels that the model was trained with.
        write: writes the predictions of a model to an open file for each of `file_names`, in the format of a suffix;
            returns how many examples each has.
        source: the file of the examples, where predictions are written into a copy of it.
        suffixes: allowed suffixes of the files; empty for any.
    """

    file_names: list[str]
    task: Task[Any]
    write: Callable[[Predictor, list[TextIO], str], list[int]]
    source: Path | None = None
    suffixes: tuple[str, ...] = ()


def run(settings: PredictSettings, data: Mapping[str, Iterable[Unlabelled]] | WordSource) -> list[Path]:
    """Write the predictions, replacing no file before all of them are made, and return their paths."""
    config, output = settings.model, settings.predictions.output
    of_words = isinstance(data, WordSource)
    job = _job_of_words(settings.task, config, data) if isinstance(data, WordSource) else _job_of_texts(settings, data)
    paths = [] if output == OUTPUT else _paths(output, job)
    if paths:
        _check_writable(paths[0].parent)
    elif len(job.file_names) > 1:
        raise KselectError(f"There are {len(job.file_names)} files to write: give --output a folder.")
    model = load_inference_model(config, job.task, settings.task.max_length)
    with _opened(paths) as files:
        sizes = job.write(model, files, paths[0].suffix if paths else TABLE_SUFFIXES[0])
    warn_long(model.truncated, model.in_pieces, model.max_length)
    kind = "sentence" if of_words else "example"
    for path, size in zip(paths, sizes, strict=False):
        print(f"predictions: {path} ({size} {kind}{'s' * (size != 1)})")
    return paths


@contextmanager
def _opened(paths: list[Path]) -> Iterator[list[TextIO]]:
    """Open files that replace those at the paths in the end; standard output, where there are none."""
    if not paths:
        yield [sys.stdout]
        return
    with replacing(*paths) as partials, ExitStack() as stack:
        yield [stack.enter_context(partial.open("w", encoding="utf-8", newline="")) for partial in partials]


def _job_of_texts(settings: PredictSettings, tests: Mapping[str, Iterable[Unlabelled]]) -> PredictionJob:
    """Return what predicts whole texts: GLUE's test files, or custom ones."""
    config, wanted = settings.task, settings.predictions.probabilities
    files, task = text_files(config), _text_task(config, settings.model)
    if wanted and (files is None or task.regression):
        reason = "a submission to GLUE" if files is None else "a regression"
        raise KselectError(f"There are no probabilities in {reason}: leave them out.", setting="probabilities")

    def write(model: Predictor, opened: list[TextIO], suffix: str) -> list[int]:
        written: Format = SubmissionFormat(task)
        if files is not None:
            written = TableFormat(task, files.id_column or "index", suffix, wanted)
        return [
            _write_texts(model, test, written, file, wanted) for test, file in zip(tests.values(), opened, strict=True)
        ]

    suffixes = (".tsv",) if files is None else TABLE_SUFFIXES
    return PredictionJob([f"{name}.tsv" for name in tests], task, write, suffixes=suffixes)


def _write_texts(model: Predictor, tests: Iterable[Unlabelled], written: Format, file: TextIO, wanted: bool) -> int:
    header, count = written.header, 0
    for test in tests:
        for start in range(0, len(test.ids), ROWS):
            ids = test.ids[start : start + ROWS]
            answers = model.predict_split(test.split.take(range(start, start + len(ids))), wanted)
            file.write(header + written.rows(ids, answers))  # no header before an error in the first rows
            header = ""
            count += len(ids)
    return count


def _job_of_words(config: TaskConfig, settings: EvaluationConfig, source: WordSource) -> PredictionJob:
    """Return what predicts sentences, word by word."""
    task = source.task_of(custom_name(task_name(config)), saved_task(find_model(settings.model)).labels)
    test = source.unlabelled(task)

    def write(model: Predictor, opened: list[TextIO], suffix: str) -> list[int]:
        size, answers = len(test.split), []
        for start in range(0, size, ROWS):
            sentences = test.split.take(range(start, min(start + ROWS, size)))
            answers += [prediction.answer for prediction in model.predict_split(sentences)]
        opened[0].write(test.text(answers))
        return [size]

    return PredictionJob([test.file_name], task, write, test.path)


def _text_task(config: TaskConfig, model: EvaluationConfig) -> TextTask:
    if not config.own:
        name = canonical(task_name(config))
        return TextTask(name, GLUE_FORMATS[name].labels, {}, GLUE_FORMATS[name].metrics)
    saved = saved_task(find_model(model.model))
    labels = () if config.regression else config.labels or saved.labels
    several = config.multi_label or (isinstance(saved, TextTask) and saved.multi_label)
    return TextTask(task_name(config), tuple(labels), {}, (), several)


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
