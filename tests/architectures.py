"""Tiny random classifiers of every architecture that is tested, over one vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BartConfig,
    BertConfig,
    BertTokenizer,
    CamembertConfig,
    ConvBertConfig,
    Data2VecTextConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ErnieConfig,
    EsmConfig,
    EuroBertConfig,
    IBertConfig,
    LongformerConfig,
    MegatronBertConfig,
    MobileBertConfig,
    ModernBertConfig,
    MPNetConfig,
    NomicBertConfig,
    NystromformerConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Qwen3Config,
    RobertaConfig,
    RoFormerConfig,
    SqueezeBertConfig,
    XLMConfig,
    XLMRobertaConfig,
    XLMRobertaXLConfig,
    XLNetConfig,
)

from kselect.models.classifier import Classifier
from kselect.models.label_names import label_settings
from kselect.models.pretrained import quiet
from kselect.models.scratch import seeded
from kselect.tasks.splits import Split
from kselect.tasks.synthetic.lexicon import vocabulary
from kselect.tasks.task import Task, TextTask
from tests.tiny import tiny_task

# As RoBERTa and its kin have them: the padding is not the first.
SPECIAL_TOKENS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
VOCABULARY = {word: index for index, word in enumerate((*SPECIAL_TOKENS, *vocabulary()))}
POSITIONS = 40


def _distilbert(hidden_size: int, num_hidden_layers: int, num_attention_heads: int, **sizes: Any) -> DistilBertConfig:
    sizes["hidden_dim"] = sizes.pop("intermediate_size")
    return DistilBertConfig(dim=hidden_size, n_layers=num_hidden_layers, n_heads=num_attention_heads, **sizes)


SPECIAL_IDS: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 2}
USUAL: dict[str, Callable[..., PreTrainedConfig]] = {
    "bert": BertConfig,
    "roberta": RobertaConfig,
    "distilbert": _distilbert,
    "electra": lambda **sizes: ElectraConfig(embedding_size=8, **sizes),
    "albert": lambda **sizes: AlbertConfig(embedding_size=8, **sizes),
    "deberta-v2": lambda **sizes: DebertaV2Config(
        relative_attention=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0, **sizes
    ),
    "mobilebert": lambda hidden_size, **sizes: MobileBertConfig(
        hidden_size=hidden_size, embedding_size=8, intra_bottleneck_size=hidden_size // 2, **sizes
    ),
    "mpnet": MPNetConfig,
    "xlm-roberta": XLMRobertaConfig,
    "modernbert": lambda **sizes: ModernBertConfig(
        local_attention=8, cls_token_id=0, sep_token_id=2, bos_token_id=0, eos_token_id=2, **sizes
    ),
}
FURTHER: dict[str, Callable[..., PreTrainedConfig]] = {
    "camembert": CamembertConfig,
    "data2vec-text": lambda **sizes: Data2VecTextConfig(**SPECIAL_IDS, **sizes),
    "ernie": ErnieConfig,
    "eurobert": lambda **sizes: EuroBertConfig(mask_token_id=4, **SPECIAL_IDS, **sizes),
    "i-bert": IBertConfig,
    "megatron-bert": MegatronBertConfig,
    "nomic-bert": NomicBertConfig,
    "qwen3": lambda **sizes: Qwen3Config(num_key_value_heads=1, head_dim=8, **SPECIAL_IDS, **sizes),
    "roformer": lambda **sizes: RoFormerConfig(embedding_size=8, **sizes),
    "squeezebert": lambda hidden_size, **sizes: SqueezeBertConfig(
        hidden_size=hidden_size, embedding_size=hidden_size, q_groups=2, k_groups=2, v_groups=2, **sizes
    ),
    "xlm-roberta-xl": XLMRobertaXLConfig,
}
CONFIGS = {**USUAL, **FURTHER}
HIDES_ATTENTION = (
    *("deberta-v2", "mpnet"),
    *("i-bert", "megatron-bert", "roformer", "squeezebert"),
)
SHOWS_ATTENTION = tuple(name for name in CONFIGS if name not in HIDES_ATTENTION)


def tokenizer() -> PreTrainedTokenizerBase:
    return BertTokenizer(vocab=VOCABULARY, model_max_length=POSITIONS)


def _made(config: PreTrainedConfig) -> Classifier:
    with seeded(0), quiet():
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    return Classifier(model, tokenizer())


def _common(task: Task) -> dict[str, Any]:
    return {"pad_token_id": VOCABULARY["[PAD]"], **label_settings(task)}


def _sizes(task: Task) -> dict[str, Any]:
    return {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": POSITIONS,
        **_common(task),
    }


# Architectures whose config tells less than others' do, or of which something is refused.
UNTOLD: dict[str, Callable[[Task], Classifier]] = {
    "xlm": lambda task: _made(
        XLMConfig(vocab_size=len(VOCABULARY), emb_dim=16, n_layers=2, n_heads=2, **_common(task))
    ),
    "bart": lambda task: _made(
        BartConfig(
            vocab_size=len(VOCABULARY),
            d_model=16,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            eos_token_id=VOCABULARY["[SEP]"],
            bos_token_id=VOCABULARY["[CLS]"],
            **_common(task),
        )
    ),
    "xlnet": lambda task: _made(
        XLNetConfig(vocab_size=len(VOCABULARY), d_model=16, n_layer=2, n_head=2, d_inner=32, **_common(task))
    ),
    "esm": lambda task: _made(EsmConfig(**_sizes(task))),
    "convbert": lambda task: _made(ConvBertConfig(embedding_size=8, head_ratio=1, conv_kernel_size=3, **_sizes(task))),
    "nystromformer": lambda task: _made(
        NystromformerConfig(num_landmarks=POSITIONS, segment_means_seq_len=POSITIONS, **_sizes(task))
    ),
    "longformer": lambda task: _made(LongformerConfig(attention_window=8, **_sizes(task))),
}


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
            for module in model.modules():
                if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
                    module.weight[module.padding_idx] = 0  # untrained: MobileBERT's last token reads it
    return Classifier(model, tokenizer())


def tiny_regression(train_limit: int = 80) -> Task:
    """How long a sentence is, as a score."""
    acceptability = tiny_task(train_limit=train_limit)
    splits = {
        name: Split(split.text_a, split.text_b, [len(text.split()) / 10 for text in split.text_a])
        for name, split in acceptability.splits.items()
    }
    return TextTask("length", (), splits, ("pearson",))
