"""Projections, scores and probabilities of attention, as they are before dropout.

The library's eager attention returns probabilities after dropout, whose rows no longer sum to 1, so that distances
between two such matrices mean nothing. This implementation of the attention interface stores what a pass asks for
instead, and uses the fused kernel in every layer whose matrices are not needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kselect.models.needs import MATRICES, Needs

READABLE = "kselect"


class Reading:
    """Stores outputs of one forward pass from inside its attention, by kind and layer.

    Layers are identified by the order in which they run, so layers that share weights count separately.
    """

    def __init__(self, needs: Needs) -> None:
        """Store the outputs that `needs` names."""
        self.needs = needs
        self.layers = 0
        self.stored: defaultdict[str, dict[int, Tensor]] = defaultdict(dict)

    def enter(self) -> bool:
        """Move to the next layer; return whether its attention matrices are needed."""
        self.layers += 1
        return any(self.layers in self.needs.layers(kind) for kind in MATRICES)

    def store(self, **outputs: Tensor) -> None:
        """Store those outputs of this layer that are needed."""
        for kind, value in outputs.items():
            if self.layers in self.needs.layers(kind):
                self.stored[kind][self.layers] = value


_current: ContextVar[Reading | None] = ContextVar("reading", default=None)


@contextmanager
def reading(needs: Needs) -> Iterator[Reading]:
    """Store the outputs that `needs` names of the forward pass inside."""
    current = Reading(needs)
    token = _current.set(current)
    try:
        yield current
    finally:
        _current.reset(token)


def again() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of a layer's forward pass and of its repetition under gradient checkpointing.

    The repetition runs in the backward pass, outside of `reading`, and must do the same again for the same layer.
    """
    current = _current.get()
    return nullcontext(), nullcontext() if current is None else _repeated(current.needs, current.layers)


@contextmanager
def _repeated(needs: Needs, layers: int) -> Iterator[None]:
    """Read what `needs` names, after so many layers, for nobody."""
    with reading(needs) as repeated:
        repeated.layers = layers
        yield


def readable_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """Compute the attention of the next layer, with matrices where they are needed, otherwise fused."""
    current = _current.get()
    if current is None:
        return ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, attention_mask, **kwargs)
    with_matrices = current.enter()
    current.store(queries=query, keys=_for_each_head(key, query), values=_for_each_head(value, query))
    attend = attention_with_matrices if with_matrices else ALL_ATTENTION_FUNCTIONS["sdpa"]
    return attend(module, query, key, value, attention_mask, **kwargs)


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
    attention_mask broadcastable to `[B, H, n, n]`, True where tokens attend to each other, or additive; returns the
    output `[B, n, H, d]` and the probabilities `[B, H, n, n]` in float32, each row of which sums to 1.
    """
    key, value = _for_each_head(key, query), _for_each_head(value, query)
    scaling = query.size(-1) ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    probabilities = torch.softmax(_masked(scores, attention_mask), dim=-1, dtype=torch.float32)
    current = _current.get()
    if current is not None:
        current.store(attention_scores=scores, attentions=probabilities)
    dropped = nn.functional.dropout(probabilities.to(value.dtype), p=dropout, training=module.training)
    return torch.matmul(dropped, value).transpose(1, 2).contiguous(), probabilities


def readable_mask(*, allow_is_bidirectional_skip: bool = False, **kwargs: Any) -> Tensor | None:
    """Return the mask of the fused kernel; None for a batch without padding, if this is known without synchronising.

    Reading values of a tensor would make an accelerator wait in every training step. There every batch has a mask, and
    the library uses a fused kernel that reads one, never the one (flash) that takes none.
    """
    padding = kwargs.get("attention_mask")
    looks = allow_is_bidirectional_skip and (padding is None or padding.device.type == "cpu")
    return ALL_MASK_ATTENTION_FUNCTIONS["sdpa"](allow_is_bidirectional_skip=looks, **kwargs)


def _masked(scores: Tensor, attention_mask: Tensor | None) -> Tensor:
    if attention_mask is None:
        return scores
    if attention_mask.dtype == torch.bool:
        return scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    return scores + attention_mask


def _for_each_head(shared: Tensor, query: Tensor) -> Tensor:
    groups = query.size(1) // shared.size(1)
    return shared if groups == 1 else shared.repeat_interleave(groups, 1)


AttentionInterface.register(READABLE, readable_attention)
AttentionMaskInterface.register(READABLE, readable_mask)
