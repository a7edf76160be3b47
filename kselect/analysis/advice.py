"""What a portfolio would choose for a run, before any training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from scipy.stats import norm

from kselect.agents.portfolio import Gain, Portfolio
from kselect.config import AgentConfig, PhaseConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.facts import Facts
from kselect.errors import KselectError
from kselect.recipes.choice import describe_choice
from kselect.recipes.policies import build_policy

QUANTILE = float(norm.ppf(0.95))  # of a 90 % interval


@dataclass(frozen=True)
class Advice:
    """What a portfolio expects of its selections.

    Attributes:
        choice: what it would choose, see `kselect.recipes.choice.describe_choice`.
        line: the same in one line.
        default: the selection that gains are relative to.
        gains: of every other selection that can be taken, the largest first.
        facts: what they are read from.
    """

    choice: dict[str, Any]
    line: str
    default: str
    gains: dict[str, Gain]
    facts: Facts

    def to_dict(self) -> dict[str, Any]:
        """Return it for results.json."""
        gains = {name: asdict(gain) for name, gain in self.gains.items()}
        return {"choice": self.choice, "default": self.default, "gains": gains, "facts": self.facts.to_dict()}

    def rows(self) -> list[list[str]]:
        """Return a row for each selection: its name, expected gain in points, 90 % interval, probability, main fact."""
        found = []
        for name, gain in self.gains.items():
            low, high = (gain.mean + sign * QUANTILE * gain.error for sign in (-1, 1))
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
    gains = setup.agent.gains(observation)
    facts = setup.env.facts
    assert facts is not None
    choice, line = describe_choice(setup.agent, facts)
    ordered = dict(sorted(gains.items(), key=lambda item: -item[1].mean))
    return Advice(choice, line, setup.agent.default, ordered, facts)
