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
  kselect compare --config configs/mrpc.yaml --also configs/rte.yaml --baseline vanilla-kd --plot compare.png
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from kselect import io
from kselect.cli.commands import COMMANDS
from kselect.cli.console import aligned, markdown, print_table
from kselect.cli.further_tasks import settings_of_tasks
from kselect.cli.preflight import knowledge_of
from kselect.cli.study_run import retry_hint, run_study
from kselect.cli.training_run import resolve_task
from kselect.config import (
    AgentConfig,
    CompareSettings,
    DistillSettings,
    EnvSettings,
    RunConfig,
)
from kselect.config.comparison import TEACHER
from kselect.distillation.overlap import check_overlap
from kselect.io import to_json
from kselect.models.loading import saved_texts
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder
from kselect.runs.run_log import Ledger
from kselect.tasks.task import Task
from kselect.training.cells import run_cell, run_settings
from kselect.training.comparison import KEY, MEANINGS, Comparison, compare, records, save_figure, table
from kselect.training.engines import make_engine
from kselect.training.study import Cell, Study, check_failures

RUNS, TABLE, CHECKPOINTS = "runs.jsonl", "table.md", "checkpoints"
FORMATS = {".md": "markdown", ".csv": "csv", ".json": "json", ".txt": "table"}


def run(settings: CompareSettings, data: Sequence[Task[Any]]) -> Path:
    """Compute the runs and report them in a run folder, whose path is returned."""
    every = settings_of_tasks(settings, settings.comparison.also, COMMANDS["compare"])
    tasks = [each.select(EnvSettings) for each in every]
    agents = {label: AgentConfig(agent) for label, agent in settings.comparison.labelled.items()}
    also = [json.dumps(resolve_task(task, loaded).to_dict()) for task, loaded in zip(tasks[1:], data[1:], strict=True)]
    config = resolve_task(settings, data[0]).replace(also=also).to_dict()
    names = " + ".join(task.name for task in data)
    place = RunPlace(
        Path(settings.run.runs_dir), names, "compare", settings.run.seeds, settings.run.run_name, "compare"
    )
    for task, loaded in zip(tasks, data, strict=True):
        if not task.model.allow_overlap:
            check_overlap(loaded, {path: saved_texts(path) for path in task.model.teachers})
    with RunFolder.open(place, config, settings.run.fresh) as folder:
        if folder.resumed:
            folder.rewind(0, 0)  # nothing is logged but the outcome
        cells = [
            cell for task, loaded in zip(tasks, data, strict=True) for cell in cells_of(settings, task, loaded, agents)
        ]
        cells = [_with_checkpoint(cell, folder.path, index) for index, cell in enumerate(cells)]
        steps = {task.name: _steps(setting, task) for setting, task in zip(tasks, data, strict=True)}
        study = Study(cells, run_cell, Ledger(folder.path / RUNS, KEY), make_engine(settings.comparison.processes))
        entries = run_study(
            study,
            folder,
            f"Comparing {len(agents)} agent{'s' * (len(agents) != 1)} on {names}",
            lambda cell: 0 if cell.identity["label"] == TEACHER else steps[cell.identity["task"]],
        )
        order = {label: index for index, label in enumerate(agents)}
        entries.sort(key=lambda entry: order.get(entry["label"], -1))
        comparisons = compare(entries, settings.comparison.baseline_label)
        _write(settings, folder, comparisons, entries, names)
    print(f"runs: {folder.path}", file=sys.stdout if settings.comparison.format == "table" else sys.stderr)
    return folder.path


def cells_of(
    settings: CompareSettings, task: EnvSettings, data: Task[Any], agents: dict[str, AgentConfig]
) -> list[Cell]:
    """Return the runs on one task, those that read the same knowledge under one seed next to each other."""
    cells = []
    for seed in settings.run.seeds:
        of_seed = []
        for label, agent in agents.items():
            knowledge = knowledge_of(agent, settings)
            distill = DistillSettings(**{**vars(task), "knowledge": knowledge}, agent=agent, run=RunConfig(seed=seed))
            identity = {"task": data.name, "label": label, "seed": seed, "settings": run_settings(distill)}
            of_seed.append(Cell(identity, distill.to_dict()))
        cells += sorted(of_seed, key=lambda cell: str(cell.settings["knowledge"]))
    teacher = cells[0]
    identity = {**teacher.identity, "label": TEACHER, "seed": None}
    return [Cell(identity, {**teacher.settings, "agent": None, "knowledge": ["gold"]}), *cells]


def _with_checkpoint(cell: Cell, folder: Path, index: int) -> Cell:
    if cell.identity["label"] == TEACHER:
        return cell
    return replace(
        cell, settings={**cell.settings, "checkpoint": str(folder / CHECKPOINTS / f"run-{index}.safetensors")}
    )


def _steps(settings: EnvSettings, task: Task[Any]) -> int:
    batches = -(-len(task.splits["train"]) // settings.training.batch_size)
    return settings.training.total_steps(batches)


def _write(
    settings: CompareSettings,
    folder: RunFolder,
    comparisons: list[Comparison],
    entries: list[dict[str, Any]],
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
    check_failures(entries, retry_hint(folder, folder.path / RUNS))
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
