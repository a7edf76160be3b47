"""What a portfolio would choose for a run, before any training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kselect.agents.portfolio import Gain, Portfolio
from kselect.config import AgentConfig, PhaseConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.facts import Facts
from kselect.errors import KselectError
from kselect.recipes.choice import describe_choice
from kselect.recipes.policies import build_policy


@dataclass(frozen=True)
class Advice:
    """What a portfolio expects of its selections.

    Attributes:
        choice: what it would choose, see `kselect.recipes.choice.describe_choice`.
        line: the same in one line.
        default: the selection that is taken in doubt.
        gains: of its choice over every other selection that can be taken, in the order of their worth.
        noise: standard deviation of a run's score around its expectation, in points.
        facts: what they are read from.
    """

    choice: dict[str, Any]
    line: str
    default: str
    gains: dict[str, Gain]
    noise: float
    facts: Facts

    def to_dict(self) -> dict[str, Any]:
        """Return it for results.json."""
        gains = {name: {**asdict(gain), "interval": gain.interval(self.noise)} for name, gain in self.gains.items()}
        return {"choice": self.choice, "default": self.default, "gains": gains, "facts": self.facts.to_dict()}

    def rows(self) -> list[list[str]]:
        """Return a row for each other selection, with the expected gain of the choice over it in points.

        It is followed by the interval in which the gain of one run lies with a probability of 90 %, the probability
        that the choice is better, and the fact that matters most.
        """
        found = []
        for name, gain in self.gains.items():
            low, high = gain.interval(self.noise)
            main = max(gain.parts, key=lambda fact: abs(gain.parts[fact])) if gain.parts else ""
            interval = f"{low:+.1f} to {high:+.1f}"
            found.append([name, f"{gain.mean:+.1f}", interval, f"{gain.probability:.0%}", main])
        return found


def advise(policy: str, distiller: Distiller) -> Advice:
    """Return what the portfolio in a folder would choose for a run.

    Facts of the run are measured on its own data, so the advice is what `kselect distill` would follow.

    Raises:
        KselectError: another policy than a portfolio.
    """
    setup = build_policy(AgentConfig(policy), distiller, PhaseConfig(), 0)
    if not isinstance(setup.agent, Portfolio):
        raise KselectError(
            f"{policy} is a {type(setup.agent).__name__}, which knows nothing before a run: give a portfolio.",
            setting="policy",
        )
    observation, _ = setup.env.reset(seed=0)
    setup.agent.begin()
    setup.agent.act(observation)
    agent = setup.agent
    chosen = agent.chosen
    assert chosen is not None
    gains = {other: agent.gain(observation, chosen, other) for other in agent.possible() if other != chosen}
    facts = setup.env.facts
    assert facts is not None
    choice, line = describe_choice(agent, facts)
    return Advice(choice, line, agent.default, gains, float(agent.noise[0]), facts)
