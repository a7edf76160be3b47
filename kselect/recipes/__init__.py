"""Recipes: what an agent brings to its run, the published ones by name."""

from kselect.recipes.catalog import NAMED, RECIPES, Recipe
from kselect.recipes.resolve import check, check_decider, check_learner, recipe_defaults, resolve, save_comparison

__all__ = [
    "NAMED",
    "RECIPES",
    "Recipe",
    "check",
    "check_decider",
    "check_learner",
    "recipe_defaults",
    "resolve",
    "save_comparison",
]
