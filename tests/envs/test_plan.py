"""A plan has the weights by which a run of the episode runner trains, for agents that do not read its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kselect.config import AgentConfig, PhaseConfig
from kselect.envs.plan import plan_run
from kselect.errors import KselectError
from kselect.recipes.policies import build_policy
from kselect.training.api import run_episode
from tests.tiny import tiny_distiller

STAGES = {"stages": [{"until": 0.4, "weights": {"logits": 1}, "to": {"gold": 1}}, {"weights": {"gold": 1}}]}


@pytest.mark.parametrize(
    ("agent", "settings"),
    [("fixed", {"weights": {"gold": 1, "logits": 0.5}}), ("schedule", STAGES), ("random-soft", {}), ("auto", {})],
)
@pytest.mark.parametrize("phases", ["growing", "adaptive"])
def test_plan_is_what_a_run_trains_by(agent: str, settings: dict[str, Any], phases: Any) -> None:
    config, phase_config = AgentConfig(agent, settings), PhaseConfig(phases=phases)
    distiller = tiny_distiller({"knowledge": ["gold", "logits", "hidden"], "teacher_cache": 0})
    plan = plan_run(*_agent_and_env(config, distiller, phase_config))
    setup = build_policy(config, distiller, phase_config, seed=3)
    run_episode(setup.agent, setup.env, seed=0, learning=False)
    assert len(plan) == distiller.total_steps == distiller.step
    step = 0
    for steps, weights in setup.env.selections:
        assert plan[step : step + steps].mean(axis=0) == pytest.approx(weights, abs=1e-6)
        step += steps


def test_agent_that_reads_the_run_is_refused() -> None:
    distiller = tiny_distiller({"knowledge": ["gold", "logits"]})
    setup = build_policy(AgentConfig("online"), distiller, PhaseConfig(), seed=0)
    with pytest.raises(KselectError, match="cannot be planned"):
        plan_run(setup.agent, setup.env)


def _agent_and_env(config: AgentConfig, distiller: Any, phases: PhaseConfig) -> Any:
    setup = build_policy(config, distiller, phases, seed=3)
    return setup.agent, setup.env


def test_weights_move_within_a_phase() -> None:
    distiller = tiny_distiller({"knowledge": ["gold", "logits"]})
    setup = build_policy(AgentConfig("schedule", STAGES), distiller, PhaseConfig(), 0)
    plan = plan_run(setup.agent, setup.env)
    end = int(np.ceil(0.4 * len(plan)))
    assert (np.diff(plan[:end, 0]) > 0).all()
    assert (plan[end:] == [1, 0]).all()
