"""Inference over structures, nothing but tensors: exact over label sequences, span sets and trees, and a mean field
where arcs are scored in pairs."""

from kselect.structure.chain import ChainMarginals, LinearChain
from kselect.structure.distribution import Distribution, cross_entropy, cross_entropy_of, kl
from kselect.structure.mean_field import mean_field
from kselect.structure.projective import ProjectiveTrees
from kselect.structure.spans import SpanSets
from kselect.structure.trees import DependencyTrees, NonProjectiveTrees

__all__ = [
    "ChainMarginals",
    "DependencyTrees",
    "Distribution",
    "LinearChain",
    "NonProjectiveTrees",
    "ProjectiveTrees",
    "SpanSets",
    "cross_entropy",
    "cross_entropy_of",
    "kl",
    "mean_field",
]
