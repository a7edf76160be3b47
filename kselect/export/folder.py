"""A folder with everything that answers without PyTorch: graphs, tokenizer, labels, and a script that reads them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kselect.errors import KselectError
from kselect.export import scripts
from kselect.export.formats import GraphFormat
from kselect.export.graph import head_facts
from kselect.io import UnwritableError
from kselect.models.classifier import Classifier
from kselect.models.label_names import label_names
from kselect.models.paths import EXPORT
from kselect.structure import arborescence
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.encoding import special_tokens_around, word_prefix

FACTS, RESULTS = EXPORT, "results.json"


def facts_of(classifier: Classifier, task: Task[Any], max_length: int) -> dict[str, Any]:
    """Return what the script in an exported folder needs to know, as JSON: the contents of `predict.json`.

    Raises:
        KselectError: a tokenizer that only Python code can run.
    """
    tokenizer = classifier.tokenizer
    if not tokenizer.is_fast:
        raise KselectError(
            f"{type(tokenizer).__name__} has no tokenizer.json, without which texts are not encoded: give a model with "
            "a fast tokenizer."
        )
    facts: dict[str, Any] = {**head_facts(classifier), "max_length": max_length}
    if isinstance(task, TextTask):
        labels = [] if task.regression else list(label_names(classifier.model.config))
        pairs = task.splits["dev"].text_b is not None
        return {**facts, "labels": labels, "padding": int(tokenizer.pad_token_id), "pairs": pairs}
    before, after = special_tokens_around(tokenizer)
    words = {"prefix": word_prefix(tokenizer), "before": before, "after": after}
    return {**facts, "labels": list(task.labels), **words, "unknown": int(tokenizer.unk_token_id)}


def write_scripts(folder: Path, facts: Mapping[str, Any], graphs: GraphFormat) -> None:
    """Write predict.py and what it imports: the runtime of the graphs' format and, for words, the decoders."""
    (source,) = scripts.__path__
    shutil.copyfile(Path(source, f"{graphs.script}.py"), folder / "runtime.py")
    if "pairs" in facts:
        shutil.copyfile(Path(source, "predict_texts.py"), folder / "predict.py")
        return
    shutil.copyfile(Path(source, "predict_words.py"), folder / "predict.py")
    shutil.copyfile(Path(arborescence.__file__), folder / "arborescence.py")
    text = Path(source, "decoding.py").read_text(encoding="utf-8")
    in_folder = text.replace(f"from {arborescence.__name__} import", "from arborescence import")
    (folder / "decoding.py").write_text(in_folder, encoding="utf-8")


def check_replaceable(folder: Path) -> None:
    """Refuse a folder that has something else than an earlier export in it."""
    if folder.exists() and not (folder / FACTS).is_file() and not (folder.is_dir() and not any(folder.iterdir())):
        raise KselectError(
            f"output is {folder}, which is there and is no export: give another folder.", setting="output"
        )


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder that takes the place of `folder` at the end; on an error nothing is written.

    Raises:
        UnwritableError: an OSError occurred.
    """
    check_replaceable(folder)
    partial, former = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.former")
    try:
        for rest in (partial, former):  # of a process that was killed
            shutil.rmtree(rest, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            if folder.exists():
                os.replace(folder, former)
            os.replace(partial, folder)
            shutil.rmtree(former, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnwritableError(
            f"{folder} cannot be written ({reason}): give another folder as output.", reason
        ) from error
