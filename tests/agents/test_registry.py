import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from kselect import agents
from kselect.agents import AGENTS, LEARNERS, make_agent, wants_soft
from kselect.agents.registry import agent_class, check_offer, knowledge_of
from kselect.errors import KselectError
from tests.agents.identity import IdentityEnv, TowerEnv

NAMES = ("gold", "logits", "hidden", "relations")


def make(name: str, *, soft: bool = False, names: tuple[str, ...] = NAMES, **settings: Any) -> agents.Agent:
    env = TowerEnv(rows=len(names)) if name == "paper" else IdentityEnv(soft=soft, rows=len(names))
    return make_agent(name, env.observation_space, env.action_space, names, **settings)


def observation(rows: int = 4) -> dict[str, np.ndarray]:
    return IdentityEnv(soft=False, rows=rows).reset()[0]


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("explore", [False, True])
def test_every_agent_acts_in_its_space(name: str, explore: bool):
    by_agent: dict[str, dict[str, Any]] = {
        "fixed": {"weights": {"gold": 1}},
        "schedule": {"stages": [{"weights": {"gold": 1}}]},
    }
    settings = by_agent.get(name, {})
    names = knowledge_of(name, settings) or NAMES
    kinds = [False, True] if wants_soft(name) is None else [bool(wants_soft(name))]
    for soft in kinds:
        agent = make(name, soft=soft, names=names, **settings)
        seen = TowerEnv(rows=len(names)).reset()[0] if name == "paper" else observation(len(names))
        for _ in range(20):
            action = agent.act(seen, explore=explore)
            assert agent.action_space.contains(action)
        assert agent.learns == (name in LEARNERS)
        assert agent.names == names
        agent.observe(seen, action, 0.1, seen, False)
        assert agent.update() == {}


def test_the_lists_say_what_the_classes_are():
    assert [name for name in AGENTS if agent_class(name).learns] == list(LEARNERS)


@pytest.mark.parametrize("soft", [False, True])
def test_weights_come_in_the_order_of_the_rows(soft: bool):
    agent = make("fixed", soft=soft, names=("hidden", "gold", "logits"), weights={"logits": 1, "hidden": 1})
    assert agent.act(observation(3)).tolist() == [1, 0, 1]


def test_fixed_takes_fractions_where_actions_are_soft():
    agent = make("fixed", soft=True, weights={"logits": 0.25, "gold": 1})
    assert agent.act(observation()).tolist() == [1.0, 0.25, 0.0, 0.0]


def test_random_hard_is_even_over_all_selections_but_none():
    agent = make("random-hard", names=("gold", "logits"))
    drawn = [tuple(agent.act(observation(2)).tolist()) for _ in range(3000)]
    assert {pair: round(drawn.count(pair) / 3000, 1) for pair in set(drawn)} == {
        (0, 1): 0.3,
        (1, 0): 0.3,
        (1, 1): 0.3,
    }


def test_random_soft_is_uniform():
    agent = make("random-soft", soft=True)
    drawn = np.array([agent.act(observation()) for _ in range(2000)])
    assert np.abs(np.quantile(drawn, [0.25, 0.5, 0.75], axis=0).T - [0.25, 0.5, 0.75]).max() < 0.05


def test_settings_reach_the_agent():
    agent = make("actor-critic", seed=7, learning_rate=0.02, update_every=None)
    assert agent.settings["learning_rate"] == 0.02
    assert agent.settings["update_every"] is None
    assert agent.seed == 7


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("actor-critc", {}, "Unknown agent 'actor-critc': did you mean 'actor-critic'? Known: actor-critic,"),
        ("actor-critic", {"learning_rte": 1}, "has no setting 'learning_rte': did you mean 'learning_rate'?"),
        (
            "random-hard",
            {"weights": {"gold": 1}},
            "Agent 'random-hard' has no setting 'weights'. It has no settings.",
        ),
        ("fixed", {"weight": {"gold": 1}}, "has no setting 'weight': did you mean 'weights'?"),
        (
            "fixed",
            {},
            "Agent 'fixed' needs weights by knowledge, such as weights: {gold: 1}.",
        ),
        (
            "fixed",
            {"weights": {"glod": 1}},
            "Unknown knowledge 'glod': did you mean 'gold'? Known: gold, logits,",
        ),
        (
            "fixed",
            {"weights": {"gold": 2}},
            "The weight of gold is 2: give a number of at least 0 and at most 1.",
        ),
        ("schedule", {}, "Agent 'schedule' needs a list of stages, such as stages: [{until: 0.5,"),
        ("schedule", {"stages": [{"wieghts": {}}]}, "Stage 1 of agent 'schedule' has no 'wieghts': did you mean"),
        ("schedule", {"stages": [{"weights": {"gold": 1}}] * 2}, "Stage 1 of agent 'schedule' has no end: give"),
        ("schedule", {"stages": [{"until": 0.5}]}, "Agent 'schedule' needs weights by knowledge, such as weights:"),
        ("schedule", {"stages": [{"weights": {"hiden": 1}}]}, "Unknown knowledge 'hiden': did you mean 'hidden'?"),
        ("schedule", {"stages": [{"weights": {"gold": 0}}]}, "Agent 'schedule' selects nothing: give at least one"),
        ("schedule", {"stages": [{"weights": {"gold": 1}, "to": {"gold": "1"}}]}, "The weight of gold is '1': give"),
        ("schedule", {"stages": [{"until": 0.4, "weights": {"gold": 1}}]}, "Stages last until 0.4: give rising shares"),
        (
            "schedule",
            {"stages": [{"until": 0.4, "weights": {"gold": 1}}] * 2 + [{"weights": {"gold": 1}}]},
            "Stages last until 0.4, 0.4, 1: give rising shares of the run above 0, the last one 1.",
        ),
        ("schedule", {"stages": [{"until": 40, "weights": {"gold": 1}}]}, "until of a stage is 40: give a number"),
        (
            "schedule",
            {"stages": [{"weights": {"gold": 1}, "to": {"logits": 1}}]},
            "Hard actions are 0 or 1, so a stage cannot move `to` other weights",
        ),
        ("deterministic-actor-critic", {"soft": True, "hard": 1}, "hard is 1: give true or false."),
        ("fixed", {"weights": {"gold": 0.5}}, "weights cannot be 0.5, 0, 0, 0"),
        (
            "actor-critic",
            {"soft": True},
            "ActorCritic gives hard actions only, and this environment takes soft ones",
        ),
        (
            "random-soft",
            {"soft": False},
            "RandomSoft gives soft actions only, and this environment takes hard ones",
        ),
        ("actor-critic", {"learning_rate": 0}, "learning_rate is 0: give a number above 0."),
        (
            "actor-critic",
            {"learning_rate": "1e-3"},
            "learning_rate is '1e-3': give a number above 0, without quotes",
        ),
        ("actor-critic", {"learning_rate": float("nan")}, "learning_rate is nan: give a number above 0."),
        ("actor-critic", {"memory": 2.5}, "memory is 2.5: give a whole number of at least 1."),
        ("actor-critic", {"update_every": 0}, "update_every is 0: give a whole number of at least 1."),
        ("actor-critic", {"gamma": 1.5}, "gamma is 1.5: give a number of at least 0 and at most 1."),
        (
            "deterministic-actor-critic",
            {"soft": True, "noise": True},
            "noise is True: give a number of at least 0.",
        ),
        ("random-hard", {"seed": -1}, "seed is -1: give a whole number of at least 0."),
    ],
)
def test_bad_input_is_one_clear_line(name: str, options: dict, message: str):
    with pytest.raises(KselectError) as caught:
        make(name, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_agents_by_the_clock_say_what_they_weigh():
    assert knowledge_of("actor-critic", {}) is knowledge_of("random-hard", {}) is None
    stages = [{"until": 0.5, "weights": {"hidden": 1}, "to": {"gold": 1}}, {"weights": {"logits": 1}}]
    assert knowledge_of("schedule", {"stages": stages}) == ("hidden", "gold", "logits")
    check_offer("schedule", {"stages": stages}, ["hidden", "logits", "gold"])


def test_wants_soft():
    assert wants_soft("deterministic-actor-critic") is True
    assert wants_soft("actor-critic") is False
    assert wants_soft("fixed") is None
    with pytest.raises(KselectError, match="Unknown agent 'fixd'"):
        wants_soft("fixd")


@pytest.mark.parametrize(
    ("observes", "acts", "message"),
    [
        (spaces.Discrete(3), spaces.MultiBinary(4), "An agent reads a Dict of Boxes"),
        (None, spaces.MultiBinary(3), "An agent gives one weight per kind of knowledge, MultiBinary(4) or Box"),
        (None, spaces.Discrete(4), "An agent gives one weight per kind of knowledge, MultiBinary(4) or Box"),
    ],
)
def test_spaces_of_another_kind_are_refused(observes: spaces.Space | None, acts: spaces.Space, message: str):
    with pytest.raises(KselectError) as caught:
        agents.RandomHard(observes or IdentityEnv(soft=False).observation_space, acts)
    assert str(caught.value).startswith(message)


def test_an_observation_of_another_shape_and_a_reward_that_is_none_are_refused():
    agent = make("actor-critic")
    with pytest.raises(KselectError, match="load it with the spaces of this environment"):
        agent.act(observation(3))
    with pytest.raises(KselectError, match="The reward is nan"):
        agent.observe(observation(), np.ones(4), float("nan"), observation(), False)


def test_names_and_descriptions_come_without_torch():
    uses = "import sys; from kselect import agents; agents.AGENTS; agents.wants_soft('fixed'); agents.RandomHard"
    subprocess.run([sys.executable, "-c", f"{uses}; assert 'torch' not in sys.modules"], check=True)


def test_everything_exported_is_there():
    assert all(hasattr(agents, name) for name in agents.__all__)
    assert not hasattr(agents, "ActorCritik")
