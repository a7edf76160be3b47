"""Measure a teacher, a student and a task before any training.

Reads a few hundred examples of train and of the reward split, never of dev, and takes a few training steps to time
them. Prints tables of what the teacher knows (accuracy against the constant prediction and a linear probe, calibration
and best temperature, relations between classes, label order), which kinds of knowledge student and teacher have in
common, how much cache they take, and how long a run takes. The run folder has all of it as JSON.

Examples:
  kselect doctor --task mrpc --teacher runs/teacher/model --layers 3
  kselect doctor --task mrpc --teacher runs/teacher/model --student small-encoder --examples 500
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kselect.analysis.advice import Advice, advise
from kselect.analysis.doctor import (
    PARTS,
    Examination,
    check_examinable,
    check_readable,
    examine,
    fixed_temperature,
    histograms,
    results_of,
)
from kselect.cli.console import Progress, print_table
from kselect.cli.notices import warn_of_head
from kselect.cli.training_run import resolve_task
from kselect.config import AgentConfig, DoctorSettings
from kselect.distillation.builders import Models, make_models
from kselect.distillation.overlap import teacher_overlap
from kselect.errors import KselectError
from kselect.recipes import resolve
from kselect.recipes.shipped import SHIPPED
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder
from kselect.stats import Estimate
from kselect.tasks.task import Task

BAR = 20  # characters of a full bar
Table = tuple[str, list[str], list[list[str]]]
"""Title, columns and rows."""


def run(settings: DoctorSettings, task: Task[Any]) -> Path:
    """Examine a teacher, print the measurements, and write them to a run folder, whose path is returned."""
    check_examinable(task)  # before models are loaded
    fixed_temperature(settings.knowledge)
    seed, location = settings.run.seed, settings.run
    models = make_models(settings.task, settings.model, seed, task)
    (teacher,) = models.teachers
    check_readable(task, teacher)
    warn_of_head(models)
    place = RunPlace(Path(location.runs_dir), task.name, "doctor", seed, location.run_name, "doctor")
    with RunFolder.open(place, resolve_task(settings, task).to_dict(), location.fresh) as folder:
        if folder.resumed:  # there is nothing to resume from
            folder.rewind(0)
        with Progress(len(PARTS) + 1, f"Examining the teacher on {task.name}") as progress:
            progress.advance(0, measuring="facts of the run")
            advice = _advice(settings, models)  # first, since the examination trains the student a little
            examination = examine(
                task,
                teacher,
                models.student,
                settings.training,
                settings.knowledge,
                examples=settings.doctor.examples,
                max_length=settings.task.max_length,
                seed=settings.task.data_seed,
                on_part=lambda part: progress.advance(measuring=part),
            )
            progress.advance()
        folder.log_histograms(histograms(examination), 0)
        about = {"task": task.name, "teacher": settings.model.teachers[0], "seed": seed}
        about["teacher_overlap"] = teacher_overlap(task, models.teachers)
        if isinstance(advice, Advice):
            about["advice"] = advice.to_dict()
        folder.write_results({**about, **results_of(examination)})
    for title, columns, rows in tables(examination):
        print_table(title, columns, rows)
        print()
    for finding in examination.findings:
        print(f"Warning ({finding.code}): {finding.message}")
    for fit in examination.pair.fits:
        if fit.obstacle is not None:
            print(fit.obstacle)
    if isinstance(advice, Advice):
        columns = ["over", "points", "90 % interval", "better", "main fact"]
        print_table(f"What a run of {advice.choice['selection']} is expected to gain", columns, advice.rows())
        print(f"A run of these settings {advice.line.replace('chose', 'would choose', 1)}.\n")
    elif advice is not None:
        print(f"No advice: {advice}")
    print(f"examination: {folder.path}")
    return folder.path


def _advice(settings: DoctorSettings, models: Models) -> Advice | KselectError | None:
    """Return what the policy in the settings would choose; None without one.

    Where the policy that comes with the package cannot choose, since the models or the knowledge do not suit it, that
    is returned as an error: the examination, which says why, goes on.

    Raises:
        KselectError: another policy cannot choose.
    """
    policy = settings.doctor.policy
    if policy is None:
        return None
    try:
        knowledge = resolve(AgentConfig(policy), **settings.knowledge.changed())
        return advise(policy, models.distiller(settings.training, knowledge, settings.task.max_length))
    except KselectError as error:
        if policy not in SHIPPED:
            raise
        return error


def tables(examination: Examination) -> Iterator[Table]:
    """Return the measurements as tables."""
    held_out, train = sides = examination.held_out.calibration, examination.profile.train
    examples, classes = examination.examples, len(examination.profile.labels)
    columns = ["teacher", "held out", "train"]
    title = f"{examination.task.name}: {examples['reward']} examples of reward, {examples['train']} of train"
    rows = [
        [examination.unit, *(str(side.positions) for side in sides)],
        ["accuracy", *(_share(side.accuracy) for side in sides)],
        ["confidence", *(f"{side.confidence:.1%}" for side in sides)],
        ["probability of the gold class", *(f"{side.gold_probability:.1%}" for side in sides)],
        ["entropy / log K", *(f"{side.entropy:.1%}" for side in sides)],
        ["cross-entropy, nats", *(f"{side.loss:.3f}" for side in sides)],
        ["calibration error", *(f"{side.calibration_error:.1%}" for side in sides)],
        ["calibration error, adaptive bins", *(f"{side.adaptive_calibration_error:.1%}" for side in sides)],
    ]
    yield title, columns, rows
    pairs = (held_out.confidence_histogram, train.confidence_histogram)
    yield _histogram(f"Confidence, share of {examination.unit}", *pairs)
    yield _histogram(f"Entropy / log {classes}", held_out.entropy_histogram, train.entropy_histogram)
    yield "Held out", ["measure", "value"], list(_held_out_rows(examination))
    yield "Targets on train", ["measure", "value"], list(_target_rows(examination))
    columns = ["knowledge", "layers", "projection", "MiB", "outputs"]
    yield "Knowledge that student and teacher have in common", columns, list(_knowledge_rows(examination))
    if examination.cost is not None:
        cost = examination.cost
        rows = [[name, f"{s:.3f}", f"{cost.run_seconds(name):.0f}"] for name, s in cost.step_seconds.items()]
        yield f"Time, {cost.steps} steps a run", ["selection", "s/step", "s/run"], rows


def _histogram(title: str, held_out: Sequence[float], train: Sequence[float]) -> Table:
    """Return two histograms of [0, 1] as bars, without empty bins at the ends."""
    bins = len(train)
    filled = [i for i in range(bins) if held_out[i] or train[i]]
    rows = [
        [
            f"{i / bins:.1f} to {(i + 1) / bins:.1f}",
            *(cell for share in (held_out[i], train[i]) for cell in _bar(share)),
        ]
        for i in range(filled[0], filled[-1] + 1)
    ]
    return title, ["", "held out", "", "train", ""], rows


def _bar(share: float) -> tuple[str, str]:
    return f"{share:.1%}", ("█" * round(BAR * share)).ljust(BAR)


def _held_out_rows(examination: Examination) -> Iterator[list[str]]:
    profile, measures = examination.profile, examination.held_out
    for name, value in profile.metrics.items():
        yield [f"metric {name}", f"{value:.3f}"]
    for name, value in examination.constant.items():
        yield [f"metric {name}, constant prediction", f"{value:.3f}"]
    yield ["accuracy of the constant prediction", _share(measures.constant)]
    yield ["gain over the constant prediction", _share(measures.gain_over_constant)]
    yield ["information gain over class frequencies, nats", _number(measures.information_gain)]
    if measures.probe is not None and measures.gain_over_probe is not None:
        yield ["accuracy of a linear probe of the untrained student", _share(measures.probe)]
        yield ["gain over the linear probe", _share(measures.gain_over_probe)]
    best, order = measures.best_temperature, measures.order
    yield ["best temperature", f"{best.value:.2f}{' (an end of the range)' if best.bounded else ''}"]
    yield ["cross-entropy at the best temperature, nats", f"{best.loss_after:.3f}"]
    yield [f"cross-entropy at temperature {profile.temperature:g}, nats", f"{measures.loss:.3f}"]
    yield [f"overconfidence slope at temperature {profile.temperature:g}", _number(measures.overconfidence)]
    yield [
        "accuracy with the labels in the best other order",
        f"{order.right_as_meant:.1%} (as named {order.right:.1%})",
    ]
    if measures.top_k is not None:
        yield ["probabilities worth keeping", f"{measures.top_k.k} of {measures.top_k.classes}"]
    yield ["same tokenizer and inputs as the student", "yes" if examination.obstacle is None else "no"]
    if examination.unit == "texts":
        yield ["texts truncated", f"{examination.truncated:.1%}"]
    else:
        yield ["sentences read in pieces", f"{examination.in_pieces:.1%}"]


def _target_rows(examination: Examination) -> Iterator[list[str]]:
    profile = examination.profile
    temperature, information = profile.temperature, profile.information[0]
    yield [f"information beyond label smoothing at {temperature:g}, nats", f"{information.total:.3f}"]
    for name, share in information.shares.items():
        yield [f"share of the {name} level" if name != "rest" else "share of the rest", f"{share:.1%}"]
    low, high = profile.gold_range
    yield [f"probability of the gold class at {temperature:g}, 98 % range", f"{low:.1%} to {high:.1%}"]
    for at, factors in {1.0: profile.rescaling, temperature: profile.softened_rescaling}.items():
        yield [f"gradient rescaling at {at:g}, 90 % range", f"{factors.low:.2f} to {factors.high:.2f}"]
    relations = profile.relations
    if relations is not None:
        yield ["strength of class relations", f"{relations.strength:.1%}"]
        yield [f"probability of all wrong classes at {temperature:g}", f"{relations.non_target_mass:.1%}"]
        if relations.explained_by_similarity is not None:
            yield ["share explained by class similarity", f"{relations.explained_by_similarity:.1%}"]


def _knowledge_rows(examination: Examination) -> Iterator[list[str]]:
    pair = examination.pair
    for fit in pair.fits:
        if fit.obstacle is not None:
            yield [fit.name, "", "", "", "not comparable"]
            continue
        layers = ",".join(f"{student}:{teacher}" for student, teacher in fit.layer_map)
        source = "live" if not fit.cached else "cached" if fit.bytes else ""
        yield [fit.name, layers, "learned" if fit.projected else "", f"{fit.bytes / 2**20:.1f}", source]
    yield ["all together", "", "", f"{pair.bytes / 2**20:.1f}", f"of {pair.limit / 2**20:.0f}"]


def _share(estimate: Estimate) -> str:
    return f"{estimate.mean:.1%} ± {estimate.se:.1%}"


def _number(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} ± {estimate.se:.3f}"
