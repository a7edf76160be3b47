"""From an agent to what is on offer in its run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div, normalize

from kselect.agents.registry import AGENTS, make_agent
from kselect.cli.commands import COMMANDS
from kselect.config import DEFAULT_KNOWLEDGE, KNOWLEDGE_NAMES, AgentConfig, KnowledgeConfig, PhaseConfig
from kselect.distillation.weighting import make_weighting
from kselect.errors import KselectError
from kselect.knowledge.base import Batch
from kselect.knowledge.hidden_states import HiddenCosine
from kselect.knowledge.logits import Gold, Logits
from kselect.knowledge.substructures import Substructures
from kselect.models.heads.crf import Crf
from kselect.models.outputs import ModelOutputs
from kselect.recipes import NAMED, RECIPES, resolve, save_comparison
from kselect.recipes.policies import build_trainable_agent
from kselect.recipes.resolve import COMPARISON
from kselect.schedule import Schedule
from tests.agents.identity import IdentityEnv
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
        ("dynamic-kd", ["gold", "logits", "hidden-cosine"]),
        *((name, None) for name in ("all", "uncertainty", "actor-critic", "online", "random-hard")),  # the models say
    ],
)
def test_on_offer_is_what_the_agent_weighs(agent: str, knowledge: list[str] | None) -> None:
    assert resolved(agent).knowledge == knowledge
    more = ["hidden", "hidden-cosine", "gold", "logits"]
    assert resolved(agent, knowledge=more).knowledge == more


def test_weights_and_stages_say_what_is_on_offer() -> None:
    assert resolved("fixed", {"weights": {"gold": 1, "hidden": 0.5}}).knowledge == ["gold", "hidden"]
    stages = [{"until": 0.5, "weights": {"relations": 1}}, {"weights": {"gold": 1}}]
    assert resolved("schedule", {"stages": stages}).knowledge == ["relations", "gold"]


def test_weights_alone_are_the_agent_fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"weights": {"gold": 1, "hidden": 0.5}}
    assert AgentConfig("gold:1,hidden:0.5") == AgentConfig("fixed", weights)
    assert command_line("--agent", "gold:1,hidden:0.5").knowledge == ["gold", "hidden"]
    for wrong, said in (
        ("gold:1,hidden", "agent is 'gold:1,hidden', which is not a policy folder: give one, or a weight for each"),
        ("gold:one", "which is not a policy folder"),
        ("gold:1,gold:0", "which is not a policy folder"),
        ("gold:2", "The weight of gold is 2.0: give a number of at least 0 and at most 1"),
        ("gold:nan", "The weight of gold is nan"),
        ("gold:0", "selects nothing"),
    ):
        with pytest.raises(KselectError, match=said):
            command_line("--agent", wrong)
    with pytest.raises(KselectError, match="leave out agent_settings"):
        AgentConfig("gold:1", weights)
    monkeypatch.chdir(tmp_path)
    Path("gold:1").mkdir()
    assert AgentConfig("gold:1").agent == "gold:1"  # a policy's folder, whatever its name


@pytest.mark.parametrize("name", POSSIBLE)
def test_what_is_resolved_resolves_to_itself(name: str) -> None:
    once = resolved(name)
    assert resolve(AgentConfig(name), **vars(once)) == once
    knowledge = RECIPES[name].knowledge
    assert once.knowledge == (list(knowledge) if knowledge else None)
    for setting, value in RECIPES[name].settings.items():
        assert getattr(once, setting) == value


def test_a_recipe_brings_its_weighting() -> None:
    assert resolved("dynamic-kd").weighting == "dynamic"
    assert resolved("uncertainty", knowledge=["gold", "attention"]).weighting == "uncertainty"
    assert resolved("all", weighting="uncertainty").weighting == "uncertainty"
    for other in ("uncertainty", "selection"):
        with pytest.raises(
            KselectError, match=rf"Agent 'dynamic-kd' has its own weighting .dynamic.: leave .* {other}"
        ):
            resolved("dynamic-kd", weighting=other)


def command_line(*words: str) -> KnowledgeConfig:
    settings = COMMANDS["distill"].settings(["--teacher", "anywhere", *words])
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
        {
            "weighting": "uncertainty",
            "temperature": 4.0,
            "scales": {"hidden": 7.0},
            "layer_maps": {"hidden": "last"},
            "arc_marginals": "projective",
        }
    )
    setup = build_trainable_agent(AgentConfig("actor-critic"), distiller, PhaseConfig(), seed=0)
    setup.agent.save(tmp_path)
    assert resolved(str(tmp_path)) == KnowledgeConfig(knowledge=list(distiller.names))  # saved without
    save_comparison(tmp_path, distiller.offered)
    kept = resolved(str(tmp_path))
    assert {**vars(kept), "teacher_cache": 0} == {**vars(distiller.offered), "teacher_cache": 0}
    assert command_line("--agent", str(tmp_path)) == kept
    knowledge = command_line("--agent", str(tmp_path), "--knowledge", "gold,logits", "--temperature", "2.0")
    assert (knowledge.temperature, knowledge.weighting) == (2.0, "uncertainty")
    assert knowledge.scales == knowledge.layer_maps == {}
    (tmp_path / COMPARISON).write_text("{}")
    with pytest.raises(KselectError, match=r"knowledge\.json does not say weighting, "):
        resolved(str(tmp_path))


def test_knowledge_that_lacks_what_a_recipe_needs_is_refused() -> None:
    with pytest.raises(KselectError) as caught:
        resolved("vanilla-kd", knowledge=["gold", "hidden"])
    assert str(caught.value) == (
        "Agent 'vanilla-kd' needs the knowledge 'logits', which is not on offer: add it to knowledge (gold, hidden)."
    )
    with pytest.raises(KselectError, match=r"Unknown knowledge 'hiden': did you mean 'hidden'\?"):
        resolved("fixed", {"weights": {"hiden": 1}}, knowledge=["gold", "hidden"])


def test_an_agent_by_recipe_has_no_settings() -> None:
    with pytest.raises(KselectError, match=r"^Agent 'fine-tune' has no setting 'weights'\. It has no settings\.$"):
        resolved("fine-tune", {"weights": {"gold": 1}})


def follow(name: str, names: Sequence[str], soft: bool, moments: Sequence[float]) -> list[dict[str, float]]:
    """Return the weights at some moments of a run, by knowledge in the order of `names`."""
    env = IdentityEnv(soft=soft, rows=len(names))
    config = RECIPES[name].schedule(names)
    agent = make_agent(config.agent, env.observation_space, env.action_space, names, **config.agent_settings)
    seen = env.reset()[0]
    weights = []
    for moment in moments:
        seen["context"][0] = moment
        weights.append(dict(zip(names, agent.act(seen).tolist(), strict=True)))
    return weights


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("name", "weights"),
    [("fine-tune", [0, 1, 0]), ("vanilla-kd", [0, 1, 1]), ("all", [1, 1, 1]), ("uncertainty", [1, 1, 1])],
)
def test_recipes_in_the_order_of_the_rows(name: str, weights: list[int], soft: bool) -> None:
    names = ("hidden", "gold", "logits")
    assert follow(name, names, soft, [0.0, 0.5, 0.9]) == [dict(zip(names, weights, strict=True))] * 3


@pytest.mark.parametrize(
    ("name", "starts", "weights"),
    [
        ("pkd", [0], [{"gold": 0.5, "logits": 0.5, "hidden-cls": 1}]),
        ("distilbert", [0], [{"gold": 1, "logits": 1, "hidden-cosine": 1}]),
        ("tinybert", [0, 0.5], [{"embeddings": 1, "hidden": 1, "attention-scores": 1}, {"logits": 1}]),
        ("minilm", [0, 0.5], [{"attention": 1, "value-relations": 1}, {"gold": 1}]),
        ("minilmv2", [0, 0.5], [{"query-relations": 1, "key-relations": 1, "value-relations": 1}, {"gold": 1}]),
        ("dynamic-kd", [0], [{"gold": 1, "logits": 1, "hidden-cosine": 1}]),
    ],
)
def test_recipes_over_a_run(name: str, starts: list[float], weights: list[dict[str, float]]) -> None:
    names = RECIPES[name].knowledge
    assert names is not None
    assert list(names) == list(dict.fromkeys(kind for stage in weights for kind in stage))
    expected = [{kind: stage.get(kind, 0) for kind in names} for stage in weights]
    assert follow(name, names, True, starts) == expected
    assert follow(name, names, True, [start + 0.49 for start in starts]) == expected


def test_substructure_kd_has_the_ratio_of_the_authors_code() -> None:
    """Of 32 sentences of 24 words: 0.1 times summed negative log-likelihoods, 0.9 times the mean over all scores."""
    sentences, words, tags = 32, 24, 23
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(sentences, words, tags, generator=generator).requires_grad_()
    teacher = 2 * torch.randn(sentences, words, tags, generator=generator)
    between = torch.randn(tags, tags, generator=generator)
    labels = torch.randint(tags, (sentences, words), generator=generator)

    log_sum, score = student[:, 0], student[:, 0].gather(1, labels[:, :1]).sum()
    for i in range(1, words):
        log_sum = torch.logsumexp(log_sum[:, :, None] + between, 1) + student[:, i]
        score = score + between[labels[:, i - 1], labels[:, i]].sum()
        score = score + student[:, i].gather(1, labels[:, i, None]).sum()
    summed = torch.logsumexp(log_sum, 1).sum() - score
    centred = (student - teacher) - (student - teacher).mean(-1, keepdim=True)  # a constant of a word has no effect
    authors = 0.1 * summed + 0.9 * centred.square().mean()

    crf, mask = Crf(tags), torch.ones(sentences, words, dtype=torch.bool)
    crf.transitions.data = between
    ours, theirs = (ModelOutputs(scores, mask, word_mask=mask, head=crf) for scores in (student, teacher))
    losses = {
        "gold": Gold().loss(ours, None, Batch(labels)).mean(),
        "substructures": Substructures("crf", "crf").loss(ours, theirs, Batch(labels)).mean(),
    }
    assert RECIPES["substructure-kd"].stages is not None
    weights, scales = RECIPES["substructure-kd"].stages[0]["weights"], resolved("substructure-kd").scales
    parts = {name: weights[name] * scales.get(name, 1.0) * loss for name, loss in losses.items()}
    total = parts["gold"] + parts["substructures"]
    torch.testing.assert_close(0.1 * total * sentences * words, authors)
    (ours_on_scores,) = torch.autograd.grad(total, student, retain_graph=True)
    (theirs_on_scores,) = torch.autograd.grad(authors, student)
    torch.testing.assert_close(0.1 * ours_on_scores * sentences * words, theirs_on_scores)
    assert 0.98 < (parts["gold"] / total).item() < 1
    assert weights["gold"] == 1  # a smaller factor on both would have gradients clipped less


def test_dynamic_kd_is_the_loss_of_the_authors_code() -> None:
    """Of 6 layers of 768 dimensions: a sum over layers, and means over tokens and dimensions, of normalised states."""
    batch, tokens, layers, width, classes = 4, 5, 6, 768, 3
    generator = torch.Generator().manual_seed(0)
    student_states, teacher_states = torch.randn(2, layers, batch, tokens, width, generator=generator)
    student, teacher = 2 * torch.randn(2, batch, classes, generator=generator)
    labels = torch.randint(classes, (batch,), generator=generator)

    squared = (normalize(student_states, dim=-1) - normalize(teacher_states, dim=-1)).square()
    hidden = squared.mean(-1).mean(-1).sum(0)
    u = torch.distributions.Categorical(logits=student).entropy() / math.log(classes)
    soft, target = (scores / 2 for scores in (student, teacher))
    logits = 4 * kl_div(soft.log_softmax(-1), target.softmax(-1), reduction="none").sum(-1)
    authors = cross_entropy(student, labels, reduction="none") + (1 - u) * logits + u * hidden

    knowledge, mask = resolved("dynamic-kd", temperature=2.0), torch.ones(batch, tokens)
    ours, theirs = (
        ModelOutputs(scores, mask, dict(zip(range(1, 7), states, strict=True)))
        for scores, states in ((student, student_states), (teacher, teacher_states))
    )
    kinds = (Gold(), Logits(Schedule.parse(2.0, "temperature")), HiddenCosine(tuple((i, i) for i in range(1, 7))))
    assert knowledge.knowledge == [kind.name for kind in kinds]
    assert RECIPES["dynamic-kd"].stages is not None
    weights = torch.tensor([float(RECIPES["dynamic-kd"].stages[0]["weights"][kind.name]) for kind in kinds])
    scales = torch.tensor([knowledge.scales.get(kind.name, kind.scale) for kind in kinds])
    losses = torch.stack([kind.loss(ours, theirs, Batch(labels)) for kind in kinds], 1)
    weighting = make_weighting(knowledge.weighting, knowledge.knowledge, regression=False)
    total = weighting(losses, weights, scales, tuple(knowledge.knowledge), ours.answer)
    torch.testing.assert_close(total, authors)
    assert (u * hidden).min() > 0.005


def test_recipes_and_other_agents_have_names_of_their_own() -> None:
    assert len(NAMED) == len(AGENTS) + len(RECIPES)


def test_every_recipe_is_data_in_order() -> None:
    for name, recipe in RECIPES.items():
        assert recipe.description.isascii()
        known = set(recipe.knowledge or DEFAULT_KNOWLEDGE)
        for setting in ("scales", "layer_maps"):
            assert set(recipe.settings.get(setting, {})) <= known, name
        assert set(recipe.settings) <= {"scales", "layer_maps", "temperature", "weighting"}


def test_a_folder_without_a_policy_is_reported(tmp_path: Path) -> None:
    with pytest.raises(KselectError, match="No trained policy"):
        resolved(str(tmp_path))


def test_a_folder_called_like_an_agent_is_not_taken_for_a_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("online", "vanilla-kd"):
        (tmp_path / name).mkdir()
    assert resolved("online").knowledge is None
    assert resolved("vanilla-kd").knowledge == ["gold", "logits"]
