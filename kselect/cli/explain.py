"""Decompose the gain of distillation into levels of knowledge.

Trains the same student under conditions that transfer ever more of the teacher's outputs: none of them (gold
labels), label smoothing (universe level), the similarity of classes (domain level), the confidence in each example
(instance level), both of these, the largest probabilities, all of them. The gain of each over gold labels under the
same seeds shows which level accounts for the gain of distillation. A stopped run resumes, and another one, with more
seeds or another measure, takes over finished runs with --earlier.

Examples:
  kselect explain --task mnli --teacher runs/mnli-teacher/model --layers 3
  kselect explain --config configs/explain/topics.yaml --top_k 0.1,0.25,0.5 --run_name three
  kselect explain --config configs/explain/topics.yaml --earlier runs/three --seeds 0,1,2,3,4 --measure loss
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from kselect import io
from kselect.analysis.ablation.findings import findings, identities, outcome, symptoms, warnings
from kselect.analysis.ablation.levels import Condition, conditions, count_classes, match_smoothing
from kselect.analysis.ablation.report import Explanation, ablation_figure, explain, results_of, table
from kselect.analysis.ablation.runs import KEY, NUMBERS, ablation_study, check_runs, pending_runs
from kselect.analysis.ablation.teacher import predict_train, profile_ablation_teacher
from kselect.analysis.plotting import can_draw
from kselect.cli.console import Progress, markdown, notice, print_table
from kselect.cli.notices import warn_of_head, warn_of_lengths
from kselect.cli.study_run import retry_hint, run_study
from kselect.cli.training_run import resolve
from kselect.config import AblationConfig, ExplainSettings, names_with
from kselect.distillation.builders import Models, make_models
from kselect.distillation.compatibility import check_common_tokens, check_compatible
from kselect.distillation.distiller import Distiller
from kselect.distillation.overlap import teacher_overlap
from kselect.runs.resume import RunPlace, ensure_same_settings
from kselect.runs.run_dir import RunFolder
from kselect.runs.run_log import RUNS, Ledger
from kselect.tasks.task import Task
from kselect.training.study import check_failures

TABLE, PLOT = "explanation.md", "explanation.png"


def run(settings: ExplainSettings, task: Task[Any]) -> Path:
    """Run the ablation and report what accounts for the gain in a run folder, whose path is returned."""
    earlier = None if settings.ladder.earlier is None else Path(settings.ladder.earlier)
    seeds, models_of = settings.run.seeds, _models(settings, task)
    first = models_of(seeds[0])
    classes = count_classes(first.task, first.student, first.teachers[0])
    warn_of_head(first)
    check_compatible(first.student, first.teachers, first.task)
    check_common_tokens(first.student, first.teachers, first.task, "An ablation")
    sample = predict_train(first.task, first.teachers[0], settings.training, settings.task.max_length)
    config = match_smoothing(settings.ladder, sample)
    rungs, distiller_of = conditions(settings.ladder, classes), _distillers(settings, config, models_of)
    distiller = distiller_of(seeds[0], None)
    warn_of_lengths(distiller)
    teacher = profile_ablation_teacher(distiller, config, sample)
    constant = first.task.constant_score("dev")["score"]
    for finding in (*warnings(teacher, constant), *identities(rungs, classes, teacher), *symptoms(teacher)):
        notice(finding)
    taken_over = [] if earlier is None else _taken_over(earlier, settings, distiller, rungs)
    check_runs(distiller, seeds[0], taken_over)
    with _open_folder(settings, distiller) as folder:
        ledger = Ledger(folder.path / RUNS, KEY, NUMBERS)
        for entry in taken_over:
            if not ledger.holds(entry):
                ledger.append(entry)
        if folder.resumed:
            folder.rewind(0)  # the curves are drawn anew from the ledger
        progress: list[Progress] = []

        def watched(seed: int, top_k: float | None) -> Distiller:
            distiller = distiller_of(seed, top_k)
            for each in progress:
                distiller.watch_teacher(each.part(f"Teacher's outputs on {distiller.task.name}"))
            return distiller

        study = ablation_study(watched, rungs, seeds, config.gold_share, ledger)
        for entry in ledger.latest().values():
            _log_scores(folder, entry)
        entries = run_study(
            study,
            folder,
            f"Explaining {distiller.task.name}",
            lambda cell: distiller.total_steps,
            on_entry=lambda entry: _log_scores(folder, entry),
            on_begin=progress.append,
        )
        check_failures(entries, retry_hint(folder, ledger.path))
        explanation = explain(entries, rungs, seeds, classes, config.measure, teacher)
        _write(folder, explanation, findings(explanation), distiller)
    print("\n".join(outcome(explanation)))  # the findings on the teacher were printed before the training
    print(f"table: {folder.path / TABLE}")
    return folder.path


def _models(settings: ExplainSettings, task: Task[Any]) -> Callable[[int], Models]:
    """Return a function from a seed to its models; the last ones are cached."""
    return lru_cache(maxsize=1)(lambda seed: make_models(settings.task, settings.model, seed, task))


def _distillers(
    settings: ExplainSettings, config: AblationConfig, models_of: Callable[[int], Models]
) -> Callable[[int, float | None], Distiller]:
    """Return a function from a seed and a share of top-k to a distiller; the last one is cached."""

    @lru_cache(maxsize=1)
    def distiller_of(seed: int, top_k: float | None) -> Distiller:
        models = models_of(seed)
        return Distiller(
            models.task,
            models.teachers,
            copy.deepcopy(models.student),
            settings.training,
            config.knowledge(top_k),
            settings.task.max_length,
        )

    return distiller_of


def _taken_over(
    earlier: Path, settings: ExplainSettings, distiller: Distiller, rungs: Sequence[Condition]
) -> list[dict[str, Any]]:
    """Return the finished runs of another ablation that this one takes over."""
    ensure_same_settings(
        earlier, resolve(settings, distiller).to_dict(), names_with(ExplainSettings, may_differ_on_extension=True)
    )
    ledger = Ledger(earlier / RUNS, KEY, NUMBERS)
    pending = [{"seed": seed, "rung": rung.name} for seed, rung in pending_runs(rungs, settings.run.seeds)]
    wanted = {ledger.identity(run) for run in pending}
    return [run for run in ledger.entries() if "error" not in run and ledger.identity(run) in wanted]


def _open_folder(settings: ExplainSettings, distiller: Distiller) -> RunFolder:
    run, task = settings.run, distiller.task.name
    place = RunPlace(Path(run.runs_dir), task, "explain", run.seeds, run.run_name, "explain")
    return RunFolder.open(place, resolve(settings, distiller).to_dict(), run.fresh)


def _log_scores(folder: RunFolder, entry: Mapping[str, Any]) -> None:
    """Draw a finished run as a point of its condition's curve over the seeds."""
    if "error" not in entry:
        metrics, rung, seed = entry["metrics"], entry["rung"], entry["seed"]
        folder.log_scalars({f"{name}/{rung}": metrics[name] for name in ("score", "loss")}, seed)
        folder.log_run(f"{rung}-{seed}", {"agent": rung, "seed": seed}, entry)


def _write(folder: RunFolder, explanation: Explanation, findings: Sequence[str], distiller: Distiller) -> None:
    """Write the table, the plot if matplotlib is installed, and the results; print the table."""
    task = distiller.task.name
    title = f"{task}, {explanation.examples} examples of dev"
    columns, rows = table(explanation)
    lines = "\n".join(f"* {finding}" for finding in findings)
    note = "Metrics: mean ± standard deviation over seeds. Gains and shares: ± standard error, paired by seed."
    text = f"# What accounts for the gain of distillation\n\n{title}. {note}\n\n{markdown(columns, rows)}\n\n{lines}\n"
    io.write_text(folder.path / TABLE, text)
    folder.log_text("explanation", text)
    if can_draw():
        io.write_figure(folder.path / PLOT, ablation_figure(explanation, title))
    overlap = teacher_overlap(distiller.task, distiller.teachers)
    folder.write_results({"task": task, **results_of(explanation, findings), "teacher_overlap": overlap})
    print_table(title, columns, rows)
