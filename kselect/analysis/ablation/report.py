"""Results of an ablation: metrics, gains and shares, as a table, as numbers and as a figure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kselect.analysis.ablation.effects import Decomposition, decompose
from kselect.analysis.ablation.levels import FINE_TUNE, Condition
from kselect.analysis.ablation.teacher import AblationTeacher
from kselect.stats import Estimate, paired_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = {"score": "points", "loss": "nats"}
"""Unit of gains, by measure."""

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Explanation:
    """The finished runs of an ablation and their effects.

    Attributes:
        measure: What gains are measured in, "score" or "loss".
        conditions: The conditions in order.
        runs: The runs by condition and seed; a condition that is identical to another has the other's runs.
        decomposition: Gains, shares and the order of the levels.
    """

    classes: int
    measure: str
    conditions: Sequence[Condition]
    runs: dict[str, dict[int, Entry]]
    teacher: AblationTeacher
    decomposition: Decomposition

    @property
    def unit(self) -> str:
        """Unit of gains."""
        return UNITS[self.measure]

    @property
    def seeds(self) -> list[int]:
        """The seeds that every condition has runs of."""
        return list(self.runs[FINE_TUNE])

    @property
    def constant(self) -> dict[str, float]:
        """Metrics of the constant prediction on dev."""
        constant: dict[str, float] = self.runs[FINE_TUNE][self.seeds[0]]["constant"]
        return constant

    @property
    def examples(self) -> int:
        """Number of examples of dev."""
        return int(self.runs[FINE_TUNE][self.seeds[0]]["examples"])

    def gain(self, name: str, measure: str) -> Estimate:
        """Return the gain of a condition over fine-tuning, paired by seed, in either measure."""
        values, baseline = (
            [value_of(run["metrics"], measure) for run in self.runs[condition].values()]
            for condition in (name, FINE_TUNE)
        )
        return paired_difference(values, baseline)


def explain(
    entries: Sequence[Entry],
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    classes: int,
    measure: str,
    teacher: AblationTeacher,
) -> Explanation:
    """Compute the effects of the conditions from finished runs."""
    by_key = {(entry["rung"], entry["seed"]): entry for entry in entries}
    runs = {
        condition.name: {seed: by_key[condition.same_as or condition.name, seed] for seed in seeds}
        for condition in conditions
    }
    values = {
        name: {seed: value_of(run["metrics"], measure) for seed, run in by_seed.items()}
        for name, by_seed in runs.items()
    }
    return Explanation(classes, measure, conditions, runs, teacher, decompose(values, classes))


def value_of(metrics: Mapping[str, float], measure: str) -> float:
    """Return the score in points, or the negative loss in nats, so that higher is better."""
    return 100 * metrics["score"] if measure == "score" else -metrics["loss"]


def table(explanation: Explanation) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows: metrics with their standard deviation over seeds, gains with their standard error."""
    constant, teacher = explanation.constant, explanation.teacher.profile.metrics
    names = [name for name in constant if "/" not in name]
    rows = [
        ["constant prediction", "", *(f"{100 * constant[name]:.1f}" for name in names), "", "", "", ""],
        ["teacher", "", *(f"{100 * teacher[name]:.1f}" for name in names), f"{teacher['loss']:.3f}", "", "", ""],
    ]
    for condition in explanation.conditions:
        runs = [run["metrics"] for run in explanation.runs[condition.name].values()]
        gain = explanation.decomposition.gains.get(condition.name)
        share = explanation.decomposition.shares.get(condition.name)
        rows.append(
            [
                f"{condition.name} (= {condition.same_as})" if condition.same_as else condition.name,
                condition.level,
                *(_mean_and_sd([100 * run[name] for run in runs], 1) for name in names),
                _mean_and_sd([run["loss"] for run in runs], 3),
                "" if gain is None else format_gain(gain, explanation.unit),
                "" if share is None else format_share(share),
                str(len(runs)),
            ]
        )
    columns = ["condition", "level", *names, "cross-entropy", f"gain, {explanation.unit}", "of kd's gain", "seeds"]
    return columns, rows


def results_of(explanation: Explanation, findings: Sequence[str]) -> dict[str, Any]:
    """Return what results.json holds; its "metrics" are the means, gains and shares by condition."""
    effects = explanation.decomposition
    rungs: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    for condition in explanation.conditions:
        name, runs = condition.name, explanation.runs[condition.name]
        gain, share = effects.gains.get(name), effects.shares.get(name)
        rungs[name] = {
            "level": condition.level,
            "same_as": condition.same_as,
            "metrics": {seed: run["metrics"] for seed, run in runs.items()},
            "gain": None if gain is None else _estimate_of(gain),
            "share": None if share is None else _estimate_of(share),
        }
        metrics[f"score/{name}"] = statistics.mean(run["metrics"]["score"] for run in runs.values())
        metrics |= {} if gain is None else {f"gain/{name}": gain.mean}
        metrics |= {} if share is None else {f"share/{name}": share.mean}
    return {
        "classes": explanation.classes,
        "seeds": explanation.seeds,
        "measure": explanation.measure,
        "examples": explanation.examples,
        "metrics": metrics,
        "order": effects.order,
        "findings": list(findings),
        "rungs": rungs,
        "leads": [{"of": a, "over": b, **_estimate_of(lead)} for (a, b), lead in effects.leads.items()],
        "constant": explanation.constant,
        "teacher": _teacher_of(explanation.teacher),
    }


def _teacher_of(teacher: AblationTeacher) -> dict[str, Any]:
    profile, config = teacher.profile, teacher.config
    relations = profile.relations
    return {
        "metrics": dict(profile.metrics),
        "label_smoothing": config.label_smoothing,
        "similarity_mass": config.similarity_mass,
        "similarity_temperature": config.similarity_temperature,
        "unevenness": profile.similarity_kl,
        "left": teacher.non_target_mass,
        "relations": None
        if relations is None
        else {
            "strength": relations.strength,
            "mass": relations.non_target_mass,
            "told_by_similarities": relations.explained_by_similarity,
        },
        "contents": [
            {("places" if name == "positions" else name): value for name, value in asdict(information).items()}
            | {"total": information.total}
            for information in profile.information
        ],
    }


def _estimate_of(estimate: Estimate) -> dict[str, float]:
    return {"mean": estimate.mean, "error": estimate.se, "seeds": estimate.count}


def format_gain(gain: Estimate, unit: str) -> str:
    """Return a difference and its standard error, without its unit."""
    digits = 2 if unit == "points" else 4
    return _with_error(f"{gain.mean:+.{digits}f}", f"{gain.se:.{digits}f}", gain)


def format_share(share: Estimate) -> str:
    """Return a share and its standard error in percent."""
    return _with_error(f"{100 * share.mean:.0f} %", f"{100 * share.se:.0f}", share)


def _with_error(mean: str, error: str, estimate: Estimate) -> str:
    return mean if estimate.count == 1 else f"{mean} ± {error}"


def _mean_and_sd(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def ablation_figure(explanation: Explanation, title: str) -> Figure:
    """Draw the gain of each trained condition over fine-tuning, with its 95 % interval where there is one."""
    from matplotlib.figure import Figure  # without pyplot, which needs a display and keeps figures

    gains = explanation.decomposition.gains
    trained = [c for c in reversed(explanation.conditions) if c.name in gains and c.same_as is None]
    margins = [gains[condition.name].margin for condition in trained]
    errors = [math.nan if math.isinf(margin) else margin for margin in margins]  # NaN draws nothing
    figure = Figure(figsize=(6.4, 0.8 + 0.4 * len(trained)), layout="constrained")
    axes = figure.subplots()
    means = [gains[condition.name].mean for condition in trained]
    axes.barh([f"{c.name}\n{c.level}" for c in trained], means, xerr=errors, capsize=3)
    axes.axvline(0, color="black", linewidth=0.8)
    seeds = len(explanation.seeds)
    source = "one seed" if seeds == 1 else f"mean and 95 % interval of {seeds} seeds"
    axes.set_xlabel(f"gain over fine-tuning on dev, {explanation.unit}: {source}")
    axes.set_title(title)
    axes.tick_params(axis="y", labelsize=8)
    return figure
