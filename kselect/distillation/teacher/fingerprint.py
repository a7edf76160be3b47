"""The key of a cache entry: a hash of everything that a teacher's outputs depend on."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch
import transformers
import xxhash
from numpy.typing import NDArray
from transformers import PreTrainedModel

from kselect.distillation.teacher.cache_index import FORMAT
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.words.encoding import EncodedWords

# Entries of a model's config that do not affect what it computes.
IGNORED_CONFIG = {
    "_name_or_path",
    "architectures",
    "dtype",
    "id2label",
    "label2id",
    "problem_type",
    "torch_dtype",
    "transformers_version",
}


def cache_key(models: Sequence[PreTrainedModel], dtype: torch.dtype, examples: EncodedSplit) -> str:
    """Return a hash of models and examples by content, independent of where they were loaded from.

    It covers the weights and config of each model, token ids, types and lengths in their order, positions of words,
    padding, `dtype`, and the kind of device, since kernels round differently. It also covers the version of
    transformers, whose code turns weights into outputs, but not that of torch, which, like the number of threads,
    changes only the last bits. Labels are not read by a model.

    Returns:
        32 hexadecimal digits.
    """
    digest = xxhash.xxh3_128()
    device = models[0].device.type
    facts = [FORMAT, transformers.__version__, str(dtype), device, examples.pad_token_id, examples.max_length]
    digest.update(json.dumps(facts).encode())
    for model in models:
        config = {name: value for name, value in model.config.to_dict().items() if name not in IGNORED_CONFIG}
        digest.update(json.dumps([type(model).__name__, config], sort_keys=True, default=str).encode())
        for name, tensor in model.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    words = examples.word_positions if isinstance(examples, EncodedWords) else None
    counts = np.empty(0, dtype=np.int32) if examples.word_counts is None else examples.word_counts
    texts = _concatenated(examples.input_ids), _concatenated(examples.token_type_ids)
    for ids in (examples.lengths, *texts, *((counts, _concatenated(words)) if words else ())):
        digest.update(f"{len(ids)} ".encode())
        digest.update(ids.data)
    return digest.hexdigest()


def _concatenated(sequences: list[NDArray[np.int32]] | None) -> NDArray[np.int32]:
    return np.concatenate(sequences) if sequences else np.empty(0, dtype=np.int32)
