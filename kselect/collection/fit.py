"""Fit a portfolio: what each selection gains over a default, from facts of the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import BayesianRidge

from kselect.agents.chooser import products
from kselect.collection.fact_scaling import FactScaling
from kselect.collection.table import Run
from kselect.collection.traits import traits_of


@dataclass(frozen=True)
class Trial:
    """One run, as far as a fit reads it.

    Attributes:
        group: the condition and the seed; the trials of a group differ in their selection alone.
        task: name of the task.
        selection: name of the selection.
        traits: of the selection, see `kselect.collection.traits.traits_of`.
        facts: by name, as `kselect.distillation.facts.facts.Facts.scaled` returns them.
        score: at the end of the run, in points.
    """

    group: tuple[str, int]
    task: str
    selection: str
    traits: tuple[float, ...]
    facts: Mapping[str, float]
    score: float


def trials(runs: Iterable[Run], split: str = "dev") -> list[Trial]:
    """Return the runs of fixed selections that have facts and a score.

    Raises:
        KselectError: a run with facts of another version of kselect.
    """
    return [
        Trial(
            (run.condition, run.seed),
            run.task,
            run.selection,
            traits_of(run.stages),
            run.read_facts().scaled(),
            100 * run.score(1.0, split),
        )
        for run in runs
        if run.stages and run.facts is not None and not math.isnan(run.score(1.0, split))
    ]


@dataclass(frozen=True)
class Fitted:
    """Coefficients of a portfolio, see `kselect.agents.portfolio.Portfolio`.

    Attributes:
        mean: of the coefficients, `[t (1 + p)]`.
        covariance: of the coefficients, `[t (1 + p), t (1 + p)]`.
        scaling: of the facts that gains depend on.
        noise: standard deviation of a run's score, in points.
        ranking: of the selections, see `ranked`.
        traits: of the selections, by name.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    scaling: FactScaling
    noise: float
    ranking: tuple[str, ...]
    traits: Mapping[str, tuple[float, ...]]

    @property
    def default(self) -> str:
        """Name of the best fixed selection."""
        return self.ranking[0]

    def gain(
        self,
        selection: str,
        facts: Mapping[str, float],
        over: str | None = None,
    ) -> tuple[float, float]:
        """Return the expected gain of a selection over another one, and its standard deviation, in points.

        Args:
            selection: its name.
            facts: of the run, by name.
            over: the other one; the default by default.
        """
        values = self.scaling(facts)
        difference = products(self.traits[selection], values) - products(self.traits[over or self.default], values)
        variance = float(difference @ self.covariance @ difference)
        return float(difference @ self.mean), math.sqrt(max(variance, 0.0))


def fit(runs: Sequence[Trial], facts: Sequence[str]) -> Fitted:
    """Fit the gains of all selections by Bayesian ridge regression within groups.

    Features are the traits of a selection, times 1 and each fact. Scores and features are centred within each group, so
    that only differences between selections of the same condition and seed count. The strength of the prior and the
    noise are those of the highest evidence (MacKay 1992), computed by scikit-learn.

    Args:
        runs: of every selection, in as many conditions as there are; a group may lack some.
        facts: names of the facts that gains may depend on.
    """
    groups = by_group(runs)
    scaling = FactScaling.fit((members[0].facts for members in groups.values()), facts)
    rows, targets = [], []
    for members in groups.values():
        known = scaling(members[0].facts)
        rows_of_group = np.stack([products(run.traits, known) for run in members])
        scores = np.array([run.score for run in members])
        rows.append(rows_of_group - rows_of_group.mean(axis=0))
        targets.append(scores - scores.mean())
    model = BayesianRidge(fit_intercept=False, max_iter=1000).fit(np.concatenate(rows), np.concatenate(targets))
    mean, covariance = np.asarray(model.coef_), np.asarray(model.sigma_)
    traits = {run.selection: run.traits for run in runs}
    return Fitted(mean, covariance, scaling, float(model.alpha_) ** -0.5, tuple(ranked(runs)), traits)


def leave_tasks_out(runs: Sequence[Trial], facts: Sequence[str]) -> dict[str, Fitted]:
    """Return, for each task, what is fitted to the runs of all others."""
    tasks = dict.fromkeys(run.task for run in runs)
    return {task: fit([run for run in runs if run.task != task], facts) for task in tasks}


def inflation(
    runs: Sequence[Trial],
    facts: Sequence[str],
    fitted: Mapping[str, Fitted] | None = None,
) -> float:
    """Return the factor by which errors of expected gains must grow to be right on tasks that were left out.

    It is the root of the mean squared deviation of observed gains from expected ones, less what the noise of two runs
    explains, over the mean expected variance; at least 1.
    """
    fitted = fitted or leave_tasks_out(runs, facts)
    deviations, variances = [], []
    for members in by_group(runs).values():
        model = fitted[members[0].task]
        scores = {run.selection: run.score for run in members}
        for run in members:
            if run.selection != model.default and model.default in scores:
                mean, error = model.gain(run.selection, run.facts)
                observed = run.score - scores[model.default]
                deviations.append((observed - mean) ** 2 - 2 * model.noise**2)
                variances.append(error**2)
    return math.sqrt(max(1.0, float(np.mean(deviations)) / float(np.mean(variances)))) if variances else 1.0


def by_group(runs: Sequence[Trial]) -> dict[tuple[str, int], list[Trial]]:
    """Return the runs of each condition and seed."""
    groups: dict[tuple[str, int], list[Trial]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    return groups


def best_fixed(runs: Sequence[Trial]) -> str:
    """Return the best fixed selection, see `ranked`."""
    return ranked(runs)[0]


def ranked(runs: Sequence[Trial]) -> list[str]:
    """Return the selections by their mean difference from the others of their groups, the best first.

    Each task counts once.
    """
    by_task: dict[str, dict[str, list[float]]] = {}
    for members in by_group(runs).values():
        mean = float(np.mean([run.score for run in members]))
        for run in members:
            by_task.setdefault(run.selection, {}).setdefault(run.task, []).append(run.score - mean)
    means = {name: float(np.mean([np.mean(each) for each in tasks.values()])) for name, tasks in by_task.items()}
    return sorted(means, key=lambda name: -means[name])
