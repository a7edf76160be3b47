"""What a climbed ladder says: scores, gains, and what accounts for them, as a table and as numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kselect.analysis.ablation.effects import Decomposition, SeedEstimate, decompose, mean_of
from kselect.analysis.ablation.levels import FINE_TUNE, Rung
from kselect.analysis.teacher_profile import Teacher

if TYPE_CHECKING:
    from matplotlib.figure import Figure


UNITS = {"score": "points", "loss": "nats"}
"""What gains are told in, by what is measured."""

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Explanation:
    """A ladder with its runs, by rung and seed; those of a rung that is another are the other's."""

    classes: int
    measure: str
    rungs: Sequence[Rung]
    runs: dict[str, dict[int, Entry]]
    teacher: Teacher
    decomposition: Decomposition

    @property
    def unit(self) -> str:
        """What gains are told in."""
        return UNITS[self.measure]

    @property
    def seeds(self) -> list[int]:
        """The seeds that every rung has runs of."""
        return list(self.runs[FINE_TUNE])

    @property
    def constant(self) -> dict[str, float]:
        """What the constant prediction earns on dev."""
        constant: dict[str, float] = self.runs[FINE_TUNE][self.seeds[0]]["constant"]
        return constant

    @property
    def examples(self) -> int:
        """How many examples dev has."""
        return int(self.runs[FINE_TUNE][self.seeds[0]]["examples"])

    def gain(self, name: str, measure: str) -> SeedEstimate:
        """Return what a rung gains over fine-tuning, seed by seed, in either measure."""
        ours, theirs = self.runs[name], self.runs[FINE_TUNE]
        return mean_of(
            [
                value_of(ours[seed]["metrics"], measure) - value_of(theirs[seed]["metrics"], measure)
                for seed in self.seeds
            ]
        )


def explain(
    entries: Sequence[Entry], rungs: Sequence[Rung], seeds: Sequence[int], classes: int, measure: str, teacher: Teacher
) -> Explanation:
    """Set the finished runs of a ladder, as `climb` leaves them, side by side.

    Raises:
        KeyError: a run is not among them.
    """
    found = {(entry["rung"], entry["seed"]): entry for entry in entries}
    runs = {rung.name: {seed: found[rung.same_as or rung.name, seed] for seed in seeds} for rung in rungs}
    values = {
        name: {seed: value_of(run["metrics"], measure) for seed, run in of_rung.items()}
        for name, of_rung in runs.items()
    }
    return Explanation(classes, measure, rungs, runs, teacher, decompose(values, classes))


def value_of(metrics: Mapping[str, float], measure: str) -> float:
    """Return the score in points or, of the loss, how far it is below 0 nats."""
    return 100 * metrics["score"] if measure == "score" else -metrics["loss"]


def table(explanation: Explanation) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows: metrics with their standard deviation over seeds, gains with their standard error."""
    constant, teacher = explanation.constant, explanation.teacher.metrics
    names = [name for name in constant if "/" not in name]
    rows = [
        ["constant prediction", "", *(f"{100 * constant[name]:.1f}" for name in names), "", "", "", ""],
        ["teacher", "", *(f"{100 * teacher[name]:.1f}" for name in names), f"{teacher['loss']:.3f}", "", "", ""],
    ]
    for rung in explanation.rungs:
        runs = [run["metrics"] for run in explanation.runs[rung.name].values()]
        gain = explanation.decomposition.gains.get(rung.name)
        share = explanation.decomposition.shares.get(rung.name)
        rows.append(
            [
                f"{rung.name} (= {rung.same_as})" if rung.same_as else rung.name,
                rung.level,
                *(_spread([100 * run[name] for run in runs], 1) for name in names),
                _spread([run["loss"] for run in runs], 3),
                "" if gain is None else gained(gain, explanation.unit),
                "" if share is None else shared(share),
                str(len(runs)),
            ]
        )
    columns = ["taught", "level", *names, "cross-entropy", f"gain, {explanation.unit}", "of kd's gain", "seeds"]
    return columns, rows


def results_of(explanation: Explanation, findings: Sequence[str]) -> dict[str, Any]:
    """Return what results.json holds; its "metrics" are the means, gains and shares by rung."""
    split, teacher = explanation.decomposition, explanation.teacher
    told: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    for rung in explanation.rungs:
        runs = explanation.runs[rung.name]
        gain, share = split.gains.get(rung.name), split.shares.get(rung.name)
        told[rung.name] = {
            "level": rung.level,
            "same_as": rung.same_as,
            "metrics": {seed: run["metrics"] for seed, run in runs.items()},
            "gain": None if gain is None else asdict(gain),
            "share": None if share is None else asdict(share),
        }
        metrics[f"score/{rung.name}"] = statistics.mean(run["metrics"]["score"] for run in runs.values())
        metrics |= {} if gain is None else {f"gain/{rung.name}": gain.mean}
        metrics |= {} if share is None else {f"share/{rung.name}": share.mean}
    return {
        "classes": explanation.classes,
        "seeds": explanation.seeds,
        "measure": explanation.measure,
        "examples": explanation.examples,
        "metrics": metrics,
        "order": split.order,
        "findings": list(findings),
        "rungs": told,
        "leads": [{"of": first, "over": second, **asdict(lead)} for (first, second), lead in split.leads.items()],
        "constant": explanation.constant,
        "teacher": {
            "metrics": teacher.metrics,
            "label_smoothing": teacher.config.label_smoothing,
            "similarity_mass": teacher.config.similarity_mass,
            "similarity_temperature": teacher.config.similarity_temperature,
            "unevenness": teacher.unevenness,
            "left": teacher.left,
            "relations": None if teacher.relations is None else asdict(teacher.relations),
            "contents": [{**asdict(content), "total": content.total} for content in teacher.contents],
        },
    }


def gained(gain: SeedEstimate, unit: str) -> str:
    """Return a difference and its standard error, without its unit."""
    digits = 2 if unit == "points" else 4
    return _with_error(f"{gain.mean:+.{digits}f}", f"{gain.error:.{digits}f}", gain)


def shared(share: SeedEstimate) -> str:
    """Return a share and its standard error in percent."""
    return _with_error(f"{100 * share.mean:.0f} %", f"{100 * share.error:.0f}", share)


def _with_error(mean: str, error: str, estimate: SeedEstimate) -> str:
    return mean if estimate.seeds == 1 else f"{mean} ± {error}"


def _spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def ladder_figure(explanation: Explanation, title: str) -> Figure:
    """Return a figure of what each rung of its own gains over fine-tuning, with its 95 % interval where it has one."""
    from matplotlib.figure import Figure  # without pyplot, which wants a display and keeps figures

    gains = explanation.decomposition.gains
    levels = {rung.name: rung.level for rung in explanation.rungs}
    names = [rung.name for rung in reversed(explanation.rungs) if rung.name in gains and rung.same_as is None]
    margins = [gains[name].margin() for name in names]
    errors = [math.nan if math.isinf(margin) else margin for margin in margins]  # nothing is drawn
    figure = Figure(figsize=(6.4, 0.8 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    means = [gains[name].mean for name in names]
    axes.barh([f"{name}\n{levels[name]}" for name in names], means, xerr=errors, capsize=3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(f"gain over fine-tuning on dev, {explanation.unit}: {_seeds(explanation)}")
    axes.set_title(title)
    axes.tick_params(axis="y", labelsize=8)
    return figure


def _seeds(explanation: Explanation) -> str:
    count = len(explanation.seeds)
    return "one seed" if count == 1 else f"mean and 95 % interval of {count} seeds"
