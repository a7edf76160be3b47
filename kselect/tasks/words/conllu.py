"""Treebanks: dependency trees in CoNLL-U files (https://universaldependencies.org/format.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from conllu.exceptions import ParseException
from conllu.parser import parse_comment_line, parse_id_value, parse_int_value

from kselect.errors import KselectError
from kselect.tasks.labels import visible
from kselect.tasks.readers import read_marked
from kselect.tasks.words.sentence import Origin, ParsedSentence

ROOT_RELATION = "root"
"""Relation of the root's child in UD, and of no other word."""


class TreeError(NamedTuple):
    """Why heads are not a tree.

    Attributes:
        word: position of the word at fault, from 0.
        message: the rest of a sentence that begins with that word's place.
    """

    word: int
    message: str


def find_tree_error(heads: Sequence[int]) -> TreeError | None:
    """Return why n heads are not a tree with one root, as UD requires; None if they are."""
    n = len(heads)
    for i, head in enumerate(heads):
        if not 0 <= head <= n:
            return TreeError(i, f"has the head {head}, and the sentence {n} word{'s' * (n != 1)}")
    roots = [i for i, head in enumerate(heads) if head == 0]
    if len(roots) > 1:
        return TreeError(roots[1], f"is a second root after word {roots[0] + 1}")
    if not roots:
        return TreeError(0, "begins a sentence without a root: no word has the head 0")
    reaches_root = [False] * n
    for start in range(n):
        path: list[int] = []
        i = start
        while i >= 0 and not reaches_root[i]:
            if i in path:
                cycle = path[path.index(i) :]
                words = ", ".join(str(k + 1) for k in sorted(cycle))
                return TreeError(min(cycle), f"is in a cycle of heads: word{'s' * (len(cycle) > 1)} {words}")
            path.append(i)
            i = heads[i] - 1
        for k in path:
            reaches_root[k] = True
    return None


def is_projective(heads: Sequence[int]) -> bool:
    """Whether no two arcs of a tree cross, counting the one from the root, left of the first word."""
    arcs = [(min(head, i), max(head, i)) for i, head in enumerate(heads, start=1)]
    return not any(a < c < b < d for a, b in arcs for c, d in arcs)


COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
ID, FORM, UPOS, HEAD, DEPREL = (COLUMNS.index(name) for name in ("ID", "FORM", "UPOS", "HEAD", "DEPREL"))


def universal(relation: str) -> str:
    """Return the part of a relation that all languages share, before the colon."""
    return relation.partition(":")[0]


@dataclass(frozen=True)
class Treebank:
    """A file as it was read, into which predictions can be written."""

    source: str
    lines: tuple[str, ...]
    sentences: tuple[ParsedSentence, ...]
    mark: str = ""

    def text(
        self,
        heads: Sequence[Sequence[int]] | None = None,
        relations: Sequence[Sequence[str]] | None = None,
        upos: Sequence[Sequence[str]] | None = None,
    ) -> str:
        """Return the file's text with other trees or parts of speech, and all else as it was.

        The enhanced graph in DEPS stays, too, and so describes the old tree.
        """
        lines = list(self.lines)
        for column, written in ((HEAD, heads), (DEPREL, relations), (UPOS, upos)):
            for sentence, values in zip(self.sentences, written, strict=True) if written is not None else ():
                for number, value in zip(sentence.origin.lines, values, strict=True):
                    cells = lines[number - 1].split("\t")
                    cells[column] = str(value)
                    lines[number - 1] = "\t".join(cells)
        return self.mark + "\n".join(lines)


def read_treebank(path: str | Path, *, universal_relations: bool = False, trees: bool = True) -> Treebank:
    """Read a CoNLL-U file; trees may be non-projective, and sentences without words are left out.

    The words are the syntactic ones: multiword tokens ("3-4") and empty nodes ("5.1") are not among them. Fields are
    read without the blanks around them and without invisible characters.

    Args:
        path: the file.
        universal_relations: cut relations down to the part before the colon.
        trees: False for a file to predict, whose heads and relations are not read.

    Raises:
        KselectError: a file that is missing, without words or not UTF-8; and, by line and sentence, another number of
            columns than ten, ids that do not count the words, an empty form, part of speech or relation, and heads that
            are no tree with one root.
    """
    mark, text = read_marked(Path(path).expanduser())
    source, lines = str(path), tuple(text.split("\n"))
    sentences: list[ParsedSentence] = []
    rows: list[tuple[int, list[str]]] = []
    name: str | None = None
    for number, line in enumerate((*lines, ""), start=1):
        if line.startswith("#"):
            name = dict(parse_comment_line(line)).get("sent_id", name)
        elif line.strip():
            place = _place(source, number, name)
            cells = line.removesuffix("\r").split("\t")
            if len(cells) != len(COLUMNS):
                raise KselectError(
                    f"{place} has {len(cells)} column{'s' * (len(cells) != 1)}, expected ten separated by tabs: "
                    "fix or remove that line."
                )
            for column in (ID, UPOS, HEAD, DEPREL):
                cells[column] = visible(cells[column])
            if _is_word(place, cells, len(rows) + 1):
                rows.append((number, cells))
        else:
            if rows:
                sentences.append(_sentence(source, name, rows, universal_relations, trees))
            rows, name = [], None
    if not sentences:
        raise KselectError(f"{source} holds no sentences: fill it, or give another.")
    return Treebank(source, lines, tuple(sentences), mark)


def _place(source: str, number: int, name: str | None) -> str:
    return Origin(source, (number,), name=name).place()


def _is_word(place: str, cells: list[str], expected: int) -> bool:
    """Whether a row is a word rather than a multiword token or an empty node; refuse a word out of turn."""
    try:
        id = parse_id_value(cells[ID])
    except (ParseException, ValueError):  # of an int, one of thousands of digits
        id = None
    if isinstance(id, tuple):
        return False
    if id != expected:
        raise KselectError(f"{place} has the id '{_shorten(cells[ID])}', expected {expected}: number the words from 1.")
    return True


def _sentence(
    source: str, name: str | None, rows: list[tuple[int, list[str]]], universal_relations: bool, trees: bool
) -> ParsedSentence:
    numbers = tuple(number for number, _ in rows)
    origin = Origin(source, numbers, name=name)
    for i, (_, cells) in enumerate(rows):
        for column in (FORM, UPOS, DEPREL) if trees else (FORM,):
            if not cells[column] or (column == DEPREL and cells[column] == "_"):
                raise KselectError(f"{origin.place(i)} has nothing in {COLUMNS[column]}: fix that line.")
    heads = tuple(_head(origin.place(i), cells[HEAD]) for i, (_, cells) in enumerate(rows)) if trees else ()
    if trees and (error := find_tree_error(heads)):
        raise KselectError(f"{origin.place(error.word)} {error.message}: fix or remove that sentence.")
    relations = tuple(cells[DEPREL] for _, cells in rows) if trees else ()
    return ParsedSentence(
        tuple(cells[FORM] for _, cells in rows),
        tuple(cells[UPOS] for _, cells in rows),
        heads,
        tuple(map(universal, relations)) if universal_relations else relations,
        origin,
    )


def _shorten(cell: str, limit: int = 30) -> str:
    """Return a cell, cut for a message of one line."""
    return cell if len(cell) <= limit else f"{cell[:limit]}..."


def _head(place: str, cell: str) -> int:
    try:
        head = parse_int_value(cell)
    except (ParseException, ValueError):
        head = None
    if head is None:
        raise KselectError(f"{place} has the head '{_shorten(cell)}', expected a word's id or 0: fix that line.")
    return head
