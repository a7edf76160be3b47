"""Checkpoints with the files of SentencePiece alone, as many on the Hub have them: trained, distilled, saved."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    AlbertConfig,
    AlbertModel,
    DebertaV2Config,
    DebertaV2Model,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.errors import KselectError
from kselect.models.loading import load_classifier, load_encoder
from kselect.models.shrink import shrink
from tests.tiny import tiny_task

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 66,
}
PIECES = 60
ROOM = 70  # tokenizers add special tokens to the pieces
CHECKPOINTS: dict[str, tuple[str, PreTrainedModel, dict[str, Any]]] = {
    "deberta-v2": (
        "spm.model",
        DebertaV2Model(DebertaV2Config(vocab_size=ROOM, relative_attention=True, pos_att_type="p2c|c2p", **SIZES)),
        {"do_lower_case": False, "vocab_type": "spm"},
    ),
    "xlm-roberta": ("sentencepiece.bpe.model", XLMRobertaModel(XLMRobertaConfig(vocab_size=ROOM, **SIZES)), {}),
    "albert": ("spiece.model", AlbertModel(AlbertConfig(vocab_size=ROOM, embedding_size=8, **SIZES)), {}),
}
SPECIAL: dict[str, dict[str, Any]] = {
    "deberta-v2": {
        "pad_id": 0,
        "bos_id": 1,
        "eos_id": 2,
        "unk_id": 3,
        "pad_piece": "[PAD]",
        "bos_piece": "[CLS]",
        "eos_piece": "[SEP]",
        "unk_piece": "[UNK]",
    },
    "xlm-roberta": {},
    "albert": {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]},
}


def train_pieces(kind: str, texts: Iterable[str], prefix: Path) -> Path:
    """Train pieces on texts, with the special tokens of a kind of model."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="the package sentencepiece is not installed")
    settings = {"vocab_size": PIECES, "hard_vocab_limit": False, "minloglevel": 2, **SPECIAL[kind]}
    trainer = sentencepiece.SentencePieceTrainer
    trainer.train(sentence_iterator=iter(texts), model_prefix=str(prefix), **settings)
    return prefix.with_suffix(".model")


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_checkpoint_of_sentencepiece_is_trained_and_distilled(kind: str, tmp_path: Path) -> None:
    name, encoder, settings = CHECKPOINTS[kind]
    encoder.save_pretrained(tmp_path / "encoder")
    pieces = train_pieces(kind, tiny_task().splits["train"].text_a, tmp_path / "pieces")
    pieces.rename(tmp_path / "encoder" / name)
    (tmp_path / "encoder" / "tokenizer_config.json").write_text(json.dumps(settings))
    task, training = tiny_task(), TrainingConfig(batch_size=8, epochs=1, precision="fp32")
    teacher = load_encoder(tmp_path / "encoder", task)
    text = task.splits["train"].text_a[0]
    ids = teacher.tokenizer(text)["input_ids"]
    assert teacher.tokenizer.unk_token_id not in ids
    assert str(teacher.tokenizer.decode(ids, skip_special_tokens=True)).strip() == text
    Distiller(task, None, teacher, training).advance([1.0], 2)
    teacher.save_pretrained(tmp_path / "teacher")
    loaded = load_classifier(tmp_path / "teacher", task)
    assert loaded.tokenizer(text)["input_ids"] == ids
    offered = KnowledgeConfig(knowledge=["gold", "logits"])
    distiller = Distiller(task, loaded, shrink(loaded, 1), training, offered)
    assert set(distiller.advance([1.0, 1.0], 1).losses) == {"gold", "logits"}


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x0a" * 40])
def test_damaged_pieces_are_refused_without_advice_to_install_what_is_there(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece", reason="the package sentencepiece is not installed")
    name, encoder, settings = CHECKPOINTS["deberta-v2"]
    encoder.save_pretrained(tmp_path)
    (tmp_path / name).write_bytes(content)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(KselectError, match=r"spm\.model, cannot be read: put the model's own file there\.$"):
        load_encoder(tmp_path, tiny_task())
