"""What happens inside the attention: projections, scores and probabilities, as they are before dropout.

The library's eager attention returns what is left after dropout, whose rows no longer sum to 1; no distance between
two such matrices means anything. These implementations of the attention interface keep what a pass asks for instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kselect.models.needs import Needs

MATRICES = "kselect_matrices"
PROJECTIONS = "kselect_projections"


class Reading:
    """What one forward pass keeps from inside its attention: by kind of output, by layer.

    Layers are told apart by the order in which they run, so layers that share their weights are layers of their own.
    """

    def __init__(self, needs: Needs) -> None:
        """Keep what `needs` names."""
        self.needs = needs
        self.layers = 0
        self.kept: defaultdict[str, dict[int, Tensor]] = defaultdict(dict)

    def enter(self, **outputs: Tensor) -> None:
        """Take the outputs of the next layer, and keep those that are wanted."""
        self.layers += 1
        for kind, value in outputs.items():
            if self.layers in self.needs.layers(kind):
                self.kept[kind][self.layers] = value


_current: ContextVar[Reading | None] = ContextVar("reading", default=None)


@contextmanager
def reading(needs: Needs) -> Iterator[Reading]:
    """Keep what `needs` names of the forward pass inside."""
    current = Reading(needs)
    token = _current.set(current)
    try:
        yield current
    finally:
        _current.reset(token)


def attention_with_projections(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Fused attention whose queries, keys and values `[B, H, n, d]` can be read."""
    current = _current.get()
    if current is not None:
        current.enter(queries=query, keys=_for_each_head(key, query), values=_for_each_head(value, query))
    return ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, attention_mask, **kwargs)


def attention_with_matrices(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention whose matrices can be read: scores before the mask, probabilities before dropout.

    Shapes: query `[B, H, n, d]`; key, value the same, or with a divisor of H heads, shared by groups of queries;
    attention_mask additive, broadcastable to `[B, H, n, n]`; returns the output `[B, n, H, d]` and the probabilities
    `[B, H, n, n]`, each row of which sums to 1.
    """
    key, value = _for_each_head(key, query), _for_each_head(value, query)
    scaling = query.size(-1) ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    masked = scores if attention_mask is None else scores + attention_mask
    probabilities = torch.softmax(masked, dim=-1)
    current = _current.get()
    if current is not None:
        current.enter(queries=query, keys=key, values=value, attention_scores=scores, attentions=probabilities)
    dropped = nn.functional.dropout(probabilities, p=dropout, training=module.training)
    return torch.matmul(dropped, value).transpose(1, 2).contiguous(), probabilities


def _for_each_head(shared: Tensor, query: Tensor) -> Tensor:
    groups = query.size(1) // shared.size(1)
    return shared if groups == 1 else shared.repeat_interleave(groups, 1)


AttentionInterface.register(MATRICES, attention_with_matrices)
AttentionMaskInterface.register(MATRICES, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
AttentionInterface.register(PROJECTIONS, attention_with_projections)
AttentionMaskInterface.register(PROJECTIONS, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
