"""A pretrained model and its tokenizer, loaded with their pitfalls checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from kselect.errors import KselectError
from kselect.models.hub import source_settings
from kselect.models.paths import check_location


def load_pretrained(
    path: str | Path, auto: Any = AutoModelForSequenceClassification, **settings: Any
) -> tuple[PreTrainedModel, set[str]]:
    """Load a model whose encoder is whole; with it the names of other weights that the checkpoint does not fill."""
    check_location(path)
    source = source_settings(path)
    try:
        with quiet():
            model, info = auto.from_pretrained(
                path,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told by name, here and by those who load
                dtype=torch.float32,
                **source,
                **settings,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        where = "that folder is not whole" if Path(path).is_dir() else "give a local folder where no hub is reached"
        raise KselectError(f"Cannot load a model from {path}, {where}: {_first_line(error)}") from error
    mismatched = {name for name, *_ in info["mismatched_keys"]}
    unfit = mismatched | set(info["missing_keys"])
    whole = model.base_model is model
    inside = [name for name in unfit if whole or name.startswith(f"{model.base_model_prefix}.")]
    encoder = sorted(name for name in inside if name in mismatched or "pooler" not in name)
    if encoder:
        raise KselectError(
            f"{path} is no whole {model.config.model_type} encoder: {', '.join(encoder[:3])}, ... would be random. "
            f"Give a folder that save_pretrained wrote."
        )
    return model, unfit.difference(inside) if whole else unfit


def load_tokenizer(path: str | Path, model: PreTrainedModel) -> PreTrainedTokenizerBase:
    """Load the tokenizer that lies beside a model.

    Raises:
        KselectError: there is none, or it is not the model's.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **source_settings(path))
    except (OSError, ValueError) as error:
        raise KselectError(
            f"No tokenizer in {path}: {_first_line(error)} Save it there with tokenizer.save_pretrained."
        ) from error
    # Where its files are missing the library makes an empty tokenizer, to which every word is unknown.
    if len(tokenizer) < model.config.vocab_size // 2:
        raise KselectError(
            f"The tokenizer in {path} knows {len(tokenizer)} tokens, its model {model.config.vocab_size}: "
            f"put the model's own tokenizer files beside it."
        )
    return tokenizer


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the library's own load report and shard progress; what they would tell, the checks here refuse."""
    verbosity, progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if progress:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
