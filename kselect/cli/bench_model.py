"""Time a model in all its forms: teacher, student, exported, in int8.

Takes the run of a student whose model has been exported, in one format or several. All models answer the same shapes
in turn, in one process; the table has latency, throughput, size and score of each, and the results are written as
JSON.

Examples:
  kselect bench-model runs/student
  kselect bench-model runs/student --batch_sizes 1,32 --lengths 16,128 --static --plot pareto.png
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kselect.cli.console import Progress, notice, print_table
from kselect.config import BenchmarkConfig, BenchModelSettings
from kselect.distillation.device import resolve_precision
from kselect.distillation.evaluation import evaluate
from kselect.errors import KselectError
from kselect.export.benchmark import (
    Contender,
    Shape,
    Timing,
    session_answer,
    time_in_turns,
    token_batch,
    torch_answer,
)
from kselect.export.comparison import PYTORCH, TOLERANCE, compare
from kselect.export.folder import FACTS
from kselect.export.formats import find_exports, formats_in, mebibytes_of
from kselect.export.plot import pareto
from kselect.export.session import Session
from kselect.io import read_json, write_figure, write_json
from kselect.models.classifier import Classifier, input_length
from kselect.models.loading import load_classifier
from kselect.models.parameters import mebibytes, parameters_by_part
from kselect.models.vocabulary import prune_vocabulary, used_tokens
from kselect.runs.artifacts import artifacts_folder, find_model, find_settings, kind_of
from kselect.tasks.task import Task, TextTask

BATCH = 32
GOAL = 2.0
"""How many times as fast as the student in PyTorch int8 should be, one example at a time."""
INT8 = " int8"
"""At the end of the name of a form in int8."""


def run(settings: BenchModelSettings, task: Task[Any]) -> Path:
    """Time every form, print the table, and return the path of the results."""
    config = settings.benchmark
    torch.set_num_threads(config.threads)
    path = find_model(config.model)
    folders = _exports(config, path)
    student = load_classifier(path, task)
    if read_json(folders[0] / FACTS).get("pruned"):
        student = prune_vocabulary(student, used_tokens(task, student.tokenizer))
    length = input_length(student, settings.task.max_length, task.usual_length)
    kind = "student" if kind_of(config.model) == "student" else "model"  # a teacher's row is another one
    contenders = []
    teacher = _teacher(config, task)
    if teacher is not None:
        contenders.append(_in_torch("teacher", teacher, task, length, torch.float32))
    contenders += _forms(kind, student, folders, task, length, config)
    if config.static:
        static = import_module("kselect.export.static")  # needs model2vec, which the other rows have no use for
        contenders.append(static.static_contender(teacher or student, task))
    shapes = [(size, tokens) for size in config.batch_sizes for tokens in config.lengths if tokens <= length]
    if not shapes:
        raise KselectError(f"lengths are all above {length} tokens, which the model takes.", setting="lengths")
    with Progress(config.rounds, "Timing") as progress:
        timings = time_in_turns(contenders, shapes, config.rounds, progress.advance)
    rows = [_row(each, shape, timings, kind) for shape in shapes for each in contenders]
    output = Path(config.output) if config.output else artifacts_folder(config.model) / "bench-model.json"
    write_json(output, {"task": task.name, "threads": config.threads, "machine": _machine(folders), "rows": rows})
    threads = f"{config.threads} thread{'s' * (config.threads > 1)}"
    _print(rows, f"{task.name}, {threads}, {config.rounds} rounds; speed-up over the {kind} in PyTorch")
    print("\n".join(_verdicts(rows, student)))
    if config.plot is not None:
        size, tokens = shapes[0]
        points = {row["model"]: (row["processor_ms"], row["score"]) for row in rows if row["shape"] == [size, tokens]}
        title = f"{task.name}: {size} x {tokens} tokens, {threads}"
        write_figure(Path(config.plot), pareto(points, title, "score on dev"))
    print(f"results: {output}")
    return output


def _exports(config: BenchmarkConfig, path: str) -> list[Path]:
    """Return the folders of the exports to time; all have the same vocabulary."""
    folders = find_exports(config.model) if config.export is None else [Path(config.export)]
    if not folders or not (folders[0] / FACTS).is_file():
        raise KselectError(
            f"There is no export of {path} in {config.export or artifacts_folder(config.model)}: write one with "
            f"`kselect export {config.model} --int8`."
        )
    empty = next((folder for folder in folders if not formats_in(folder)), None)
    if empty is not None:
        raise KselectError(f"{empty} has no graph: export {config.model} again.", setting="export")
    pruned = {bool(read_json(folder / FACTS).get("pruned")): folder for folder in folders}
    if len(pruned) > 1:
        raise KselectError(
            f"{pruned[True]} has a smaller vocabulary than {pruned[False]}: export both alike, or give one.",
            setting="export",
        )
    return folders


def _teacher(config: BenchmarkConfig, task: Task[Any]) -> Classifier | None:
    """Return the teacher; None where the run names none, or it is no longer there."""
    if config.teacher is not None:
        return load_classifier(find_model(config.teacher), task)
    known = find_settings(config.model).get("teacher")
    first = known[0] if isinstance(known, list) else known
    if first is None:
        return None
    try:
        return load_classifier(find_model(first), task)
    except KselectError as error:
        notice(f"No row for the teacher: {error}")
        return None


def _in_torch(
    name: str, classifier: Classifier, task: Task[Any], length: int, dtype: torch.dtype, score: float | None = None
) -> Contender:
    encoded = task.encode(task.splits["dev"], classifier.tokenizer, length)
    if score is None:
        score = evaluate(classifier, task, encoded, np.arange(len(encoded)), BATCH, dtype).metrics["score"]
    words = not isinstance(task, TextTask)
    return Contender(
        name,
        lambda size, tokens: token_batch(encoded, size, tokens, words),
        torch_answer(classifier, dtype),
        parameters_by_part(classifier)["total"],
        mebibytes(classifier),
        score,
    )


def _forms(
    kind: str, student: Classifier, folders: Sequence[Path], task: Task[Any], length: int, config: BenchmarkConfig
) -> list[Contender]:
    """Return the student in PyTorch and, from its exports, in their formats."""
    paths: dict[str, Path] = {}
    sessions: dict[str, Session] = {}
    for folder in folders:
        facts = read_json(folder / FACTS)
        for form in formats_in(folder):
            for name, path in ((form.title, folder / form.fp32), (form.title + INT8, folder / form.int8)):
                if path.is_file():
                    paths[name], sessions[name] = path, Session(form.load(path, config.threads), facts)
                else:
                    notice(f"No row for {name}, which {folder} does not have.")
    encoded = task.encode(task.splits["dev"], student.tokenizer, length)
    compared = compare(student, sessions, task, encoded, BATCH)
    for name, path in paths.items():
        if not name.endswith(INT8) and not compared[name].difference <= TOLERANCE:  # NaN, too
            raise KselectError(
                f"{path.parent} is an export of another model: its scores differ by {compared[name].difference:.2g}. "
                f"Export {config.model} again.",
                setting="export",
            )
    score = compared[PYTORCH].metrics["score"]
    forms = [_in_torch(kind, student, task, length, torch.float32, score)]
    if resolve_precision("auto", torch.device("cpu")) == torch.bfloat16:
        forms.append(_in_torch(f"{kind}, bf16", student, task, length, torch.bfloat16))
    for name, session in sessions.items():
        metrics, mib = compared[name].metrics, mebibytes_of(paths[name])
        answer, like = session_answer(session), forms[0]
        forms.append(Contender(name, like.prepare, answer, like.parameters, mib, metrics["score"]))
    return forms


def _row(contender: Contender, shape: Shape, timings: dict[str, dict[Shape, Timing]], reference: str) -> dict[str, Any]:
    timing = timings[contender.name][shape]
    processor = float(np.median(timing.processor))
    return {
        "model": contender.name,
        "shape": list(shape),
        "parameters": contender.parameters,
        "mib": contender.mib,
        "score": contender.score,
        "p50_ms": 1e3 * timing.percentile(0.5),
        "p95_ms": 1e3 * timing.percentile(0.95),
        "processor_ms": 1e3 * processor,
        "examples_per_processor_second": shape[0] / processor,
        "times_faster": timing.times_faster(timings[reference][shape]),
    }


def _print(rows: Sequence[dict[str, Any]], title: str) -> None:
    columns = [
        *("model", "batch x tokens", "parameters, M", "MiB", "score", "p50, ms", "p95, ms", "processor, ms"),
        *("examples/s", "speed-up"),
    ]
    cells = [
        [
            row["model"],
            "{} x {}".format(*row["shape"]),
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['mib']:.1f}",
            f"{row['score']:.4f}",
            *(f"{row[name]:.2f}" for name in ("p50_ms", "p95_ms", "processor_ms")),
            f"{row['examples_per_processor_second']:.0f}",
            f"{row['times_faster']:.2f}",
        ]
        for row in rows
    ]
    print_table(title, columns, cells)


def _verdicts(rows: Sequence[dict[str, Any]], student: Classifier) -> list[str]:
    """Return a line for each form in int8 that says how much it gains one example at a time and, if little, why."""
    gains: dict[str, list[float]] = {}
    for row in rows:
        if row["model"].endswith(INT8) and row["shape"][0] == 1:
            gains.setdefault(row["model"], []).append(row["times_faster"])
    if not gains:
        return ["int8 was not timed one example at a time."]
    return [
        f"{name} answers one example {min(found):.1f} to {max(found):.1f} times as fast as PyTorch in float32"
        + (f": {_why_slow(student)}." if min(found) < GOAL else ".")
        for name, found in gains.items()
    ]


def _why_slow(student: Classifier) -> str:
    if not any(enabled for name, enabled in torch.cpu.get_capabilities().items() if _multiplies_int8(name)):
        return "this processor has no instructions for products in int8 (VNNI)"
    if parameters_by_part(student)["layers"] < 1e6:
        return "its layers are so small that calls take longer than their products, which int8 speeds up"
    return "quantising the activations of each call costs much of what the products in int8 save"


def _multiplies_int8(capability: str) -> bool:
    return "vnni" in capability or "amx_int8" in capability or "dotprod" in capability or "i8mm" in capability


def _machine(folders: Sequence[Path]) -> dict[str, str]:
    runtimes = [form.runtime for folder in folders for form in formats_in(folder)]
    versions = {name: import_module(name).__version__ for name in ("torch", *runtimes)}
    return {"processor": platform.processor() or platform.machine(), "system": platform.system(), **versions}
