"""From an agent to what is on offer in its run."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from agents.recipes import RECIPES
from agents.registry import knowledge_of
from kselect.config import DEFAULT_KNOWLEDGE, KNOWLEDGE_NAMES, AgentConfig, KnowledgeConfig
from kselect.errors import UserError
from kselect.study.recipes import resolve

SETTINGS = {field.name for field in fields(KnowledgeConfig)}
POSSIBLE = [
    name
    for name, recipe in RECIPES.items()
    if set(recipe.knowledge or ()) <= set(KNOWLEDGE_NAMES) and set(recipe.settings) <= SETTINGS
]


def resolved(agent: str, agent_settings: dict[str, Any] | None = None, **given: Any) -> KnowledgeConfig:
    return resolve(AgentConfig(agent, agent_settings or {}), KnowledgeConfig(**given))


@pytest.mark.parametrize(
    ("agent", "knowledge"),
    [
        ("fine-tune", ["gold"]),
        ("vanilla-kd", ["gold", "logits"]),
        ("dynamic-kd", ["gold", "logits", "hidden"]),
        *((name, list(DEFAULT_KNOWLEDGE)) for name in ("all", "uncertainty", "actor-critic", "online", "random-hard")),
    ],
)
def test_on_offer_is_what_the_agent_weighs(agent: str, knowledge: list[str]) -> None:
    assert resolved(agent).knowledge == knowledge
    assert resolved(agent, knowledge=["hidden", "gold", "logits"]).knowledge == ["hidden", "gold", "logits"]


def test_weights_and_stages_say_what_is_on_offer() -> None:
    assert resolved("fixed", {"weights": {"gold": 1, "hidden": 0.5}}).knowledge == ["gold", "hidden"]
    stages = [{"until": 0.5, "weights": {"relations": 1}}, {"weights": {"gold": 1}}]
    assert resolved("schedule", {"stages": stages}).knowledge == ["relations", "gold"]


@pytest.mark.parametrize("name", POSSIBLE)
def test_what_is_resolved_resolves_to_itself(name: str) -> None:
    once = resolved(name)
    assert resolve(AgentConfig(name), once) == once
    assert once.knowledge == list(knowledge_of(name, {}) or DEFAULT_KNOWLEDGE)
    for setting, value in RECIPES[name].settings.items():
        assert getattr(once, setting) == value


def test_a_recipe_brings_its_weighting() -> None:
    assert resolved("dynamic-kd").weighting == "dynamic"
    assert resolved("uncertainty", knowledge=["gold", "attention"]).weighting == "uncertainty"
    assert resolved("all", weighting="uncertainty").weighting == "uncertainty"
    with pytest.raises(UserError, match=r"Agent 'dynamic-kd' has its own weighting .dynamic.: leave out weighting unc"):
        resolved("dynamic-kd", weighting="uncertainty")


def test_knowledge_that_lacks_what_a_recipe_needs_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        resolved("vanilla-kd", knowledge=["gold", "hidden"])
    assert str(caught.value) == (
        "Agent 'vanilla-kd' needs the knowledge 'logits', which is not on offer: add it to knowledge (gold, hidden)."
    )
    with pytest.raises(UserError, match=r"Unknown knowledge 'hiden': did you mean 'hidden'\?"):
        resolved("fixed", {"weights": {"hiden": 1}}, knowledge=["gold", "hidden"])


def test_every_recipe_is_data_in_order() -> None:
    for name, recipe in RECIPES.items():
        assert recipe.description.isascii()
        known = set(recipe.knowledge or DEFAULT_KNOWLEDGE)
        for setting in ("scales", "layer_maps"):
            assert set(recipe.settings.get(setting, {})) <= known, name
        assert set(recipe.settings) <= {"scales", "layer_maps", "temperature", "weighting"}


def test_a_folder_that_holds_no_policy_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No trained policy"):
        resolved(str(tmp_path))


def test_a_folder_called_like_an_agent_is_not_taken_for_a_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("online", "vanilla-kd"):
        (tmp_path / name).mkdir()
    assert resolved("online").knowledge == list(DEFAULT_KNOWLEDGE)
    assert resolved("vanilla-kd").knowledge == ["gold", "logits"]
