"""A small encoder from scratch, for tasks that carry their own vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerBase

from kselect.errors import KselectError
from kselect.models.classifier import Classifier, count_parameters
from kselect.models.label_names import label_settings
from kselect.models.output_layer import centre
from kselect.tasks.task import Task


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from the seed inside, and leave the global stream as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def new_classifier(
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    layers: int = 4,
    hidden_size: int = 128,
    heads: int = 4,
    max_length: int = 128,
    seed: int = 0,
) -> Classifier:
    """Make a BERT classifier for `task` with random weights drawn from `seed`."""
    if hidden_size % heads:
        raise KselectError(f"hidden_size {hidden_size} is not a multiple of heads {heads}: change one of them.")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=max_length,
        pad_token_id=tokenizer.pad_token_id,
        # A narrow encoder on a small generated vocabulary: wider first weights, and no dropout, which would only
        # double the passes it needs.
        initializer_range=0.05,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **label_settings(task),
    )
    with seeded(seed):
        model = BertForSequenceClassification(config)
    centre(model, task)
    return Classifier(model, tokenizer, new_parameters=count_parameters(model))
