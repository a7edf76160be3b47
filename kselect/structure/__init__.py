"""Exact inference over structures: nothing but tensors."""

from kselect.structure.chain import ChainMarginals, LinearChain
from kselect.structure.distribution import Distribution, cross_entropy, cross_entropy_of, kl
from kselect.structure.projective import ProjectiveTrees
from kselect.structure.second_order import mean_field
from kselect.structure.spans import SpanSets
from kselect.structure.trees import Trees

__all__ = [
    "ChainMarginals",
    "Distribution",
    "LinearChain",
    "ProjectiveTrees",
    "SpanSets",
    "Trees",
    "cross_entropy",
    "cross_entropy_of",
    "kl",
    "mean_field",
]
