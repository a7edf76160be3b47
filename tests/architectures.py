"""Tiny random classifiers of every architecture that is tested, over one vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    BertTokenizer,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    RobertaConfig,
    XLMRobertaConfig,
)

from kselect.models.classifier import Classifier, label_settings, quiet, seeded
from kselect.tasks.lexicon import vocabulary
from kselect.tasks.split import Split
from kselect.tasks.task import Task
from tests.tiny import tiny_task

# As RoBERTa and its kin have them: the padding is not the first.
SPECIAL_TOKENS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
VOCABULARY = {word: index for index, word in enumerate((*SPECIAL_TOKENS, *vocabulary()))}
POSITIONS = 40


def _distilbert(hidden_size: int, num_hidden_layers: int, num_attention_heads: int, **sizes: Any) -> DistilBertConfig:
    sizes["hidden_dim"] = sizes.pop("intermediate_size")
    return DistilBertConfig(dim=hidden_size, n_layers=num_hidden_layers, n_heads=num_attention_heads, **sizes)


CONFIGS: dict[str, Callable[..., PreTrainedConfig]] = {
    "bert": BertConfig,
    "roberta": RobertaConfig,
    "distilbert": _distilbert,
    "electra": lambda **sizes: ElectraConfig(embedding_size=8, **sizes),
    "albert": lambda **sizes: AlbertConfig(embedding_size=8, **sizes),
    "deberta-v2": lambda **sizes: DebertaV2Config(
        relative_attention=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0, **sizes
    ),
    "mpnet": MPNetConfig,
    "xlm-roberta": XLMRobertaConfig,
    "modernbert": lambda **sizes: ModernBertConfig(
        local_attention=8, cls_token_id=0, sep_token_id=2, bos_token_id=0, eos_token_id=2, **sizes
    ),
}
SHOWS_ATTENTION = tuple(name for name in CONFIGS if name not in ("deberta-v2", "mpnet"))


def tokenizer() -> PreTrainedTokenizerBase:
    return BertTokenizer(vocab=VOCABULARY, model_max_length=POSITIONS)


def classifier(
    architecture: str, task: Task, *, layers: int = 4, width: int = 16, heads: int = 2, seed: int = 0
) -> Classifier:
    config = CONFIGS[architecture](
        vocab_size=len(VOCABULARY),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=2 * width,
        max_position_embeddings=POSITIONS,
        pad_token_id=VOCABULARY["[PAD]"],
        **label_settings(task),
    )
    with seeded(seed), quiet():
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.3)  # as uneven as a trained model
    return Classifier(model, tokenizer())


def tiny_regression(train_limit: int = 80) -> Task:
    """How long a sentence is, as a score."""
    acceptability = tiny_task(train_limit=train_limit)
    splits = {
        name: Split(split.text_a, split.text_b, [len(text.split()) / 10 for text in split.text_a])
        for name, split in acceptability.splits.items()
    }
    return Task("length", (), splits, ("pearson",))
