"""Attention probabilities before dropout, in training mode too.

The library's eager attention returns what is left after dropout, whose rows no longer sum to 1; no distance between
two such matrices means anything. This implementation of the attention interface returns them from before it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

PROBABILITIES = "kselect_probabilities"


def attention_with_probabilities(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention that also returns its probabilities, untouched by dropout.

    Shapes: query, key, value `[B, H, n, d]`; attention_mask additive, broadcastable to `[B, H, n, n]`; returns the
    output `[B, n, H, d]` and the probabilities `[B, H, n, n]`, each row of which sums to 1.
    """
    scaling = query.size(-1) ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    probabilities = torch.softmax(scores, dim=-1)
    dropped = nn.functional.dropout(probabilities, p=dropout, training=module.training)
    return torch.matmul(dropped, value).transpose(1, 2).contiguous(), probabilities


AttentionInterface.register(PROBABILITIES, attention_with_probabilities)
AttentionMaskInterface.register(PROBABILITIES, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
