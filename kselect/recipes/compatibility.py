"""Recipes whose knowledge two models have in common."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kselect.config import AgentConfig, KnowledgeConfig
from kselect.errors import IncomparableError, KselectError
from kselect.knowledge.registry import build_knowledge
from kselect.models.classifier import Classifier
from kselect.models.column_teacher import ColumnTeacher
from kselect.recipes.catalog import RECIPES, Recipe


def check_served(
    agent: AgentConfig,
    student: Classifier,
    teachers: Sequence[Classifier | ColumnTeacher],
    is_labelled: bool = True,
    other_tokens: Collection[int] = (),
) -> None:
    """Refuse a recipe whose knowledge these models do not have in common, and name those that they can serve.

    Without labels, recipes that read labels are refused.
    """
    recipe, models = RECIPES.get(agent.agent), (student, teachers, is_labelled, other_tokens)
    obstacle = None if recipe is None else _obstacle(recipe, *models)
    if isinstance(obstacle, IncomparableError):
        others = [name for name, other in RECIPES.items() if _obstacle(other, *models) is None]
        raise KselectError(
            f"{obstacle.what}, and agent '{agent.agent}' needs it: give an agent that these models can serve "
            f"({', '.join(others)})."
        )


def _obstacle(
    recipe: Recipe,
    student: Classifier,
    teachers: Sequence[Classifier | ColumnTeacher],
    is_labelled: bool,
    other_tokens: Collection[int],
) -> KselectError | None:
    """Return what keeps a recipe's knowledge from being compared."""
    kinds = None if recipe.knowledge is None else list(recipe.knowledge)
    try:
        config = KnowledgeConfig(knowledge=kinds, **recipe.settings)
        build_knowledge(config, student, teachers, is_labelled=is_labelled, other_tokens=other_tokens)
    except KselectError as error:
        return error
    return None
