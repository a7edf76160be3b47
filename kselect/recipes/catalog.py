"""Published ways to distil, as data: which knowledge weighs what, when, and how it is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

from kselect.agents.registry import AGENTS
from kselect.agents.stages import Stages, stage_knowledge
from kselect.config import AgentConfig
from kselect.errors import KselectError
from kselect.plugins import PluginRegistry, distribution, load_plugin


@dataclass(frozen=True)
class Recipe:
    """One published way: a schedule over knowledge by name, and how that knowledge is compared.

    description: a line that says what it does. stages: weights by knowledge over the run, see `kselect.agents.stages`;
    None for everything on offer, equally. settings: how the knowledge is compared and its losses become one, by
    the names of settings (fields of `kselect.config.KnowledgeConfig`).
    """

    description: str
    stages: Stages | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def knowledge(self) -> tuple[str, ...] | None:
        """The kinds of knowledge it weighs, in the order of their first use; None for all on offer."""
        return None if self.stages is None else stage_knowledge(self.stages)

    def schedule(self, offered: Sequence[str]) -> AgentConfig:
        """Return the agent that follows it where the knowledge `offered` is on offer."""
        return AgentConfig("schedule", {"stages": self.stages or [{"weights": dict.fromkeys(offered, 1)}]})


_PUBLISHED = {
    "fine-tune": Recipe("gold labels only: no distillation", [{"weights": {"gold": 1}}]),
    "vanilla-kd": Recipe(
        "gold labels and the teacher's logits, equally (Hinton et al. 2015)", [{"weights": {"gold": 1, "logits": 1}}]
    ),
    "all": Recipe("all kinds of knowledge on offer, equally"),
    # (1 - a) CE + a KL + b |difference|^2 with a = 0.5 and b = 1 on a mean over layers of a sum over dimensions. The
    # authors' code takes a mean over both, where the same is b = 768 at 768 dimensions; the paper's b is 10 to 1000.
    "pkd": Recipe(
        "gold, logits, and [CLS] states of every few layers but the last (Sun et al. 2019)",
        [{"weights": {"gold": 0.5, "logits": 0.5, "hidden-cls": 1}}],
        {"layer_maps": {"hidden-cls": "skip"}, "scales": {"hidden-cls": 1.0}},
    ),
    "distilbert": Recipe(
        "gold, logits, and the cosine of the last layer's states (Sanh et al. 2019)",
        [{"weights": {"gold": 1, "logits": 1, "hidden-cosine": 1}}],
        {"layer_maps": {"hidden-cosine": "last"}, "scales": {"hidden-cosine": 1.0}},
    ),
    # Logits at temperature 1, and no gold; where the first stage ends is ours. So are means over layers: the paper's
    # sum over M of them (eq. 11) gives embeddings 1 / M of their weight here.
    "tinybert": Recipe(
        "embeddings, hidden states and attention scores, then logits (Jiao et al. 2020)",
        [
            {"until": 0.5, "weights": {"embeddings": 1, "hidden": 1, "attention-scores": 1}},
            {"weights": {"logits": 1}},
        ],
        {"scales": {"embeddings": 1.0, "hidden": 1.0, "attention-scores": 1.0}, "temperature": 1.0},
    ),
    # The paper distils without labels, then fine-tunes: both happen within the run here, on the task's own texts.
    "minilm": Recipe(
        "attention and value relations of the last layer, then gold (Wang et al. 2020)",
        [{"until": 0.5, "weights": {"attention": 1, "value-relations": 1}}, {"weights": {"gold": 1}}],
        {
            "layer_maps": {"attention": "last", "value-relations": "last"},
            "scales": {"attention": 1.0, "value-relations": 1.0},
        },
    ),
    "minilmv2": Recipe(
        "query, key and value relations of the last layer, then gold (Wang et al. 2021)",
        [
            {"until": 0.5, "weights": {"query-relations": 1, "key-relations": 1, "value-relations": 1}},
            {"weights": {"gold": 1}},
        ],
        {
            "layer_maps": dict.fromkeys(("query-relations", "key-relations", "value-relations"), "last"),
            "scales": dict.fromkeys(("query-relations", "key-relations", "value-relations"), 1.0),
        },
    ),
    # lambda KD + (1 - lambda) NLL, lambda annealed from 1 to 0 in a straight line.
    "structural-kd": Recipe(
        "the teacher's marginals of structures, annealed to gold (Wang et al. 2021)",
        [{"weights": {"marginals": 1}, "to": {"gold": 1}}],
    ),
    # (1 - a) gold + a matching with a = 0.9. The authors' code sums gold over the N words of a batch and takes matching
    # as a mean over its scores; here both are means over words, so that 0.1 N gold + 0.9 matching is, up to a common
    # factor, gold + 9 / N matching. N is 768: their batches of 32, of CoNLL-2000's sentences of 24 words. Gold weighs
    # 1, not 0.1: Adam ignores a common factor, but the clipping of gradients does not, and theirs are clipped.
    "substructure-kd": Recipe(
        "gold, and the scores of local sub-structures, as the authors sum them (Lin et al. 2022)",
        [{"weights": {"gold": 1, "substructures": 9 / (32 * 24)}}],
        {"scales": {"substructures": 1.0}},
    ),
    # CE + (1 - u) KL + u hidden for each example, u its uncertainty. In the authors' code, hidden is the squared
    # distance of states scaled to length 1, a mean over tokens and D dimensions and a sum over L layers. One token of
    # one layer adds 2 (1 - cosine) / D, so that it is 2 L / D times hidden-cosine: 1 / 64 for 6 layers of 768
    # dimensions, or 3 of 384.
    "dynamic-kd": Recipe(
        "gold, and logits or hidden states by each example's uncertainty (Li et al. 2021)",
        [{"weights": {"gold": 1, "logits": 1, "hidden-cosine": 1}}],
        {"weighting": "dynamic", "scales": {"hidden-cosine": 1 / 64}},
    ),
    "uncertainty": Recipe(
        "all kinds of knowledge on offer, weighted by learned variances (Kendall et al. 2018)",
        None,
        {"weighting": "uncertainty"},
    ),
}


def _load(plugin: EntryPoint) -> Recipe:
    recipe = load_plugin(plugin)
    if not isinstance(recipe, Recipe):
        raise KselectError(
            f"The package {distribution(plugin)} announces the recipe {plugin.name}, and {plugin.value} is not a "
            "Recipe: update or uninstall that package."
        )
    return recipe


RECIPES: PluginRegistry[Recipe] = PluginRegistry("kselect.recipes", _PUBLISHED, _load)
"""The recipes by name; an agent of that name follows one. Installed packages add theirs (`kselect.plugins`)."""

NAMED: PluginRegistry[str] = PluginRegistry(
    "kselect.recipes",
    {**AGENTS, **{name: recipe.description for name, recipe in _PUBLISHED.items()}},
    lambda plugin: f"a recipe of the package {distribution(plugin)}",
)
"""Every agent that a run can name, those that follow a recipe among them, with a line that says what it does."""
