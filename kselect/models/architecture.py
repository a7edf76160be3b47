"""What an encoder's architecture accepts and returns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any

from transformers import PreTrainedModel

from kselect.errors import IncomparableError, KselectError
from kselect.models.attention import again
from kselect.models.needs import Needs


def fused_attention(model: PreTrainedModel) -> str:
    """Return the fastest attention that the architecture has, as the library names it."""
    return "sdpa" if model._supports_sdpa else "eager"


def check_readable(model: PreTrainedModel, needs: Needs, what: str) -> None:
    """Refuse to read inside an attention that does not go through the library's attention interface.

    Such an architecture returns attention after dropout, and no queries, keys or values.
    """
    if needs.inside_attention and not model._supports_attention_backend:
        raise IncomparableError(
            f"{what} reads inside the attention, which {model.config.model_type} does not return before dropout",
            "offer kinds that read logits or hidden states.",
        )


def input_names(model: PreTrainedModel) -> frozenset[str]:
    """Return the entries of a batch that the model accepts; token types only if it has several."""
    names = {"input_ids", "attention_mask"}
    has_token_types = (getattr(model.config, "type_vocab_size", None) or 0) > 1
    if has_token_types and "token_type_ids" in _parameters(type(model).forward):
        names.add("token_type_ids")
    return frozenset(names)


@cache
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(signature(function).parameters)


def positions(model: PreTrainedModel) -> int | None:
    """Return the number of tokens that the model has positions for; None if its config does not say.

    Architectures that number positions from the padding index (such as RoBERTa) lose those before it.
    """
    count = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return len(module.get_parameter("weight")) - int(padding) - 1
    return count if count is not None and count > 0 else None


def checkpoint_gradients(model: PreTrainedModel) -> None:
    """Compute activations again in the backward pass rather than store them.

    Raises:
        KselectError: an architecture that transformers cannot do this for.
    """
    try:
        model.activation_checkpointing_enable({"use_reentrant": False, "context_fn": again})
    except ValueError:
        raise KselectError(
            f"transformers has no gradient checkpointing for {model.config.model_type}: leave it out.",
            setting="gradient_checkpointing",
        ) from None
