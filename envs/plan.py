"""The selections of a whole run, of agents that do not read what happens in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.agents.agent import Agent
from kselect.distillation.weighting import selection_weights
from kselect.envs.actions import moving_selection, selection_of
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError


def plan_run(agent: Agent, env: DistillationEnv) -> NDArray[np.float32]:
    """Return the weights of every training step, `[steps, k]`, which `EpisodeRunner` would have the student learn by.

    The environment is reset, and takes no step.

    Args:
        agent: Decides by facts of the run and how much of it is over (see `Agent.reads_state`).
        env: The run.

    Raises:
        KselectError: an agent that reads the state of the run.
    """
    name = type(agent).__name__
    if agent.reads_state:
        raise KselectError(
            f"{name} decides by what the student has learned so far, so that its selections cannot be planned: give a "
            "recipe, weights, a schedule, or a policy that decides before the first step, such as auto.",
            setting="agent",
        )
    agent.begin()
    env.decide_at(agent.boundaries)
    observation, _ = env.reset(seed=0)
    rows: list[NDArray[Any]] = []
    step = 0
    while step < env.total_steps:
        env.observer.context["progress"] = step / env.total_steps
        observation |= env.observer.observation()
        selection = selection_of(agent.act(observation), len(env.names), env.actions)
        steps = min(env.scheduler.start_phase(selection, step), env.total_steps - step)
        slope = np.zeros(len(selection)) if agent.slope is None else agent.slope
        rows.append(selection_weights(moving_selection(selection, slope, steps, env.total_steps), env.names))
        step += steps
        env.scheduler.finish_phase(step == env.total_steps)
    return np.concatenate(rows)
