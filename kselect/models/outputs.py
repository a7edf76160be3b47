"""One forward pass that returns what is needed and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor
from transformers import PreTrainedModel

from kselect.models.attention import PROBABILITIES
from kselect.models.needs import Needs

INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class ModelOutputs:
    """What a classifier gave for a batch of B texts of at most n tokens.

    logits: `[B, K]`. attention_mask: `[B, n]`, 1 on real tokens. hidden_states: by layer, `[B, n, D]`, 0 being the
    embeddings. attentions: by layer, probabilities before dropout, `[B, H, n, n]`.
    """

    logits: Tensor
    attention_mask: Tensor
    hidden_states: dict[int, Tensor]
    attentions: dict[int, Tensor]


def forward(model: PreTrainedModel, batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
    """Run `model` on `batch` and keep the layers that `needs` names.

    Attention runs through the fused kernel unless its probabilities are wanted, and hidden states that nobody reads
    are not held.
    """
    implementation = PROBABILITIES if needs.attentions else "sdpa"
    if model.config._attn_implementation != implementation:
        model.set_attn_implementation(implementation)
    outputs = model(
        **{name: batch[name] for name in INPUT_NAMES if name in batch},
        output_hidden_states=sorted(needs.hidden_states) if needs.hidden_states else False,
        output_attentions=bool(needs.attentions),
        return_dict=True,
    )
    return ModelOutputs(
        logits=outputs.logits,
        attention_mask=batch["attention_mask"],
        hidden_states={layer: cast(Tensor, outputs.hidden_states[layer]) for layer in needs.hidden_states},
        attentions={layer: cast(Tensor, outputs.attentions[layer - 1]) for layer in needs.attentions},
    )
