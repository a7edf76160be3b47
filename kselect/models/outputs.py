"""A forward pass that returns the outputs that are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from kselect.errors import KselectError
from kselect.models.architecture import check_readable, fused_attention, input_names
from kselect.models.attention import READABLE, reading
from kselect.models.heads import Answer, Classes, Head
from kselect.models.needs import KINDS, Needs


@dataclass(frozen=True)
class ModelOutputs:
    """Outputs of a model for a batch of B texts of at most n tokens.

    Shapes: output, the input of the head, is logits `[B, K]` or, for W words, `[B, W, K]`; without an output layer, the
    last hidden states of words, `[B, W, D]`. attention_mask is `[B, n]`, 1 on real tokens. By layer: hidden_states `[B,
    n, D]`, where layer 0 is the embeddings; attentions, probabilities before dropout, and attention_scores, logits of
    the softmax before the mask, `[B, H, n, n]`; queries, keys and values as they enter the attention (after rotary
    embeddings), `[B, H, n, d]`. word_mask is `[B, W]`, True on real words; None where whole texts are classified. head
    turns the output into an answer.
    """

    output: Tensor
    attention_mask: Tensor
    hidden_states: dict[int, Tensor] = field(default_factory=dict)
    attentions: dict[int, Tensor] = field(default_factory=dict)
    attention_scores: dict[int, Tensor] = field(default_factory=dict)
    queries: dict[int, Tensor] = field(default_factory=dict)
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    word_mask: Tensor | None = None
    head: Head = field(default_factory=Classes)

    @staticmethod
    def of(output: Tensor, batch: dict[str, Tensor], inner: Mapping[str, dict[int, Tensor]]) -> ModelOutputs:
        """Return the outputs for a batch; `inner` has those by layer, under their names in `Needs`.

        The output of padding words is set to 0, so that NaN or infinite values there have no effect.
        """
        layers: dict[str, Any] = {kind: inner.get(kind, {}) for kind in KINDS}
        words = batch.get("word_mask")
        output = output if words is None else torch.where(words[..., None], output, 0.0)
        return ModelOutputs(output, batch["attention_mask"], **layers, word_mask=words)

    @property
    def logits(self) -> Tensor:
        """The output, where the model has classes: `[B, K]`, of words `[B, W, K]`."""
        return self.output

    @cached_property
    def answer(self) -> Answer:
        """The answer that the head reads from the output."""
        answer: Answer = self.head(self.output, self.word_mask)
        return answer

    def under(self, head: Head) -> ModelOutputs:
        """Return the same outputs with another head."""
        return replace(self, head=head)

    def layers(self, kind: str) -> dict[int, Tensor]:
        """Return the outputs of `kind`, a name in `Needs`, by layer."""
        return getattr(self, kind)


def forward(model: PreTrainedModel, batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
    """Run `model` on `batch` and store the layers that `needs` names.

    Attention runs through the fused kernel in every layer whose matrices are not needed.
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
    output = getattr(outputs, "logits", None)
    if "word_positions" in batch:
        output = _at_words(outputs.last_hidden_state if output is None else output, batch["word_positions"])
    if output is None:
        raise KselectError(f"This {model.config.model_type} returns no logits: give another architecture.")
    if needs.hidden_states and getattr(outputs, "hidden_states", None) is None:
        raise KselectError(
            f"This {model.config.model_type} returns no hidden states: offer only kinds that read logits."
        )
    if any(outputs.hidden_states[layer].size(1) != batch["input_ids"].size(1) for layer in needs.hidden_states):
        raise KselectError(
            f"This {model.config.model_type} returns hidden states of fewer tokens than its input has: offer "
            f"only kinds that read logits."
        )
    layers = model.config.num_hidden_layers
    counted = inside.layers if needs.inside_attention else layers
    counted = len(outputs.hidden_states) - 1 if needs.hidden_states else counted
    if counted != layers:
        raise KselectError(
            f"This {model.config.model_type} returns {counted} layers where its config has {layers}, so layers "
            f"cannot be identified: offer only kinds that read logits."
        )
    stored = {**inside.stored, "hidden_states": {layer: outputs.hidden_states[layer] for layer in needs.hidden_states}}
    return ModelOutputs.of(output, batch, stored)


def _at_words(values: Tensor, positions: Tensor) -> Tensor:
    """Return the values at the first token of each word, `[B, W, ...]`, from `values [B, n, ...]`."""
    return values.gather(1, positions[..., None].expand(-1, -1, values.size(-1)))


def has_logits(model: PreTrainedModel) -> bool:
    """Whether the model has an output layer, in contrast to a bare encoder."""
    return model.base_model is not model


def projection_width(model: PreTrainedModel, kind: str) -> int:
    """Return the total width of the queries, keys or values (`kind`) of all heads, measured on one token."""
    token = torch.ones(1, 1, dtype=torch.long, device=model.device)
    batch = {"input_ids": token, "attention_mask": token}
    if not has_logits(model):  # an encoder of words is read at their first tokens
        batch["word_positions"] = torch.zeros_like(token)
    with torch.no_grad(), torch.random.fork_rng():
        _, heads, _, size = forward(model, batch, Needs(**{kind: frozenset({1})})).layers(kind)[1].shape
    return heads * size


def average(outputs: Sequence[ModelOutputs]) -> ModelOutputs:
    """Return the mean of several models' logits on one batch, in float32; for a single model, all of its outputs.

    The mean of logits is the geometric mean of class distributions. Inner outputs of different models have no common
    basis, so they are not averaged.
    """
    if len(outputs) == 1:
        return outputs[0]
    mean = torch.stack([output.output.float() for output in outputs]).mean(0)
    return ModelOutputs(mean, outputs[0].attention_mask, word_mask=outputs[0].word_mask)
