"""What a learning agent costs on top of training: by default phases, and decided and rewarded at every step.

    python benchmarks/refinement.py [--steps 48] [--reward 330] [--rounds 5]

Unrefined, as the algorithm was published, the agent is asked at every training step and rewarded by the whole reward
split after each. By default it is asked in growing phases, and rewarded by as many examples as cost a tenth of the
training. A 6-layer teacher, 192 wide, its 3-layer student, batches of 32, and a reward split as large as MRPC's. Each
run is set against its own training steps, since agents that learn select differently; runs take turns.
"""

from __future__ import annotations

import statistics
from functools import partial

from measure import read_options, report, spread, take_turns
from pair import BATCH, make_distiller, make_task, make_teacher

from kselect.config import AgentConfig, PhaseConfig
from kselect.distillation.distiller import Distiller
from kselect.recipes.policies import build_trainable_agent
from kselect.training.api import run_episode

TRAINING = ("student", "teacher")
DECIDING = ("probing", "reward", "deciding", "updating")


def unrefined(examples: int) -> dict[str, PhaseConfig]:
    """Return, from refined to unrefined, how often an agent is asked and rewarded, of so many examples at most."""
    return {
        "default phases and rewards": PhaseConfig(),
        "a decision at every step": PhaseConfig(phases="constant", phase_steps=1),
        "and the whole reward split": PhaseConfig(phases="constant", phase_steps=1, reward_examples=examples),
    }


def run(distiller: Distiller, phases: PhaseConfig, spent: list[dict[str, float]]) -> None:
    """Play one learning episode, and add its account to `spent`."""
    setup = build_trainable_agent(AgentConfig("actor-critic"), distiller, phases, seed=0)
    spent.append(run_episode(setup.agent, setup.env, seed=0, learning=True).seconds)


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "refinement",
        steps=(48, 8, "training steps of a run"),
        reward=(330, 64, "examples of the reward split"),
        hidden_size=(192, 64, "width of both models, a multiple of 32"),
        tokens=(32, 16, "length of the texts"),
        rounds=(5, 2, "runs of each kind"),
    )
    task = make_task(options.tokens, 8 * BATCH, reward=options.reward)
    teacher = make_teacher(task, options.tokens, options.hidden_size)
    distiller = make_distiller(task, teacher, options.tokens, options.steps)
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in unrefined(options.reward)}
    cases = {name: partial(run, distiller, phases, spent[name]) for name, phases in unrefined(options.reward).items()}
    seconds = take_turns(cases, options.rounds, options.clock)

    rows, data = [], {}
    for name, accounts in spent.items():
        counted = accounts[-options.rounds :]
        ratios = [1 + total(account, DECIDING) / total(account, TRAINING) for account in counted]
        data[name] = {"seconds": seconds[name], "accounts": counted, "to_training": ratios}
        parts = [f"{1000 * mean(counted, part) / options.steps:.1f}" for part in ("student", *DECIDING)]
        rows.append([name, f"{statistics.median(seconds[name]) / options.steps:.3f}", spread(ratios, 2), *parts])
    columns = ["the agent has", "s/step", "/ its training alone", *(f"{part}, ms" for part in ("student", *DECIDING))]
    title = f"A learning agent's run of {options.steps} steps, {options.reward} examples to be rewarded by"
    report(options, title, columns, rows, data)


def total(account: dict[str, float], parts: tuple[str, ...]) -> float:
    """Return the seconds of `parts` together."""
    return sum(account[part] for part in parts)


def mean(accounts: list[dict[str, float]], part: str) -> float:
    """Return the mean seconds of `part`."""
    return statistics.mean(account[part] for account in accounts)


if __name__ == "__main__":
    main()
