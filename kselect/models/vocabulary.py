"""A model without the tokens that its texts do not use: fewer embeddings, and the same outputs for what remains."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.pretrained import quiet
from kselect.tasks.task import Task

CONTINUED = "##"
FILE = "tokenizer.json"
WHOLE = 10**6  # tokens, so that no text is cut


def prune_vocabulary(classifier: Classifier, used: Iterable[int]) -> Classifier:
    """Return a copy with the tokens `used`, the special ones and those of single characters, renumbered in order.

    WordPiece takes the longest token that fits at each position, so a word all of whose tokens remain is divided as
    before, and its outputs are equal. A word of other tokens is divided into shorter ones.

    Args:
        classifier: a model with a WordPiece tokenizer, such as BERT's; it is left as it is.
        used: ids of tokens.

    Raises:
        KselectError: a tokenizer of another kind, or a model whose embeddings are not one table.
    """
    tokenizer = classifier.tokenizer
    description = _description(tokenizer)
    vocabulary: dict[str, int] = description["model"]["vocab"]
    added = {token["id"] for token in description.get("added_tokens", [])}
    single = {index for token, index in vocabulary.items() if len(token.removeprefix(CONTINUED)) == 1}
    kept = sorted({*used, *added, *single, *tokenizer.all_special_ids})
    new_ids = {old: new for new, old in enumerate(kept)}
    model = copy.deepcopy(classifier.model)
    _keep_embeddings(model, kept, new_ids)
    return Classifier(
        model,
        _renumbered(tokenizer, description, new_ids),
        copy.deepcopy(classifier.head),
        classifier.labels,
        training_texts=classifier.training_texts,
    )


def used_tokens(task: Task[Any], tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the ids of the tokens in all texts of a task but those for reporting: train, reward and further texts."""
    splits = [split for name, split in task.splits.items() if name not in task.reported]
    encoded = (task.encode(split, tokenizer, WHOLE) for split in splits)
    return {int(token) for split in encoded for ids in split.input_ids for token in np.unique(ids)}


def _description(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return what tokenizer.json says, of a WordPiece tokenizer."""
    description = json.loads(tokenizer.backend_tokenizer.to_str()) if tokenizer.is_fast else {"model": {}}
    model = description["model"]
    if model.get("type") != "WordPiece" or model.get("continuing_subword_prefix") != CONTINUED:
        raise KselectError(
            f"prune_vocabulary takes WordPiece tokenizers, such as BERT's, and this is a {type(tokenizer).__name__} "
            f"({model.get('type', 'in Python')}): leave it out.",
            setting="prune_vocabulary",
        )
    return description


def _keep_embeddings(model: PreTrainedModel, kept: list[int], new_ids: dict[int, int]) -> None:
    """Keep the rows `kept` of the embeddings, and give the config the new ids of its tokens."""
    table = model.get_input_embeddings()
    if not isinstance(table, nn.Embedding):
        raise KselectError(
            f"The embeddings of {model.config.model_type} are not one table: leave prune_vocabulary out.",
            setting="prune_vocabulary",
        )
    padding = None if table.padding_idx is None else new_ids.get(table.padding_idx)
    smaller = nn.Embedding(len(kept), table.embedding_dim, padding, dtype=table.weight.dtype)
    with torch.no_grad():
        smaller.weight.copy_(table.weight[kept])
    model.set_input_embeddings(smaller.to(table.weight.device))
    model.config.vocab_size = len(kept)
    for name, value in model.config.to_dict().items():
        if name.endswith("_token_id") and isinstance(value, int):
            setattr(model.config, name, new_ids.get(value))


def _renumbered(
    tokenizer: PreTrainedTokenizerBase, description: dict[str, Any], new_ids: dict[int, int]
) -> PreTrainedTokenizerBase:
    """Return the tokenizer with the tokens that have new ids."""
    vocabulary = description["model"]["vocab"]
    description["model"]["vocab"] = {token: new_ids[old] for token, old in vocabulary.items() if old in new_ids}
    for token in description.get("added_tokens", []):
        token["id"] = new_ids[token["id"]]
    _renumber_special(description.get("post_processor"), new_ids)
    with tempfile.TemporaryDirectory() as folder, quiet():
        tokenizer.save_pretrained(folder)
        Path(folder, "vocab.txt").unlink(missing_ok=True)  # the old one
        Path(folder, FILE).write_text(json.dumps(description), encoding="utf-8")
        return AutoTokenizer.from_pretrained(folder)


def _renumber_special(part: Any, new_ids: dict[int, int]) -> None:
    """Renumber the special tokens around texts: `ids` of a template, or pairs of token and id."""
    if isinstance(part, list):
        for each in part:
            _renumber_special(each, new_ids)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name == "ids":
                part[name] = [new_ids[old] for old in value]
            elif name in ("cls", "sep") and isinstance(value, list):
                part[name] = [value[0], new_ids[value[1]]]
            else:
                _renumber_special(value, new_ids)
