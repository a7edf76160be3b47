"""What a teacher's outputs depend on, as one name."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch
import transformers
import xxhash
from numpy.typing import NDArray
from transformers import PreTrainedModel

from kselect.distillation.teacher.cache_entry import FORMAT
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.words.encoding import EncodedWords

# Of a model's config, what says nothing of what it computes.
UNREAD = {
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
    """Return 32 hexadecimal digits that stand for the content of models and examples, wherever they were loaded from.

    Part of it are the weights and the config of each model, token ids, types and lengths in their order, where words
    begin, the padding, `dtype`, and the kind of device, whose kernels round in their own way. So is the version of
    transformers, which holds the code that turns weights into outputs; that of torch is not, since it moves the last
    bits only, as the number of threads does. Labels are not read by a model.
    """
    digest = xxhash.xxh3_128()
    device = models[0].device.type
    facts = [FORMAT, transformers.__version__, str(dtype), device, examples.pad_token_id, examples.max_length]
    digest.update(json.dumps(facts).encode())
    for model in models:
        config = {name: value for name, value in model.config.to_dict().items() if name not in UNREAD}
        digest.update(json.dumps([type(model).__name__, config], sort_keys=True, default=str).encode())
        for name, tensor in model.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    words = examples.word_positions if isinstance(examples, EncodedWords) else None
    counts = np.empty(0, dtype=np.int32) if examples.word_counts is None else examples.word_counts
    texts = _joined(examples.input_ids), _joined(examples.token_type_ids)
    for ids in (examples.lengths, *texts, *((counts, _joined(words)) if words else ())):
        digest.update(f"{len(ids)} ".encode())
        digest.update(ids.data)
    return digest.hexdigest()


def _joined(sequences: list[NDArray[np.int32]] | None) -> NDArray[np.int32]:
    return np.concatenate(sequences) if sequences else np.empty(0, dtype=np.int32)
