"""Write a saved model's predictions on test examples to a file.

For GLUE's tasks these are files in the format of its submissions (MRPC.tsv, MNLI-m.tsv, ...), from its test files. For
texts of your own it is a table of ids or row numbers, predictions and a probability for every class. For sentences it
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
from pathlib import Path
from typing import TYPE_CHECKING

from kselect.cli.saved import task_of_run
from kselect.config import PredictSettings as Settings
from kselect.errors import KselectError

if TYPE_CHECKING:
    from kselect.cli.answers import Answers

NAME = "predict"
POSITIONAL = "model"
UNDER = task_of_run


def run(settings: Settings) -> list[Path]:
    """Write the predictions, every file once all of them are made, and return their paths."""
    from kselect.cli.answers import of_texts, of_words

    read = of_texts if settings.task.task_type == "text" else of_words
    answers = read(settings.task, settings.model)  # before torch is loaded, so that faults in data are told at once
    paths = _paths(settings.predictions.output, answers)
    _check_writable(paths[0].parent)
    from kselect.cli.scoring import load_scorer
    from kselect.io import write_texts

    scorer = load_scorer(settings.model, answers.task, settings.task.max_length)
    texts = answers.texts(scorer)
    write_texts(dict(zip(paths, texts, strict=True)))
    kind = "example" if settings.task.task_type == "text" else "sentence"
    for path, size in zip(paths, answers.sizes, strict=True):
        print(f"predictions: {path} ({size} {kind}{'s' * (size != 1)})")
    return paths


def _check_writable(folder: Path) -> None:
    """Refuse, before a model has worked for it, an output that the system does not let one write."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise KselectError(f"{folder} cannot be written to ({error.strerror}): give another --output.") from None


def _paths(output: str, answers: Answers) -> list[Path]:
    path, names = Path(output).expanduser(), answers.file_names
    of_texts = answers.source is None and names[0].endswith(".tsv")
    if path.is_dir() or (path.suffix != ".tsv" if of_texts else not path.suffix):
        if path.is_file():
            wanted = "that ends in .tsv" if of_texts else "with a suffix"
            raise KselectError(f"{path} is a file: give --output a folder, or a file {wanted}.")
        paths = [path / name for name in names]
        for taken in filter(Path.is_dir, paths):
            raise KselectError(f"{taken} is a folder, where a file is to go: give another --output.")
    elif len(names) > 1:
        told = " and ".join(Path(name).stem for name in names)
        raise KselectError(f"{path} is one file, and there are {told} to write: give --output a folder.")
    else:
        paths = [path]
    for source in filter(None, [answers.source]):
        if paths[0].resolve() == source.expanduser().resolve():
            raise KselectError(f"{paths[0]} is the file to predict, which would be lost: give another --output.")
    return paths
