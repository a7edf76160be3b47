"""A training step under each agent, and what an agent that learns costs over the selections that it makes.

    python benchmarks/step.py [--steps 64] [--hidden_size 192] [--tokens 32] [--rounds 5]

A 6-layer teacher and its 3-layer student (BERT, heads of 32, random weights) on texts of one length, batches of 32, the
teacher's outputs computed beforehand. All runs take turns in this one process, so that a machine's changing speed meets
all alike; ratios are medians over the rounds, with quartiles. What a learning agent costs is told twice, each time
against a run that nobody decides and no reward is measured for: one that repeats the very same selections, and one
whose selection is their mean over the training steps, fixed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from measure import Case, ratios, read_options, report, spread, take_turns
from numpy.typing import NDArray
from pair import BATCH, make_distiller, make_task, make_teacher

from kselect.agents.agent import Agent
from kselect.agents.registry import LEARNERS
from kselect.config import AgentConfig, PhaseConfig
from kselect.distillation.distiller import Distiller
from kselect.envs.distillation import DistillationEnv
from kselect.recipes.policies import build_policy, build_trainable_agent
from kselect.training.api import Episode, run_episode

BASELINES = ("fine-tune", "vanilla-kd", "all", "random-hard", "random-soft")
BAR = 1.05

Actions = list[NDArray[Any]]


class Replay(Agent):
    """Repeats recorded actions, one after the other, and again from the first."""

    def __init__(self, *spaces: Any, actions: Actions) -> None:
        super().__init__(*spaces)
        self.recorded = actions
        self.next = 0

    def act(self, observation: Any, *, explore: bool = False) -> NDArray[Any]:
        """Return the next recorded action."""
        self.next += 1
        return self.recorded[(self.next - 1) % len(self.recorded)]


class Bench:
    """Runs under agents, and what the last run of each did."""

    def __init__(self, distiller: Distiller) -> None:
        self.distiller = distiller
        self.taken: dict[str, Actions] = {}
        self.episodes: dict[str, Episode] = {}

    def decided(self, name: str) -> None:
        """Run one episode under an agent, and keep its actions."""
        setup = (build_trainable_agent if name in LEARNERS else build_policy)(
            AgentConfig(name), self.distiller, PhaseConfig(), seed=0
        )
        taken: Actions = []
        act: Callable[..., NDArray[Any]] = setup.agent.act

        def recorded(*args: Any, **kwargs: Any) -> NDArray[Any]:
            taken.append(act(*args, **kwargs))
            return taken[-1]

        setup.agent.act = recorded  # type: ignore[method-assign]  # the agent's own, overheard
        self.episodes[name] = run_episode(setup.agent, setup.env, seed=0, learning=setup.learning)
        self.taken[name] = taken

    def repeated(self, name: str) -> None:
        """Run the agent's last selections again."""
        self._replay(self.taken[name])

    def averaged(self, name: str) -> None:
        """Run the mean of the agent's last selections."""
        history = self.episodes[name].history
        rows = [[record["weights"][kind] for kind in self.distiller.names] for record in history]
        self._replay([np.average(rows, axis=0, weights=[record["steps"] for record in history]).astype(np.float32)])

    def _replay(self, actions: Actions) -> None:
        env = DistillationEnv(self.distiller, actions="soft", phases=PhaseConfig(), measure_rewards=False)
        agent = Replay(env.observation_space, env.action_space, actions=actions)
        run_episode(agent, env, seed=0, learning=False)


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "step",
        steps=(64, 12, "training steps of one run"),
        hidden_size=(192, 64, "width of both models, a multiple of 32"),
        tokens=(32, 16, "length of the texts"),
        rounds=(5, 1, "runs of each agent"),
    )
    task = make_task(options.tokens, 8 * BATCH, reward=1024 if not options.quick else 64)
    teacher = make_teacher(task, options.tokens, options.hidden_size)
    bench = Bench(make_distiller(task, teacher, options.tokens, options.steps))
    for name in LEARNERS:
        bench.decided(name)  # a warm-up, the teacher's pass over the data, and what the first backward round repeats
    cases: dict[str, Case] = {name: partial(bench.decided, name) for name in (*BASELINES, *LEARNERS)}
    for name in LEARNERS:
        cases[f"{name}, repeated"] = partial(bench.repeated, name)
        cases[f"{name}, mean"] = partial(bench.averaged, name)
    seconds = take_turns(cases, options.rounds, options.clock, warm_up=False)

    rows, data = [], {}
    for name in (*BASELINES, *LEARNERS):
        figures: dict[str, Any] = {"seconds": seconds[name], "to_fine_tune": ratios(seconds, name, "fine-tune")}
        figures["cost"] = {part: share for part, share in bench.episodes[name].shares.items() if share >= 0.01}
        per_step = 1000 * statistics.median(seconds[name]) / options.steps
        cells = [name, f"{per_step:.0f}", f"{statistics.median(figures['to_fine_tune']):.2f}"]
        if name in LEARNERS:
            figures["to_mean_selection"] = ratios(seconds, name, f"{name}, mean")
            figures["to_same_selections"] = ratios(seconds, name, f"{name}, repeated")
            figures["bar"] = BAR
            cells += [spread(figures["to_mean_selection"]), f"{BAR:.2f}", spread(figures["to_same_selections"])]
        else:
            cells += ["", "", ""]
        data[name] = figures
        rows.append([*cells, ", ".join(f"{part} {100 * share:.1f} %" for part, share in figures["cost"].items())])
    columns = ["agent", "ms/step", "/ fine-tune", "/ mean selection fixed", "bar", "/ same selections", "cost account"]
    title = f"A training step, median of {options.rounds} runs of {options.steps} steps"
    report(options, title, columns, rows, data, dtype=str(bench.distiller.dtype))


if __name__ == "__main__":
    main()
