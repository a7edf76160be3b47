"""A teacher that is known by its answers alone, which are columns of the data."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.models.heads import Head


@dataclass(frozen=True)
class ColumnTeacher:
    """Answers from elsewhere, such as a language model, a service or an ensemble, for each training example.

    Attributes:
        head: Turns the answers, as logits, into distributions or scores; the student's kind of head.
    """

    head: Head
