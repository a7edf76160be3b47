"""Export a trained model to files that run without PyTorch.

Takes a model, or a run folder with a model in it (whose task and data are then those of the run). The graph is
compared with the model on dev, and refused if they differ; predict.py next to it needs tokenizers, NumPy and
onnxruntime or, for OpenVINO's format, openvino.

Examples:
  kselect export runs/student --int8
  kselect export runs/student --format openvino
  kselect export runs/student --output deployed
  kselect export runs/student/student --task mrpc --data_dir glue
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kselect.cli.console import notice, print_table
from kselect.cli.notices import warn_long
from kselect.config import ExportSettings
from kselect.export.comparison import PYTORCH, TOLERANCE, Comparison, check_parity, compare
from kselect.export.folder import FACTS, RESULTS, check_replaceable, facts_of, replacing_folder, write_scripts
from kselect.export.formats import FORMATS, mebibytes_of
from kselect.export.session import Session
from kselect.io import write_json
from kselect.models.classifier import Classifier, input_length
from kselect.models.loading import load_classifier
from kselect.models.parameters import describe_parameters, mebibytes, parameters_by_part
from kselect.models.vocabulary import prune_vocabulary, used_tokens
from kselect.runs.artifacts import artifacts_folder, find_model
from kselect.tasks.task import Task

UNPRUNED = "pytorch, whole vocabulary"


def run(settings: ExportSettings, task: Task[Any]) -> Path:
    """Write the export, and return its folder."""
    config, form = settings.export, FORMATS[settings.export.format]
    folder = artifacts_folder(config.model) / form.name if config.output is None else Path(config.output)
    check_replaceable(folder)
    path = find_model(config.model)
    classifier = load_classifier(path, task)  # stays on the CPU, where the graph is to run
    max_length = input_length(classifier, settings.task.max_length, task.usual_length)
    unpruned = classifier
    if config.prune_vocabulary:
        classifier = prune_vocabulary(classifier, used_tokens(task, classifier.tokenizer))
    facts = facts_of(classifier, task, max_length)
    encoded = task.encode(task.splits["dev"], classifier.tokenizer, max_length)
    warn_long(encoded.truncated, encoded.in_pieces, max_length)
    shortest, longest = int(encoded.lengths.argmin()), int(encoded.lengths.argmax())
    notice("Tracing the model, which takes half a minute or so.")
    exporter = form.exporter
    graph = exporter.export(classifier, encoded.batch([shortest, longest]))
    with replacing_folder(folder) as partial:
        graphs = {form.fp32: graph} | ({form.int8: exporter.quantized(graph)} if config.int8 else {})
        sessions = {}
        for name, each in graphs.items():
            exporter.save(each, partial / name)
            sessions[name] = Session(form.load(partial / name), facts)
        compared = compare(classifier, sessions, task, encoded, config.batch_size)
        check_parity(compared[form.fp32].difference, path, form.packages)
        classifier.tokenizer.save_pretrained(partial)
        classifier.model.config.save_pretrained(partial)
        chosen = form.int8 if config.int8 else form.fp32
        write_json(partial / FACTS, {"model": chosen, "pruned": config.prune_vocabulary, **facts})
        write_scripts(partial, facts, form)
        sizes = {PYTORCH: mebibytes(classifier)}
        sizes |= {name: mebibytes_of(partial / name) for name in graphs}
        if config.prune_vocabulary:
            encoded = task.encode(task.splits["dev"], unpruned.tokenizer, max_length)
            compared = {UNPRUNED: compare(unpruned, {}, task, encoded, config.batch_size)[PYTORCH], **compared}
            sizes[UNPRUNED] = mebibytes(unpruned)
        results = _results(task, path, compared, sizes, classifier)
        write_json(partial / RESULTS, results)
    title = f"{task.name}, {len(task.splits['dev'])} examples of dev; {form.fp32} may differ by {TOLERANCE:g}"
    _report(title, compared, sizes)
    print(describe_parameters(parameters_by_part(classifier)))
    print(f"export: {folder}")
    return folder


def _results(
    task: Task[Any], path: str, compared: dict[str, Comparison], sizes: dict[str, float], classifier: Classifier
) -> dict[str, Any]:
    rows = {name: {**vars(found), "mib": sizes[name]} for name, found in compared.items()}
    return {"task": task.name, "model": path, "parameters": parameters_by_part(classifier), "forms": rows}


def _report(title: str, compared: dict[str, Comparison], sizes: dict[str, float]) -> None:
    columns = ["form", "MiB", "score", "largest difference of an output", "other answers"]
    rows = [
        [name, f"{sizes[name]:.1f}", f"{found.metrics['score']:.4f}", f"{found.difference:.2g}", f"{found.changed:.1%}"]
        for name, found in compared.items()
    ]
    print_table(title, columns, rows)
