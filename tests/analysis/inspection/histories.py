"""Run folders and policies whose behaviour is known, because it was written down or is the best in a world."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kselect.agents import ActorCritic
from kselect.agents.agent import Agent
from kselect.agents.networks import RowNetwork
from kselect.envs.worlds import NAMES, World

FEATURE = 0  # of the context: the progress of a run


def phase(weights: dict[str, float], steps: int = 5, **more: Any) -> dict[str, Any]:
    """A line of metrics.jsonl."""
    total = sum(weights.values())
    return {"step": 0, "phase": 0, "steps": steps} | {f"selection/{k}": w / total for k, w in weights.items()} | more


def write_run(folder: Path, phases: Sequence[dict[str, Any]], **results: Any) -> Path:
    """A finished run folder with these phases."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("task: mrpc\nagent: all\nseed: 3\n")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in phases))
    (folder / "results.json").write_text(json.dumps({"task": "mrpc", "agent": "all", "seed": 3, **results}))
    return folder


def play(agent: Agent, world: World) -> list[dict[str, Any]]:
    """The phases of an episode in a world."""
    observation, _ = world.reset(seed=0)
    phases, over = [], False
    while not over:
        action = agent.act(observation)
        observation, _, over, _, _ = world.step(action)
        phases.append(phase(dict(zip(NAMES, world.weights.tolist(), strict=True))))
    return phases


def reader_of_progress(slope: float = 4.0) -> ActorCritic:
    """A policy whose log-odds are `slope * tanh(tanh(progress - 1/2))` for each kind, and depend on nothing else."""
    world = World("progress")
    agent = ActorCritic(world.observation_space, world.action_space)
    agent.names = NAMES
    network: RowNetwork = agent.policy
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.shared.weight[0, FEATURE] = 1.0
        network.shared.bias[0] = -0.5
        network.middle.weight[0, 0] = 1.0
        network.head.weight[0, 0] = slope
    return agent


def odds_of_progress(progress: float, slope: float = 4.0) -> float:
    """The log-odds of `reader_of_progress`."""
    return float(slope * np.tanh(np.tanh(progress - 0.5)))
