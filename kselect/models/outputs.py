"""One forward pass that returns what is needed and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from kselect.errors import UserError
from kselect.models.architecture import check_readable, fused_attention, input_names
from kselect.models.attention import READABLE, reading
from kselect.models.needs import Needs


@dataclass(frozen=True)
class ModelOutputs:
    """What a classifier gave for a batch of B texts of at most n tokens.

    logits: `[B, K]`. attention_mask: `[B, n]`, 1 on real tokens. By layer: hidden_states `[B, n, D]`, 0 being the
    embeddings; attentions, probabilities before dropout, and attention_scores, what the softmax takes before the mask,
    `[B, H, n, n]`; queries, keys and values as they enter the attention (rotated, where positions are), `[B, H, n, d]`.
    """

    logits: Tensor
    attention_mask: Tensor
    hidden_states: dict[int, Tensor] = field(default_factory=dict)
    attentions: dict[int, Tensor] = field(default_factory=dict)
    attention_scores: dict[int, Tensor] = field(default_factory=dict)
    queries: dict[int, Tensor] = field(default_factory=dict)
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    def layers(self, kind: str) -> dict[int, Tensor]:
        """Return the outputs of `kind`, a name in `Needs`, by layer."""
        return getattr(self, kind)


def forward(model: PreTrainedModel, batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
    """Run `model` on `batch` and keep the layers that `needs` names.

    Attention runs through the fused kernel in each layer whose matrices are not wanted, and what nobody reads is not
    held.

    Raises:
        UserError: the architecture does not give what is needed.
    """
    check_readable(model, needs, "What is needed")
    implementation = fused_attention(model)
    if model._supports_attention_backend and (needs.inside_attention or implementation == "sdpa"):
        implementation = READABLE
    if model.config._attn_implementation != implementation:
        model.set_attn_implementation(implementation)
    takes = input_names(model)
    with reading(needs) as inside:
        outputs = model(
            **{name: value for name, value in batch.items() if name in takes},
            output_hidden_states=sorted(needs.hidden_states) if needs.hidden_states else False,
            return_dict=True,
        )
    if getattr(outputs, "logits", None) is None:
        raise UserError(f"This {model.config.model_type} gives no logits: give another architecture.")
    if needs.hidden_states and getattr(outputs, "hidden_states", None) is None:
        raise UserError(f"This {model.config.model_type} shows no hidden states: offer kinds that read logits alone.")
    if any(outputs.hidden_states[layer].size(1) != batch["input_ids"].size(1) for layer in needs.hidden_states):
        raise UserError(
            f"This {model.config.model_type} shows hidden states of fewer tokens than it reads: offer kinds that read "
            f"logits alone."
        )
    layers = model.config.num_hidden_layers
    counted = inside.layers if needs.inside_attention else layers
    counted = len(outputs.hidden_states) - 1 if needs.hidden_states else counted
    if counted != layers:
        raise UserError(
            f"This {model.config.model_type} shows {counted} layers where its config has {layers}, so that none can be "
            f"told: offer kinds that read logits alone."
        )
    return ModelOutputs(
        logits=outputs.logits,
        attention_mask=batch["attention_mask"],
        hidden_states={layer: outputs.hidden_states[layer] for layer in needs.hidden_states},
        **inside.kept,
    )


def projection_width(model: PreTrainedModel, kind: str) -> int:
    """Return how many dimensions the queries, keys or values (`kind`) of all heads have, which no config tells of all.

    Raises:
        UserError: the architecture does not show them.
    """
    token = torch.ones(1, 1, dtype=torch.long, device=model.device)
    batch = {"input_ids": token, "attention_mask": token}
    with torch.no_grad(), torch.random.fork_rng():
        _, heads, _, size = forward(model, batch, Needs(**{kind: frozenset({1})})).layers(kind)[1].shape
    return heads * size


def average(outputs: Sequence[ModelOutputs]) -> ModelOutputs:
    """Return the mean of several models' logits on one batch, in float32; of one model all that it gave.

    The mean of logits is the geometric mean of class distributions. Inner outputs of different models have no basis in
    common, and no mean.
    """
    if len(outputs) == 1:
        return outputs[0]
    return ModelOutputs(torch.stack([one.logits.float() for one in outputs]).mean(0), outputs[0].attention_mask)
