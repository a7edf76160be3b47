"""Recipes: what an agent brings to its run, the published ones by name."""

from kselect.recipes.catalog import NAMED, RECIPES, Recipe
from kselect.recipes.resolve import brought, check, check_decider, check_learner, keep_comparison, resolve

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
