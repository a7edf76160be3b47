"""How long an input may be."""

from __future__ import annotations

from kselect.errors import UserError
from kselect.models.architecture import positions
from kselect.models.classifier import Classifier

DEFAULT_LENGTH = 128
LONGEST = 512  # where neither task nor model sets a limit


def input_length(classifier: Classifier, max_length: int | None, usual: int | None = DEFAULT_LENGTH) -> int:
    """Return how many tokens an input may have: `max_length` or, unless given, `usual` or what the model takes if less.

    Raises:
        UserError: `max_length` is more than the model has positions for.
    """
    available = positions(classifier.model)
    if max_length is None:
        return min(length for length in (usual, available, LONGEST) if length is not None)
    if available is not None and max_length > available:
        raise UserError(f"max_length is {max_length}, the model takes {available} tokens: lower max_length to that.")
    return max_length
