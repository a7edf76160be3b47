"""Compare agents over seeds and tasks, with significance and cost.

Distils a student under every agent and seed, and reports mean and standard deviation, the difference from a
baseline under the same seeds with its 95 % interval and p-value, and the cost. The constant prediction and
the teacher are rows for reference. Finished runs are recorded: a stopped comparison resumes with the same
command, and runs that failed are tried again.

Settings of knowledge apply to all agents where they differ from their defaults; otherwise each agent has
those of its recipe or policy.

Examples:
  kselect compare --config configs/mrpc.yaml --agents fine-tune,vanilla-kd,all --seeds 0,1,2
  kselect compare --task mrpc --teacher runs/teacher/model --agents fine-tune,learned=runs/policy/policy
  kselect compare --config configs/mrpc.yaml --agents all,half=gold:1,logits:1 --processes 2 --output table.md
  kselect compare --tasks configs/mrpc.yaml,configs/rte.yaml --baseline vanilla-kd --plot compare.png
  kselect compare --tasks mrpc,cola --teacher runs/{task}-teacher/model --layers 3
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from kselect import io
from kselect.cli.compared_tasks import naming_run, settings_of_run, tasks_of
from kselect.cli.console import aligned, markdown, notice, print_table
from kselect.cli.study_run import retry_hint, run_study
from kselect.cli.training_run import resolve_task
from kselect.config import (
    AgentConfig,
    CompareSettings,
    DistillSettings,
    EnvSettings,
)
from kselect.config.comparison import TEACHER
from kselect.errors import KselectError
from kselect.io import to_json
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder
from kselect.runs.run_log import RUNS, Ledger
from kselect.tasks.task import Task
from kselect.training.cells import check_run, run_cell, run_settings
from kselect.training.comparison import KEY, MEANINGS, NUMBERS, Comparison, compare, records, save_figure, table
from kselect.training.engines import Engine, make_engine
from kselect.training.reports import heat_maps
from kselect.training.study import Cell, Study, check_failures

TABLE, CHECKPOINTS = "table.md", "checkpoints"
FORMATS = {".md": "markdown", ".csv": "csv", ".json": "json", ".txt": "table"}


def run(settings: CompareSettings, data: Sequence[Task[Any]]) -> Path:
    """Compute the runs and report them in a run folder, whose path is returned."""
    every = tasks_of(settings)
    agents = {label: AgentConfig(agent) for label, agent in settings.comparison.labelled.items()}
    names = " + ".join(task.name for task in data)
    by_task = [cells_of(each, task, agents) for each, task in zip(every, data, strict=True)]
    check_cells(cell for cells in by_task for cell in cells if cell.identity["seed"] == settings.run.seeds[0])
    place = RunPlace(
        Path(settings.run.runs_dir), names, "compare", settings.run.seeds, settings.run.run_name, "compare"
    )
    with RunFolder.open(place, _resolved(settings, every, data).to_dict(), settings.run.fresh) as folder:
        if folder.resumed:
            folder.rewind(0)  # the runs are drawn anew from the ledger
        ledger, engine = Ledger(folder.path / RUNS, KEY, NUMBERS), make_engine(settings.engine)
        of_models = [cells[0] for each, cells in zip(every, by_task, strict=True) if each.model.teachers]
        teachers = evaluate_teachers([_teacher_cell(cell) for cell in of_models], folder, ledger, engine)
        cells = [cell for cells in by_task for cell in cells]
        cells = [_with_checkpoint(cell, folder.path, index) for index, cell in enumerate(cells)]
        steps = {task.name: _steps(each, task) for each, task in zip(every, data, strict=True)}
        study = Study(cells, run_cell, ledger, engine)
        for entry in study.entries:
            _draw(folder, entry)
        runs = run_study(
            study,
            folder,
            f"Comparing {len(agents)} agent{'s' * (len(agents) != 1)} on {names}",
            lambda cell: steps[cell.identity["task"]],
            on_entry=lambda entry: _draw(folder, entry),
        )
        order = list(agents)
        runs.sort(key=lambda entry: order.index(entry["label"]))
        comparisons = compare([*teachers, *runs], settings.comparison.baseline_label)
        _write(settings, folder, comparisons, runs, names)
    (print if settings.comparison.format == "table" else notice)(f"runs: {folder.path}")
    return folder.path


def cells_of(settings: CompareSettings, task: Task[Any], agents: Mapping[str, AgentConfig]) -> list[Cell]:
    """Return the runs on one task, those that read the same knowledge under one seed next to each other."""
    cells = []
    for seed in settings.run.seeds:
        of_seed = []
        for label, agent in agents.items():
            distill = settings_of_run(settings, agent, seed)
            identity = {"task": task.name, "label": label, "seed": seed, "settings": run_settings(distill)}
            of_seed.append(Cell(identity, distill.to_dict()))
        cells += sorted(of_seed, key=lambda cell: str(cell.settings["knowledge"]))
    return cells


def check_cells(cells: Iterable[Cell]) -> None:
    """Refuse what any of these runs would refuse of its settings and models, before the first one starts."""
    for cell in cells:
        with naming_run(cell.identity["label"], cell.identity["task"]):
            check_run(DistillSettings.from_dict(cell.settings))


def evaluate_teachers(cells: Sequence[Cell], folder: RunFolder, ledger: Ledger, engine: Engine) -> list[dict[str, Any]]:
    """Return the entries of the teachers, which are evaluated once and are not among the runs."""
    study = Study(cells, run_cell, ledger, engine)
    if study.pending:
        tasks = " and ".join(cell.identity["task"] for cell in study.pending)
        notice(f"Evaluating the teacher of {tasks}.")
    try:
        entries = study.run()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"before the first run; to resume, give the same command again, or {folder.resume_command}"
        ) from None
    failed = next((entry for entry in entries if "error" in entry), None)
    if failed is not None:
        raise KselectError(
            f"The teacher of {failed['task']} could not be evaluated: {failed['error']}."
            + retry_hint(folder, ledger.path)
        )
    return entries


def _teacher_cell(run: Cell) -> Cell:
    """Return the evaluation of the teacher of a run, with the knowledge of that run, which its data can serve."""
    return Cell({**run.identity, "label": TEACHER, "seed": None}, {**run.settings, "agent": None})


def _resolved(
    settings: CompareSettings, every: Sequence[CompareSettings], data: Sequence[Task[Any]]
) -> CompareSettings:
    """Return settings that repeat the comparison on their own."""
    resolved = [resolve_task(each, task) for each, task in zip(every, data, strict=True)]
    if not settings.comparison.tasks:
        return resolved[0]
    return resolved[0].replace(tasks=[json.dumps(each.select(EnvSettings).to_dict()) for each in resolved])


def _with_checkpoint(cell: Cell, folder: Path, index: int) -> Cell:
    return replace(
        cell, settings={**cell.settings, "checkpoint": str(folder / CHECKPOINTS / f"run-{index}.safetensors")}
    )


def _steps(settings: CompareSettings, task: Task[Any]) -> int:
    batches = -(-len(task.splits["train"]) // settings.training.batch_size)
    return settings.training.total_steps(batches)


def _draw(folder: RunFolder, entry: Mapping[str, Any]) -> None:
    """Show TensorBoard a finished run."""
    if "error" not in entry:
        history, name = entry["history"], f"{entry['task']}-{entry['label']}-{entry['seed']}"
        named = {name: entry[name] for name in ("task", "seed", "teacher") if name in entry}
        named |= {"agent": entry["label"], "knowledge": list(history[0]["weights"])}
        folder.log_run(name, {**entry["settings"], **named}, entry, heat_maps(history))


def _write(
    settings: CompareSettings,
    folder: RunFolder,
    comparisons: list[Comparison],
    runs: list[dict[str, Any]],
    names: str,
) -> None:
    """Print the report and leave it in the run folder; a comparison with failed runs is left unfinished."""
    comparison = settings.comparison
    io.write_text(folder.path / TABLE, report(comparisons, "markdown"))
    if comparison.format == "table":
        _print(comparisons)
    else:
        print(report(comparisons, comparison.format), end="")
    if comparison.output is not None:
        path = Path(comparison.output)
        io.write_text(path, report(comparisons, FORMATS.get(path.suffix, comparison.format)))
    if comparison.plot is not None:
        save_figure(comparisons, Path(comparison.plot))
    check_failures(runs, retry_hint(folder, folder.path / RUNS))
    scores = {
        f"score/{each.task}/{row.label}": row.metrics["score"].mean
        for each in comparisons
        for row in each.rows
        if "score" in row.metrics
    }
    folder.write_results({"task": names, "metrics": scores, "rows": records(comparisons)})


def report(comparisons: list[Comparison], form: str) -> str:
    """Return the comparison as text in a format of `CompareConfig.format`."""
    if form == "json":
        return to_json(records(comparisons)) + "\n"
    if form == "csv":
        return _csv(records(comparisons))
    if form == "markdown":
        parts = [f"## {_title(each)}\n\n{markdown(*table(each))}\n" for each in comparisons]
        return "\n".join([*parts, MEANINGS]) + "\n"
    return "\n\n".join(aligned(_title(each), *table(each)) for each in comparisons) + "\n"


def _csv(rows: list[dict[str, Any]]) -> str:
    stream = StringIO()
    writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _print(comparisons: list[Comparison]) -> None:
    for each in comparisons:
        print_table(_title(each), *table(each))


def _title(comparison: Comparison) -> str:
    return f"{comparison.task}, {comparison.examples or 0} examples of dev"
