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

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kselect.cli import yaml_file
from kselect.cli.distill import EPILOG as EPILOG
from kselect.config import (
    AgentConfig,
    DistillSettings,
    EnvSettings,
    KnowledgeConfig,
    RunConfig,
)
from kselect.config import CompareSettings as Settings
from kselect.config.comparison import TEACHER
from kselect.errors import KselectError, unknown
from kselect.recipes import check_decider, resolve

if TYPE_CHECKING:
    from kselect.runs.run_dir import RunFolder
    from kselect.tasks.task import Task
    from kselect.training.comparison import Comparison
    from kselect.training.study import Cell

NAME = "compare"
RUNS, TABLE, CHECKPOINTS = "runs.jsonl", "table.md", "checkpoints"
FORMATS = {".md": "markdown", ".csv": "csv", ".json": "json", ".txt": "table"}


def run(settings: Settings) -> Path:
    """Compute the runs and report them in a run folder, whose path is returned."""
    _check_files(settings)
    tasks = tasks_of(settings)
    agents = {label: AgentConfig(agent) for label, agent in settings.comparison.labelled.items()}
    for agent in agents.values():
        check_decider(agent.agent)
        knowledge_of(agent, settings)
    from kselect.tasks.registry import make_task

    loaded = [make_task(task.task) for task in tasks]  # before torch is loaded, so that bad data are reported at once

    from kselect.cli.session import settled
    from kselect.cli.study_run import run_study
    from kselect.runs.resume import RunPlace
    from kselect.runs.run_dir import RunFolder
    from kselect.runs.run_log import Ledger
    from kselect.training.cells import run_cell
    from kselect.training.comparison import KEY, compare
    from kselect.training.engines import make_engine
    from kselect.training.study import Study

    also = [json.dumps(settled(task, data)) for task, data in zip(tasks[1:], loaded[1:], strict=True)]
    config = settled(settings, loaded[0]) | {"also": also}
    names = " + ".join(task.name for task in loaded)
    place = RunPlace(Path(settings.run.runs_dir), names, NAME, settings.run.seeds, settings.run.run_name, NAME)
    with RunFolder.open(place, config, settings.run.fresh) as folder:
        if folder.resumed:
            folder.rewind(0, 0)  # nothing is logged but the outcome
        cells = [
            cell for task, data in zip(tasks, loaded, strict=True) for cell in cells_of(settings, task, data, agents)
        ]
        cells = [_with_checkpoint(cell, folder.path, index) for index, cell in enumerate(cells)]
        steps = {task.name: _steps(setting, task) for setting, task in zip(tasks, loaded, strict=True)}
        study = Study(cells, run_cell, Ledger(folder.path / RUNS, KEY), make_engine(settings.comparison.processes))
        entries = run_study(
            study,
            folder,
            f"Comparing {len(agents)} agents on {names}",
            lambda cell: 0 if cell.identity["label"] == TEACHER else steps[cell.identity["task"]],
        )
        order = {label: index for index, label in enumerate(agents)}
        entries.sort(key=lambda entry: order.get(entry["label"], -1))
        comparisons = compare(entries, settings.comparison.baseline_label)
        _write(settings, folder, comparisons, entries, names)
    print(f"runs: {folder.path}")
    return folder.path


def tasks_of(settings: Settings) -> list[EnvSettings]:
    """Return the settings of each task: those of the command, and each of `also` over them.

    Raises:
        KselectError: A file of `also` cannot be read, lacks task or teacher, or has another setting than a task's.
    """
    first = settings.select(EnvSettings)
    tasks = [first]
    for source in settings.comparison.also:
        inline = source.lstrip().startswith("{")  # as config.yaml records it
        changes: dict[str, Any] = yaml.safe_load(source) if inline else yaml_file.read(source, "--also")
        for key in ("task", "teacher"):
            if key not in changes:
                raise KselectError(f"{source} has no {key}: a further task needs its task and its teacher.")
        for key in changes:
            if key not in EnvSettings.hints():
                raise unknown(f"setting of a task in {source}", key, EnvSettings.hints())
        tasks.append(first.replace(**changes))
    return tasks


def cells_of(settings: Settings, task: EnvSettings, data: Task[Any], agents: dict[str, AgentConfig]) -> list[Cell]:
    """Return the runs on one task, those that read the same knowledge under one seed next to each other."""
    from kselect.training.cells import run_settings
    from kselect.training.study import Cell

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


def knowledge_of(agent: AgentConfig, settings: Settings) -> KnowledgeConfig:
    """Return what is on offer to an agent: settings that are not the default, over those of its recipe or policy."""
    default = KnowledgeConfig()
    given = {name: value for name, value in vars(settings.knowledge).items() if value != getattr(default, name)}
    return resolve(agent, **given)


def _with_checkpoint(cell: Cell, folder: Path, index: int) -> Cell:
    if cell.identity["label"] == TEACHER:
        return cell
    return replace(
        cell, settings={**cell.settings, "checkpoint": str(folder / CHECKPOINTS / f"run-{index}.safetensors")}
    )


def _steps(settings: EnvSettings, task: Task[Any]) -> int:
    batches = -(-len(task.splits["train"]) // settings.training.batch_size)
    return settings.training.total_steps(batches)


def _check_files(settings: Settings) -> None:
    """Refuse, before anything is computed, files that could not be written at the end."""
    from kselect.analysis.plotting import can_draw

    for name in ("output", "plot"):
        path = getattr(settings.comparison, name)
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise KselectError(
                f"{name} is {path}, whose folder does not exist: make it, or give another.", setting=name
            )
    if settings.comparison.plot is not None and not can_draw():
        raise KselectError("plot needs matplotlib: pip install 'kselect[plots]', or leave it out.", setting="plot")


def _write(
    settings: Settings, folder: RunFolder, comparisons: list[Comparison], entries: list[dict[str, Any]], names: str
) -> None:
    """Print the report and leave it in the run folder; a comparison with failed runs is left unfinished.

    Raises:
        KselectError: Runs failed.
    """
    from kselect import io
    from kselect.cli.study_run import retry_hint
    from kselect.training.comparison import records, save_figure
    from kselect.training.study import check_failures

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
    from kselect.cli.table import aligned, markdown
    from kselect.io import to_json
    from kselect.training.comparison import MEANINGS, records, table

    if form == "json":
        return to_json(records(comparisons)) + "\n"
    if form == "csv":
        return _csv(records(comparisons))
    if form == "markdown":
        parts = [f"## {_title(each)}\n\n{markdown(*table(each))}\n" for each in comparisons]
        return "\n".join([*parts, MEANINGS]) + "\n"
    return "\n\n".join(aligned(_title(each), *table(each)) for each in comparisons) + "\n"


def _csv(rows: list[dict[str, Any]]) -> str:
    import csv
    from io import StringIO

    stream = StringIO()
    writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _print(comparisons: list[Comparison]) -> None:
    from kselect.cli.table import print_table
    from kselect.training.comparison import table

    for each in comparisons:
        print_table(_title(each), *table(each))


def _title(comparison: Comparison) -> str:
    return f"{comparison.task}, {comparison.examples or 0} examples of dev"
