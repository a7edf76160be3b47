"""Fit an actor-critic to a pool: pessimistic critics of what a run scores, and an actor that follows the best of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import BayesianRidge
from torch.nn import functional as F

from kselect.agents.chooser import products
from kselect.collection.fact_scaling import FactScaling
from kselect.collection.fit import Trial, by_group

LARGEST_WEIGHT = 20.0  # as in Peng et al. 2019


@dataclass(frozen=True)
class FittedActorCritic:
    """Coefficients of an actor-critic, see `kselect.agents.offline_actor_critic.OfflineActorCritic`.

    Attributes:
        actor: `[d]`.
        critic: `[m, d]`, in points.
        scaling: of the facts.
    """

    actor: NDArray[np.float64]
    critic: NDArray[np.float64]
    scaling: FactScaling

    def choose(self, runs: Sequence[Trial]) -> str:
        """Return the selection that the actor finds most likely, among those of a group."""
        values = self.scaling(runs[0].facts)
        return max(runs, key=lambda run: float(products(run.traits, values) @ self.actor)).selection


def fit_actor_critic(
    runs: Sequence[Trial],
    facts: Sequence[str],
    *,
    critics: int = 32,
    pessimism: float = 1.0,
    temperature: float = 1.0,
    seed: int = 0,
) -> FittedActorCritic:
    """Fit critics to scores at the end of runs, and an actor to what these critics find good.

    A critic is a ridge regression of the score less the mean of its group: the same condition and seed, of which only
    differences between selections count. Credit is that of whole runs. Each critic weights the *tasks* at random, by
    the Bayesian bootstrap (Rubin 1981), because it is to be right on tasks that it has not seen; the penalty is that of
    the highest evidence on all runs (MacKay 1992). The pessimistic advantage of a selection is the critics' mean less
    `pessimism` times their standard deviation.

    The actor is fitted by advantage-weighted regression (Peng et al. 2019, arXiv 1910.00177): it makes the selections
    that were run likely among those of their group, each weighted by exp(advantage / t), at most 20, where t is
    `temperature` times the standard deviation of the advantages.

    Args:
        runs: of every selection, in as many conditions as there are; a group may lack some.
        facts: names of the facts that they are multiplied with.
        critics: size of the ensemble.
        pessimism: in standard deviations of the ensemble.
        temperature: in standard deviations of the advantages.
        seed: of the weights of tasks.
    """
    groups = list(by_group(runs).values())
    scaling = FactScaling.fit((members[0].facts for members in groups), facts)
    features, targets = [], []
    for members in groups:
        known = scaling(members[0].facts)
        rows = np.stack([products(run.traits, known) for run in members])
        scores = np.array([run.score for run in members])
        features.append(rows - rows.mean(axis=0))
        targets.append(scores - scores.mean())
    critic = _critics(groups, features, targets, critics, np.random.default_rng(seed))
    estimates = [rows @ critic.T for rows in features]
    advantages = [each.mean(axis=1) - pessimism * each.std(axis=1) for each in estimates]
    actor = _actor(features, advantages, temperature)
    return FittedActorCritic(actor, critic, scaling)


def _critics(
    groups: Sequence[Sequence[Trial]],
    features: Sequence[NDArray[np.float64]],
    targets: Sequence[NDArray[np.float64]],
    count: int,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the coefficients `[count, d]` of ridge regressions under random weights of the tasks."""
    x, y = np.concatenate(features), np.concatenate(targets)
    evidence = BayesianRidge(fit_intercept=False, max_iter=1000).fit(x, y)
    penalty = evidence.lambda_ / evidence.alpha_ * np.eye(x.shape[1])
    tasks = list(dict.fromkeys(members[0].task for members in groups))
    place = np.concatenate([[tasks.index(members[0].task)] * len(members) for members in groups])
    found = []
    for shares in generator.dirichlet(np.ones(len(tasks)), size=count):
        weighted = x.T * (len(tasks) * shares)[place]
        found.append(np.linalg.solve(weighted @ x + penalty, weighted @ y))
    return np.stack(found)


def _actor(
    features: Sequence[NDArray[np.float64]], advantages: Sequence[NDArray[np.float64]], temperature: float
) -> NDArray[np.float64]:
    """Return the coefficients `[d]` under which selections are as likely in their groups as their weights want.

    A small penalty leaves what no group distinguishes at 0.
    """
    spread = max(temperature * float(np.concatenate(advantages).std()), 1e-12)
    rows = [torch.from_numpy(each) for each in features]
    weights = [torch.from_numpy(np.exp(each / spread).clip(max=LARGEST_WEIGHT)) for each in advantages]
    total = float(sum(each.sum() for each in weights))
    actor = torch.zeros(features[0].shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([actor], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        fits = [each @ F.log_softmax(x @ actor, dim=0) for x, each in zip(rows, weights, strict=True)]
        value = -torch.stack(fits).sum() / total + 1e-3 * actor.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    found: NDArray[np.float64] = actor.detach().numpy()
    return found
