"""Table how much each learning agent learns from a few episodes in worlds whose best selections are known.

    python studies/agents_on_worlds.py

An entry is the score of the settled policy, mean ± standard deviation over seeds: 0 is all kinds of knowledge alike, 1
the best selections (see `kselect.envs.worlds`). Options name agents, worlds, episodes, seeds and the noise.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from study_settings import print_table, run_main

from kselect.agents import Agent, make_agent, wants_soft
from kselect.envs.worlds import NAMES, WORLDS, World, score

AGENTS = ("actor-critic", "deterministic-actor-critic", "linear-actor-critic", "posterior-sampling")


def learn(agent: Agent, env: World) -> Iterator[int]:
    """Have an agent explore and learn; yield the number of episodes after each."""
    episodes = 0
    while True:
        agent.begin()
        observation, _ = env.reset()
        terminated = False
        while not terminated:
            action = agent.act(observation, explore=True)
            following, reward, terminated, _, _ = env.step(action)
            agent.observe(observation, action, reward, following, terminated)
            agent.update()
            observation = following
        episodes += 1
        yield episodes


def scores(name: str, world: str, marks: list[int], seed: int, noise: float, settings: dict[str, Any]) -> list[float]:
    """Return an agent's scores after each number of episodes in `marks`."""
    env = World(world, "soft" if wants_soft(name) else "hard", noise=noise, seed=seed)
    agent = make_agent(name, env.observation_space, env.action_space, NAMES, seed=seed, **settings)
    reached = []
    for episodes in learn(agent, env):
        if episodes in marks:
            reached.append(score(world, agent.act))
        if episodes >= max(marks):
            break
    return reached


def main() -> None:
    """Read the command line, learn and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", nargs="+", default=list(AGENTS))
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS))
    parser.add_argument("--episodes", nargs="+", type=int, default=[4, 16, 64], help="when the policy is scored")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--noise", type=float, default=0.3, help="standard deviation of a gain, where the best is 1")
    parser.add_argument("--agent_settings", type=json.loads, default={}, help="as JSON, of every agent")

    def act(options: argparse.Namespace) -> None:
        rows = []
        for name in options.agents:
            for world in options.worlds:
                marks = sorted(options.episodes)
                every = [
                    scores(name, world, marks, seed, options.noise, options.agent_settings)
                    for seed in range(options.seeds)
                ]
                mean, deviation = np.mean(every, 0), np.std(every, 0, ddof=min(1, options.seeds - 1))
                rows.append([name, world, *(f"{m:.2f} ± {d:.2f}" for m, d in zip(mean, deviation, strict=True))])
        print_table(["agent", "world", *(f"{mark} episodes" for mark in marks)], rows)

    run_main(parser, act)


if __name__ == "__main__":
    main()
