"""What happens inside the attention: projections, scores and probabilities, as they are before dropout.

The library's eager attention returns what is left after dropout, whose rows no longer sum to 1; no distance between
two such matrices means anything. This implementation of the attention interface keeps what a pass asks for instead, and
runs through the fused kernel in every layer whose matrices nobody asks for.
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

from kselect.models.needs import MATRICES, Needs

READABLE = "kselect"


class Reading:
    """What one forward pass keeps from inside its attention: by kind of output, by layer.

    Layers are told apart by the order in which they run, so layers that share their weights are layers of their own.
    """

    def __init__(self, needs: Needs) -> None:
        """Keep what `needs` names."""
        self.needs = needs
        self.layers = 0
        self.kept: defaultdict[str, dict[int, Tensor]] = defaultdict(dict)

    def enter(self) -> bool:
        """Go on to the next layer; returns whether its attention must be worked out as matrices."""
        self.layers += 1
        return any(self.layers in self.needs.layers(kind) for kind in MATRICES)

    def keep(self, **outputs: Tensor) -> None:
        """Keep those outputs of this layer that are wanted."""
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


def readable_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """Attention of the next layer, with matrices where they are to be read, fused where not; see the former."""
    current = _current.get()
    if current is None:
        return ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, attention_mask, **kwargs)
    with_matrices = current.enter()
    current.keep(queries=query, keys=_for_each_head(key, query), values=_for_each_head(value, query))
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
        current.keep(attention_scores=scores, attentions=probabilities)
    dropped = nn.functional.dropout(probabilities.to(value.dtype), p=dropout, training=module.training)
    return torch.matmul(dropped, value).transpose(1, 2).contiguous(), probabilities


def readable_mask(*, allow_is_bidirectional_skip: bool = False, **kwargs: Any) -> Tensor | None:
    """Mask of the fused kernel, left out where a batch has no padding, if finding that out holds up nothing.

    Looking at the values of a tensor makes an accelerator wait, in every training step. There every batch has a mask,
    and the library takes a fused kernel that reads one, never the one (flash) that takes none.
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
