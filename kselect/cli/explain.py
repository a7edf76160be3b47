"""Tell which level of knowledge accounts for what distillation gains.

Trains one and the same student under a ladder of targets that pass on ever more of what the teacher says: none of it
(gold labels), label smoothing (the universe), the likeness of classes (the domain), the teacher's confidence in each
example (the instance), both of these, its largest probabilities, all of it. What each gains over gold labels, seed by
seed, tells what the gain of distillation is made of. Finished runs are kept: a stopped ladder goes on where it was, and
another one, of more seeds or in another measure, takes them over with --earlier.

Examples:
  kselect explain --task mnli --teacher runs/mnli-teacher/model --layers 3
  kselect explain --config configs/explain/topics.yaml --top_k 0.1,0.25,0.5 --run_name three
  kselect explain --config configs/explain/topics.yaml --earlier runs/three --seeds 0,1,2,3,4 --measure loss
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kselect.config import AblationConfig, names_with
from kselect.config import ExplainSettings as Settings

if TYPE_CHECKING:
    from kselect.analysis.ablation.levels import Condition
    from kselect.analysis.ablation.report import Explanation
    from kselect.distillation.builders import Models
    from kselect.distillation.distiller import Distiller
    from kselect.runs.run_dir import RunFolder
    from kselect.runs.run_log import Ledger
    from kselect.tasks.task import Task
    from kselect.training.runner import OnPhase

NAME = "explain"
RUNS, TABLE, PLOT = "runs.jsonl", "explanation.md", "explanation.png"


def run(settings: Settings) -> Path:
    """Climb the ladder and tell what accounts for the gain, in a run folder, whose path is returned."""
    from kselect.errors import KselectError
    from kselect.tasks.registry import make_task

    earlier = None if settings.ladder.earlier is None else Path(settings.ladder.earlier)
    if earlier is not None and not (earlier / RUNS).exists():
        raise KselectError(f"earlier is {earlier}, which holds no runs of a ladder: give a folder that `explain` left.")
    task = make_task(settings.task)  # before torch is loaded, so that faults in data are told at once

    from kselect.analysis.ablation.findings import findings, identities, outcome, symptoms
    from kselect.analysis.ablation.levels import conditions, count_classes, match_smoothing
    from kselect.analysis.ablation.report import explain, predict_train, profile_ablation_teacher
    from kselect.analysis.ablation.runs import KEY, check_runs, run_ablation
    from kselect.cli.session import warn_of_head, warn_of_length
    from kselect.distillation.compatibility import check_compatible
    from kselect.runs.run_log import Ledger

    seeds, models_of = settings.run.seeds, _models(settings, task)
    first = models_of(seeds[0])
    classes = count_classes(first.task, first.student, first.teachers[0])
    warn_of_head(first)
    check_compatible(first.student, first.teachers, first.task)
    sample = predict_train(first.task, first.teachers[0], settings.training, settings.task.max_length)
    config = match_smoothing(settings.ladder, sample)
    rungs, distiller_of = conditions(settings.ladder, classes), _distillers(settings, config, models_of)
    distiller = distiller_of(seeds[0], None)
    warn_of_length(distiller)
    teacher = profile_ablation_teacher(distiller, config, sample)
    for finding in (*identities(rungs, classes, teacher), *symptoms(teacher)):
        print(finding, file=sys.stderr)
    taken_over = [] if earlier is None else _taken_over(earlier, settings, distiller, rungs)
    check_runs(distiller, seeds[0], taken_over)
    folder = _open_folder(settings, distiller)
    ledger = Ledger(folder.path / RUNS, KEY)
    for entry in taken_over:
        if not ledger.holds(entry):
            ledger.append(entry)
    with _recorded(folder, ledger, rungs, seeds, distiller) as (on_phase, on_run, watched):
        share = config.gold_share
        run_ablation(lambda *run: watched(distiller_of(*run)), rungs, seeds, share, ledger, on_phase, on_run)
        explanation = explain(ledger.entries(), rungs, seeds, classes, config.measure, teacher)
        _write(folder, explanation, findings(explanation), distiller.task.name)
    print("\n".join(outcome(explanation)))  # the rest was told before the training
    print(f"table: {folder.path / TABLE}")
    return folder.path


def _models(settings: Settings, task: Task[Any]) -> Callable[[int], Models]:
    """Return what gives the models of a seed, with which a student's head may be drawn; the last ones are held."""
    from functools import lru_cache

    from kselect.distillation.builders import make_models

    return lru_cache(maxsize=1)(lambda seed: make_models(settings.task, settings.model, seed, task))


def _distillers(
    settings: Settings, config: AblationConfig, models_of: Callable[[int], Models]
) -> Callable[[int, float | None], Distiller]:
    """Return what gives the run of a seed and a share of top-k; the last one is held."""
    import copy
    from functools import lru_cache

    from kselect.distillation.distiller import Distiller

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
    earlier: Path, settings: Settings, distiller: Distiller, rungs: Sequence[Condition]
) -> list[dict[str, Any]]:
    """Return the finished runs of another ladder that this one takes over."""
    from kselect.analysis.ablation.runs import KEY, pending_runs
    from kselect.cli.session import resolved
    from kselect.runs.resume import ensure_same_settings
    from kselect.runs.run_log import Ledger

    ensure_same_settings(earlier, resolved(settings, distiller), names_with(Settings, may_differ_on_extension=True))
    wanted = {(seed, rung.name) for seed, rung in pending_runs(rungs, settings.run.seeds)}
    return [run for run in Ledger(earlier / RUNS, KEY).entries() if (run["seed"], run["rung"]) in wanted]


def _open_folder(settings: Settings, distiller: Distiller) -> RunFolder:
    from kselect.cli.session import resolved
    from kselect.runs.resume import RunPlace
    from kselect.runs.run_dir import RunFolder

    run, task = settings.run, distiller.task.name
    place = RunPlace(Path(run.runs_dir), task, NAME, run.seeds, run.run_name, NAME)
    return RunFolder.open(place, resolved(settings, distiller), run.fresh)


@contextmanager
def _recorded(
    folder: RunFolder, ledger: Ledger, rungs: Sequence[Condition], seeds: Sequence[int], distiller: Distiller
) -> Iterator[tuple[OnPhase, Callable[[Any], None], Callable[[Distiller], Distiller]]]:
    """Take up finished runs; give what is told of each phase and each run, and what shows a teacher's outputs.

    Raises:
        KselectError: training diverged.
        KeyboardInterrupt: Ctrl-C or SIGTERM, with what to say of it.
    """
    from kselect.analysis.ablation.runs import pending_runs
    from kselect.cli.interruption import Interruption
    from kselect.cli.progress import Progress
    from kselect.distillation.divergence import TrainingDivergedError
    from kselect.errors import KselectError
    from kselect.training.results import describe_selection

    with folder:
        done, runs = ledger.entries(), len(pending_runs(rungs, seeds))
        steps = distiller.total_steps
        if folder.resumed:
            folder.rewind(0, 0)  # the curves are drawn anew: the ledger alone is gone on from
            print(f"Going on with {folder.path} after {len(done)} of {runs} runs.", file=sys.stderr)
        elif done:
            print(f"Of {runs} runs {len(done)} are taken over.", file=sys.stderr)
        title = f"Explaining {distiller.task.name}"
        with Progress(runs * steps, title, done=len(done) * steps) as progress, Interruption() as interruption:

            def on_phase(record: dict[str, Any]) -> None:
                progress.advance(record["steps"], taught=describe_selection(record["weights"]))
                if interruption.requested:
                    raise KeyboardInterrupt

            def on_run(entry: Any) -> None:
                scalars = {f"score/{entry['rung']}": entry["metrics"]["score"]}
                folder.log_scalars(scalars | {f"loss/{entry['rung']}": entry["metrics"]["loss"]}, entry["seed"])

            def watched(one: Distiller) -> Distiller:
                one.watch_teacher(progress.part(f"Teacher's outputs on {one.task.name}"))
                return one

            for entry in done:
                on_run(entry)
            try:
                yield on_phase, on_run, watched
            except TrainingDivergedError as error:
                raise KselectError(folder.write_diverged(str(error), None)) from error
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"after {len(ledger.entries())} of {runs} runs; to go on, give the same command again, or "
                    f"{folder.resume_command}"
                ) from None


def _write(folder: RunFolder, explanation: Explanation, findings: Sequence[str], task: str) -> None:
    """Leave the table, the picture where it can be drawn, and the results; print the table."""
    from kselect import io
    from kselect.analysis.ablation.report import ablation_figure, results_of, table
    from kselect.analysis.plotting import can_draw, save
    from kselect.cli.table import markdown, print_table

    title = f"{task}, {explanation.examples} examples of dev"
    columns, rows = table(explanation)
    said = "\n".join(f"* {finding}" for finding in findings)
    note = "Metrics: mean ± standard deviation over seeds. Gains and shares: ± standard error, paired by seed."
    text = f"# What accounts for the gain of distillation\n\n{title}. {note}\n\n{markdown(columns, rows)}\n\n{said}\n"
    io.write_text(folder.path / TABLE, text)
    folder.log_text("explanation", text)
    if can_draw():
        save(ablation_figure(explanation, title), folder.path / PLOT)
    folder.write_results({"task": task, **results_of(explanation, findings)})
    print_table(title, columns, rows)
