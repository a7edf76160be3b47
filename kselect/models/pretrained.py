"""A pretrained model and its tokenizer, loaded with their pitfalls checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from kselect.errors import KselectError, first_line
from kselect.models.hub import source_settings
from kselect.models.label_names import declared_names
from kselect.models.paths import check_location

LOADING_ERRORS = (
    *(OSError, ValueError, RuntimeError, ImportError, SafetensorError, StrictDataclassError),
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError),
)
"""Errors with which transformers refuses a model or a tokenizer; the last ones for entries of the wrong type."""
SENTENCEPIECE_FILES = ("spm.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "tokenizer.model")

SENTENCEPIECE_PACKAGES = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
"""The packages that read these files, by their modules."""


def load_config(path: str | Path) -> PreTrainedConfig:
    """Load a model's config."""
    _read_config(path)
    source = source_settings(path)
    try:
        return AutoConfig.from_pretrained(path, trust_remote_code=False, **source)
    except LOADING_ERRORS as error:
        raise KselectError(f"Cannot load a model from {path}: {_reason(error)}") from error


def load_pretrained(
    path: str | Path, auto: Any = AutoModelForSequenceClassification, **overrides: Any
) -> tuple[PreTrainedModel, set[str]]:
    """Load a model in float32.

    Args:
        path: a folder or a hub id.
        auto: class of transformers that loads it.
        overrides: entries of its config that replace those of the checkpoint.

    Returns:
        The model, and the names of weights outside of its encoder that the checkpoint does not have.

    Raises:
        KselectError: no model there, one that runs its own code, is quantised or contradicts itself about its labels,
            one whose encoder is incomplete, or weights that are not finite.
    """
    settings = {**declared_names(_read_config(path), path), **source_settings(path), **overrides}
    try:
        with quiet():
            model, info = auto.from_pretrained(
                path,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are reported by name, here and by the callers
                dtype=torch.float32,
                trust_remote_code=False,
                **settings,
            )
    except LOADING_ERRORS as error:
        advice = "the folder is incomplete or damaged" if Path(path).is_dir() else "give a local folder if offline"
        raise KselectError(f"Cannot load a model from {path}, {advice}: {_reason(error)}") from error
    mismatched = {name for name, *_ in info["mismatched_keys"]}
    unfit = mismatched | set(info["missing_keys"])
    is_encoder = model.base_model is model
    inside = [name for name in unfit if is_encoder or name.startswith(f"{model.base_model_prefix}.")]
    random = sorted(name for name in inside if name in mismatched or "pooler" not in name)
    if random:
        raise KselectError(
            f"{path} is not a whole {model.config.model_type} encoder: {', '.join(random[:3])}, ... would be random. "
            "Give a folder that save_pretrained wrote."
        )
    # The sum is finite only if every weight is, and is faster than a test of each.
    damaged = [name for name, weights in model.named_parameters() if not math.isfinite(weights.detach().sum())]
    if damaged:
        raise KselectError(
            f"{path} has weights that are not finite ({', '.join(damaged[:3])}): its training diverged, or its files "
            "are damaged. Give another model."
        )
    return model, unfit.difference(inside) if is_encoder else unfit


def load_tokenizer(path: str | Path, model: PreTrainedModel) -> PreTrainedTokenizerBase:
    """Load the tokenizer saved with a model."""
    source = source_settings(path)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, **source)
    except Exception as error:  # tokenizers raises plain Exception for a damaged file
        raise KselectError(f"No tokenizer in {path}: {_tokenizer_advice(path, error)}") from error
    # Where its files are missing the library makes an empty tokenizer, to which every word is unknown.
    if len(tokenizer) < model.config.vocab_size // 2:
        raise KselectError(
            f"The tokenizer in {path} knows {len(tokenizer)} tokens, its model {model.config.vocab_size}: "
            f"put the model's own tokenizer files next to it."
        )
    embeddings = model.get_input_embeddings()
    size = int(embeddings.weight.size(0)) if isinstance(embeddings, torch.nn.Embedding) else model.config.vocab_size
    beyond = sorted(token for token, index in tokenizer.get_vocab().items() if index >= size)
    if beyond:
        raise KselectError(
            f"The tokenizer in {path} has {len(beyond)} tokens beyond the {size} that its model embeds "
            f"({', '.join(beyond[:3])}): resize the model's embeddings (resize_token_embeddings), train it and save it "
            "again, or remove those tokens."
        )
    return tokenizer


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the library's load report and progress bars; the checks here refuse what it would report."""
    verbosity, progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if progress:
            logging.enable_progress_bar()


def _read_config(path: str | Path) -> Mapping[str, Any]:
    """Return the entries of a model's config.json, without running or loading anything of the model."""
    check_location(path)
    source = source_settings(path)
    try:
        config, _ = PreTrainedConfig.get_config_dict(path, **source)
    except LOADING_ERRORS as error:
        raise KselectError(f"Cannot load a model from {path}: {_reason(error)}") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type", ""), str):
        raise KselectError(f"Cannot load a model from {path}: its config.json does not describe one.")
    if "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING:
        code = config["auto_map"]
        named = ", ".join(map(str, code.values() if isinstance(code, dict) else [code]))
        raise KselectError(
            f"{path} needs its own code, which is never run ({named}): give a model of an architecture that "
            "transformers has."
        )
    if quantization := config.get("quantization_config"):
        method = quantization.get("quant_method", "unknown method") if isinstance(quantization, dict) else quantization
        raise KselectError(f"{path} is quantised ({method}): give the checkpoint that it was made from.")
    return config


def _reason(error: Exception) -> str:
    """Return why transformers refuses a model: what is wrong with an entry of its config stands in a later line."""
    return " ".join(str(error).split()) if isinstance(error, StrictDataclassError) else first_line(error)


def _tokenizer_advice(path: str | Path, error: Exception) -> str:
    """Return what to do about a tokenizer that cannot be loaded."""
    pieces = next((name for name in SENTENCEPIECE_FILES if Path(path, name).is_file()), None)
    if pieces is not None or "sentencepiece" in str(error).lower():
        missing = [name for module, name in SENTENCEPIECE_PACKAGES.items() if find_spec(module) is None]
        if missing:
            return f"it is a SentencePiece model, which needs the packages {' and '.join(missing)}: install them."
        if pieces is not None:  # the library takes a damaged one for tiktoken's
            return f"its SentencePiece model, {pieces}, cannot be read: put the model's own file there."
    return f"{first_line(error)} Save it there with tokenizer.save_pretrained."
