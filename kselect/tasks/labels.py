"""Label names as files write them: their order, spellings of one label, and marks of missing labels."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from decimal import Decimal

from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.tasks.table import Table

FEW_LABELS = 20
"""Up to this number of labels are plausible however few the rows."""
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
"""Soft hyphens, zero-width characters and byte-order marks."""
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
BOOLEANS = {"false": "0", "true": "1"}
MISSING = frozenset(
    ("-", "--", "?", ".", "_", "na", "n/a", "nan", "none", "null", "nil", "<na>", "missing", "unlabeled")
)
"""Usual marks of a missing label, in lower case."""


def visible(name: str) -> str:
    """Return a name without the spaces around it and without invisible characters."""
    return INVISIBLE.sub("", name).strip()


def spelling(name: str, ignore_case: bool = True) -> Hashable:
    """Return a key that is the same for spellings of one label.

    They differ in spaces, invisible characters, Unicode form, case or the way of writing a number or a truth value.

    >>> spelling("Pos ") == spelling("pos"), spelling("01") == spelling("1.0") == spelling("true")
    (True, True)
    """
    text = " ".join(unicodedata.normalize("NFC", INVISIBLE.sub("", name)).split())
    text = text.casefold() if ignore_case else text
    text = BOOLEANS.get(text, text)
    return Decimal(text) if NUMBER.fullmatch(text) else text


def first_variants(names: Iterable[str], key: Callable[[str], Hashable] = spelling) -> tuple[int, str, str] | None:
    """Return the first name that is another spelling of one before it: its index, itself, and the one before it."""
    first: dict[Hashable, str] = {}
    known: set[str] = set()
    for index, name in enumerate(names):
        if name in known:
            continue
        known.add(name)
        other = first.setdefault(key(name), name)
        if other != name:
            return index, name, other
    return None


def find_labels(table: Table, column: str) -> list[str]:
    """Return the labels in a column: those that the table declares, or else those it has, sorted."""
    names = table.names(column)
    if declared := table.class_names.get(column):
        labels = list(declared)
    else:
        _check_spellings(table, names)
        labels = _sorted(names)
    if len(labels) < 2:
        raise KselectError(f"{table.source} has one label only, {labels[0]}: give labels, or regression for scores.")
    if len(labels) > max(FEW_LABELS, len(table) / 2):
        raise KselectError(
            f"'{column}' of {table.source} has {len(labels)} different labels in {len(table)} rows: "
            "give regression if they are scores, or another label_column."
        )
    if _are_decimals(labels):
        raise KselectError(
            f"'{column}' of {table.source} holds decimals ({', '.join(labels[:3])}, ...): "
            "give regression if they are scores, or labels if they are names."
        )
    _warn_of_missing(table, names, labels)
    return labels


def _check_spellings(table: Table, names: Sequence[str]) -> None:
    if variants := first_variants(names):
        row, name, other = variants
        raise KselectError(
            f"{table.place(row)} has the label {name!r}, a row above it {other!r}: write them alike or, if they "
            "differ, give both as labels.",
            setting="labels",
        )


def _warn_of_missing(table: Table, names: Sequence[str], labels: Sequence[str]) -> None:
    """Warn of labels that look like marks of a missing one, with the number of rows that each label has."""
    marks = [label for label in labels if label.casefold() in MISSING]
    if set(labels) == {"-1", *map(str, range(len(labels) - 1))} and len(labels) > 2:
        marks.append("-1")
    if marks:
        counts = Counter(names)
        get_logger().warning(
            "%s has the labels %s: if '%s' marks a missing label, remove those rows.",
            table.source,
            ", ".join(f"{label} ({counts[label]} rows)" for label in labels),
            "', '".join(marks),
        )


def _are_decimals(labels: Sequence[str]) -> bool:
    """Whether all labels are numbers, and not all of them whole."""
    try:
        return not all(float(label).is_integer() for label in labels if label.casefold() not in MISSING)
    except ValueError:
        return False


def _sorted(names: Sequence[str]) -> list[str]:
    """Sort labels as numbers where all of them are, as texts otherwise."""
    distinct = sorted(set(names))
    try:
        return sorted(distinct, key=int)
    except ValueError:
        return distinct
