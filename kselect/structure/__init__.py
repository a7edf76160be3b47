"""Exact inference over structures: nothing but tensors."""

from kselect.structure.chain import ChainMarginals, LinearChain
from kselect.structure.distribution import Distribution, cross_entropy, kl

__all__ = ["ChainMarginals", "Distribution", "LinearChain", "cross_entropy", "kl"]
