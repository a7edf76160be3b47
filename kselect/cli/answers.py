"""What a saved model is to say of test examples, and how that is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kselect.cli.saved import find_model
from kselect.config import EvaluationConfig, TaskConfig
from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.predictions import TABLE_SUFFIXES, glue_submission, table_predictions
from kselect.tasks.registry import canonical, custom_name, load_test, task_name, text_files, word_source
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.encoding import EncodedWords

if TYPE_CHECKING:
    from kselect.cli.scoring import Scorer


@dataclass(frozen=True)
class Answers:
    """Test examples that are read, and files for what a model says of them."""

    file_names: list[str]
    sizes: list[int]
    """How many examples each file is of."""
    task: Task[Any]
    """Without examples, with the labels that the model was trained with."""
    texts: Callable[[Scorer, str], list[str]]
    """Gives the text of each file, in the format of a suffix."""
    source: Path | None = None
    """The file of the examples, where the answers are a file like it."""
    suffixes: tuple[str, ...] = ()
    """Suffixes that the files may have; any where there are none."""


def of_texts(config: TaskConfig, model: EvaluationConfig) -> Answers:
    """Read whole texts: GLUE's test files, or one's own.

    Raises:
        KselectError: whatever is wrong with them, or no model that tells the labels.
    """
    files = text_files(config)
    tests = load_test(task_name(config), config.data_dir, files=files)
    task = _text_task(config, model)
    from kselect.distillation.evaluation import predict_logits

    def texts(scorer: Scorer, suffix: str) -> list[str]:
        encoded = scorer.encode({part: test.split for part, test in tests.items()})
        written = []
        for part, test in tests.items():
            every = np.arange(len(test.ids))
            logits = predict_logits(scorer.classifier, encoded[part], every, model.batch_size, scorer.dtype).numpy()
            if files is None:
                written.append(glue_submission(task, test.ids, logits))
            else:
                written.append(table_predictions(task, test.ids, logits, files.id_column or "index", suffix))
        return written

    names, sizes = [f"{name}.tsv" for name in tests], [len(test.ids) for test in tests.values()]
    return Answers(names, sizes, task, texts, suffixes=(".tsv",) if files is None else TABLE_SUFFIXES)


def of_words(config: TaskConfig, model: EvaluationConfig) -> Answers:
    """Read sentences, word by word.

    Raises:
        KselectError: whatever is wrong with them, or no model that tells the labels.
    """
    source = word_source(config)
    from kselect.cli.scoring import word_labels
    from kselect.distillation.evaluation import predict

    task = source.task_of(custom_name(task_name(config)), word_labels(find_model(model.model)))
    test = source.unlabelled(task)

    def texts(scorer: Scorer, suffix: str) -> list[str]:
        encoded = scorer.encode({"test": test.split})["test"]
        assert isinstance(encoded, EncodedWords)
        every = np.arange(len(encoded))
        answers = predict(scorer.classifier, encoded, every, model.batch_size, scorer.dtype).answers
        found = task.answers(answers, encoded, every)
        return [test.text([found[number] for number in range(len(test.split))])]

    return Answers([test.file_name], [len(test.split)], task, texts, test.path)


def _text_task(config: TaskConfig, model: EvaluationConfig) -> TextTask:
    if not config.own:
        name = canonical(task_name(config))
        return TextTask(name, GLUE_FORMATS[name].labels, {}, GLUE_FORMATS[name].metrics)
    from kselect.cli.scoring import label_names

    labels = () if config.regression else config.labels or label_names(find_model(model.model))
    return TextTask(task_name(config), tuple(labels), {}, ())
