"""Tiny tasks of words, and models for them, over a vocabulary of letters."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModel,
    AutoModelForTokenClassification,
    BertTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
)

from kselect.models.classifier import Classifier
from kselect.models.heads.registry import TOKEN_CLASSIFIERS, heads_of, new_head, output_labels
from kselect.models.pretrained import quiet
from kselect.models.scratch import seeded
from kselect.tasks.words import Origin, ParsedSentence, TaggedSentence, TagSet
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.sentence import WordSplit
from kselect.tasks.words.tagging_task import TaggingTask, WordTask
from tests.architectures import CONFIGS, USUAL

WORDS = ("ab", "cd", "efg", "h", "abcd", "ghh", "b", "ef")
SPECIAL = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
LETTERS = "abcdefgh"
VOCABULARY = {token: i for i, token in enumerate((*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)))}
POSITIONS = 24
ARCHITECTURES = tuple(name for name in USUAL if name != "mobilebert")
ORIGIN = Origin("made")


def tokenizer() -> PreTrainedTokenizerBase:
    """A token for each letter, so that most words are of several."""
    return BertTokenizer(vocab=VOCABULARY, model_max_length=POSITIONS)


def byte_tokenizer(**settings: Any) -> PreTrainedTokenizerBase:
    """RoBERTa's kind, in which a space belongs to the word behind it; merges make it one token with its letter."""
    merges: Any = [("Ġ", letter) for letter in LETTERS]
    alphabet = [*"<>/", *LETTERS, "Ġ", *(f"Ġ{letter}" for letter in LETTERS)]
    vocabulary = {token: i for i, token in enumerate(("<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet))}
    return RobertaTokenizer(vocab=vocabulary, merges=merges, model_max_length=POSITIONS, **settings)


def unigram_tokenizer() -> PreTrainedTokenizerBase:
    """XLM-R's kind, which puts the space before words by itself."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    pieces += [(letter, -2.0) for letter in LETTERS] + [(f"▁{letter}", -2.0) for letter in LETTERS]
    inner = Tokenizer(models.Unigram(pieces, unk_id=3))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=POSITIONS, **names)


def tagged(rng: np.random.Generator, words: int) -> TaggedSentence:
    """A span of two words begins at "abcd", and "ghh" is one."""
    text, tags = [str(rng.choice(WORDS)) for _ in range(words)], ["O"] * words
    for i, word in enumerate(text):
        if tags[i] != "O":
            continue
        if word == "ghh":
            tags[i] = "S-Y"
        elif word == "abcd" and i + 1 < words:
            tags[i], tags[i + 1] = "B-X", "E-X"
    return TaggedSentence(tuple(text), tuple(tags), ORIGIN)


def parsed(rng: np.random.Generator, words: int) -> ParsedSentence:
    """The first word is the root; others hang from it or from the word before."""
    text = tuple(str(rng.choice(WORDS)) for _ in range(words))
    heads = tuple(0 if i == 0 else 1 if "h" in word else i for i, word in enumerate(text))
    relations = tuple("root" if i == 0 else "nmod:poss" if "h" in word else "a_b" for i, word in enumerate(text))
    return ParsedSentence(text, ("X",) * words, heads, relations, ORIGIN)


def sizes(rng: np.random.Generator, count: int) -> Iterable[int]:
    return [int(n) for n in rng.integers(1, 6, size=count)]


@cache
def tagging_task(train: int = 24) -> TaggingTask:
    rng = np.random.default_rng(0)
    drawn = {"train": train, "reward": 8, "dev": 8}
    splits = {name: WordSplit([tagged(rng, n) for n in sizes(rng, count)]) for name, count in drawn.items()}
    tags = TagSet("bioes", ("X", "Y"))
    return TaggingTask("tags", tags.tags, splits, ("f1",), tags, "iob2")


@cache
def parsing_task(train: int = 24) -> ParsingTask:
    rng = np.random.default_rng(1)
    drawn = {"train": train, "reward": 8, "dev": 8}
    splits = {name: WordSplit([parsed(rng, n) for n in sizes(rng, count)]) for name, count in drawn.items()}
    return ParsingTask("trees", ("a_b", "nmod:poss", "root"), splits, ("las",))


def task_for(head: str) -> WordTask[Any]:
    return tagging_task() if head in heads_of(tagging_task()) else parsing_task()


def word_classifier(
    head: str, architecture: str = "bert", *, layers: int = 2, seed: int = 0, dropout: float = 0.0
) -> Classifier:
    """A model as uneven as a trained one; what its head learns is random too."""
    task = task_for(head)
    labels = output_labels(head, task)
    named = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    config = CONFIGS[architecture](
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=POSITIONS + 2,
        pad_token_id=VOCABULARY["[PAD]"],
        **(named if head in TOKEN_CLASSIFIERS else {}),
    )
    auto = AutoModelForTokenClassification if head in TOKEN_CLASSIFIERS else AutoModel
    with seeded(seed), quiet():
        model = auto.from_config(config, dtype=torch.float32)
        made = new_head(head, task, 16, labels, SIZES.get(head))
        with torch.no_grad():
            for module, deviation in ((model, 0.3), (made, 0.5)):
                for parameter in module.parameters():
                    if parameter.ndim >= 2 or module is made:
                        parameter.normal_(std=deviation)
    for module in (*model.modules(), *made.modules()):
        if isinstance(module, torch.nn.Dropout) or type(module).__name__ == "StableDropout":
            module.p = dropout
    return Classifier(model.eval(), tokenizer(), made.eval(), task.labels)


SIZES = {
    "spans": {"size": 6},
    "parser": {"arc_size": 6, "relation_size": 5},
    "second-order-parser": {"arc_size": 6, "relation_size": 5, "rank": 3},
}
