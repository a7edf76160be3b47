"""Inference over structures of a batch of sentences, on tensors only.

Exact for label sequences, span sets and dependency trees; mean field for second-order scores of arcs.
"""

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
