"""Recipes: what an agent brings to its run, the published ones by name."""

from kselect.study.recipes.comparison import keep_comparison
from kselect.study.recipes.offer import brought, check, resolve
from kselect.study.recipes.published import NAMED, RECIPES, Recipe
from kselect.study.recipes.roles import check_decider, check_learner

__all__ = [
    "NAMED",
    "RECIPES",
    "Recipe",
    "brought",
    "check",
    "check_decider",
    "check_learner",
    "keep_comparison",
    "resolve",
]
