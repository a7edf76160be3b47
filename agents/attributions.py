"""Which features of an observation a decision rests on: integrated gradients of an agent's log-odds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.agents.agent import Observation
from kselect.agents.learner import Learner, observation_tensors, single_thread

POINTS = 32
"""Points at which the integral is evaluated; these networks are smooth, so that more change nothing."""


def integrated_gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], baselines: Sequence[Tensor], points: int = POINTS
) -> list[Tensor]:
    """Return how much every entry of the inputs contributes to each output, relative to the baselines.

    Sundararajan et al. 2017 (arXiv 1703.01365), eq. 1: the change of an entry times the mean gradient along the
    straight line from baseline to input, here by Gauss-Legendre quadrature. The contributions to an output add up to
    what it differs by between input and baseline.

    Args:
        function: Differentiable; maps a batch of inputs, `[n, ...]` each, to `[n, k]`, row by row.
        inputs: A batch of one, `[1, ...]` each.
        baselines: Of the same shapes.
        points: Points of the quadrature.

    Returns:
        For each input, `[k, ...]`.
    """
    nodes, weights = (torch.from_numpy(each).float() / 2 for each in np.polynomial.legendre.leggauss(points))
    path = [
        (start + (0.5 + nodes).view(-1, *[1] * (end.ndim - 1)) * (end - start)).requires_grad_()
        for start, end in zip(baselines, inputs, strict=True)
    ]
    outputs = weights @ function(*path)
    rows = [torch.autograd.grad(output, path, retain_graph=True) for output in outputs]
    return [
        torch.stack([row[i].sum(0) for row in rows]) * (end - start)
        for i, (start, end) in enumerate(zip(baselines, inputs, strict=True))
    ]


def attribute(agent: Learner, observation: Observation, baseline: Observation) -> dict[str, NDArray[np.float32]]:
    """Return how much each feature of an observation adds to the log-odds of each kind, compared with a baseline.

    Args:
        agent: Whose decision it is.
        observation: What it decided by.
        baseline: What it is compared with, such as the first observation of the run.

    Returns:
        For each entry of the observations that the agent reads, `[k, ...]`: for k kinds of knowledge, `context`
        `[k, c]` and `knowledge` `[k, k, f]`. Over all features, the contributions to a kind add up to the difference
        of its log-odds.
    """
    inputs, baselines = (observation_tensors(each, agent.observation_keys) for each in (observation, baseline))
    with single_thread():
        contributions = integrated_gradients(agent.log_odds, inputs, baselines)
    return {key: each.numpy() for key, each in zip(agent.observation_keys, contributions, strict=True)}
