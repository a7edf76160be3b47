"""From an agent to what is on offer in its run."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from agents.recipes import RECIPES
from agents.registry import knowledge_of
from kselect.cli.command import Command
from kselect.config import DEFAULT_KNOWLEDGE, KNOWLEDGE_NAMES, AgentConfig, KnowledgeConfig, PhaseConfig
from kselect.errors import UserError
from kselect.study.casting import cast_learner
from kselect.study.recipes import COMPARISON, keep_comparison, resolve
from tests.tiny import tiny_distiller

SETTINGS = {field.name for field in fields(KnowledgeConfig)}
POSSIBLE = [
    name
    for name, recipe in RECIPES.items()
    if set(recipe.knowledge or ()) <= set(KNOWLEDGE_NAMES) and set(recipe.settings) <= SETTINGS
]


def resolved(agent: str, agent_settings: dict[str, Any] | None = None, **given: Any) -> KnowledgeConfig:
    return resolve(AgentConfig(agent, agent_settings or {}), **given)


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
    assert resolve(AgentConfig(name), **vars(once)) == once
    assert once.knowledge == list(knowledge_of(name, {}) or DEFAULT_KNOWLEDGE)
    for setting, value in RECIPES[name].settings.items():
        assert getattr(once, setting) == value


def test_a_recipe_brings_its_weighting() -> None:
    assert resolved("dynamic-kd").weighting == "dynamic"
    assert resolved("uncertainty", knowledge=["gold", "attention"]).weighting == "uncertainty"
    assert resolved("all", weighting="uncertainty").weighting == "uncertainty"
    for other in ("uncertainty", "selection"):
        with pytest.raises(UserError, match=rf"Agent 'dynamic-kd' has its own weighting .dynamic.: leave .* {other}"):
            resolved("dynamic-kd", weighting=other)


def command_line(*words: str) -> KnowledgeConfig:
    settings = Command("kselect.cli.distill").settings(["--teacher", "anywhere", *words])
    assert settings is not None
    knowledge: KnowledgeConfig = settings.knowledge
    return knowledge


def test_what_is_given_wins_over_a_recipe_at_its_default_too(tmp_path: Path) -> None:
    assert resolved("tinybert").temperature == 1.0
    assert resolved("tinybert", temperature=2.0).temperature == 2.0
    assert command_line("--agent", "tinybert").temperature == 1.0
    assert command_line("--agent", "tinybert", "--temperature", "2.0").temperature == 2.0
    for knowledge in (
        resolved("pkd", layer_map="uniform"),
        command_line("--agent", "pkd", "--layer_map", "uniform"),
    ):
        assert (knowledge.layer_map, knowledge.layer_maps) == ("uniform", {})
    assert command_line("--agent", "pkd").layer_maps == {"hidden-cls": "skip"}
    (tmp_path / "run.yaml").write_text("agent: tinybert\ntemperature: 2.0\nknowledge:\n")
    knowledge = command_line("--config", str(tmp_path / "run.yaml"))
    assert knowledge.temperature == 2.0
    assert knowledge.knowledge == list(RECIPES["tinybert"].knowledge or ())


def test_mappings_are_laid_over_a_recipe_name_by_name() -> None:
    expected = {"embeddings": 1.0, "hidden": 7.0, "attention-scores": 1.0}
    assert resolved("tinybert", scales={"hidden": 7.0}).scales == expected
    assert command_line("--agent", "tinybert", "--scales", "hidden=7").scales == expected


def test_a_policy_brings_how_its_knowledge_was_compared(tmp_path: Path) -> None:
    distiller = tiny_distiller(
        {"weighting": "uncertainty", "temperature": 4.0, "scales": {"hidden": 7.0}, "layer_maps": {"hidden": "last"}}
    )
    cast = cast_learner(AgentConfig("actor-critic"), distiller, PhaseConfig(), seed=0)
    cast.agent.save(tmp_path)
    assert resolved(str(tmp_path)) == KnowledgeConfig(knowledge=list(distiller.names))  # saved without
    keep_comparison(tmp_path, distiller.offered)
    kept = resolved(str(tmp_path))
    assert {**vars(kept), "teacher_cache": 0} == {**vars(distiller.offered), "teacher_cache": 0}
    assert command_line("--agent", str(tmp_path)) == kept
    knowledge = command_line("--agent", str(tmp_path), "--knowledge", "gold,logits", "--temperature", "2.0")
    assert (knowledge.temperature, knowledge.weighting) == (2.0, "uncertainty")
    assert knowledge.scales == knowledge.layer_maps == {}
    (tmp_path / COMPARISON).write_text("{}")
    with pytest.raises(UserError, match=r"knowledge\.json does not say weighting, "):
        resolved(str(tmp_path))


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
