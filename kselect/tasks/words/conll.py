"""Column files (CoNLL): a word a line with its tag and other columns, and a blank line after each sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from kselect.errors import KselectError
from kselect.tasks.labels import visible
from kselect.tasks.readers import read_marked
from kselect.tasks.words.sentence import Origin, TaggedSentence

DOCSTART = "-DOCSTART-"
"""Beginning of the line between two documents."""
LONE_HASH = re.compile(r"#([ \t]|$)")
LANGUAGE = re.compile(r"[a-z]{2,}(-[a-z]+)*:")
"""Language code that WikiAnn has before every word."""
CELLS = {"\t": re.compile(r"(?:^|(?<=\t))[^\t]*"), " ": re.compile(r"[^ \t]+")}
"""Pattern of a cell by the separator of cells: single tabs, or any number of blanks."""


@dataclass(frozen=True)
class ColumnFile:
    """A file as it was read, into which predictions can be written.

    Attributes:
        lines: every line, without its line feed.
        separator: a tab, or a blank for any number of them.
        tag_column: counted from 0; None where no tags were read.
        mark: the byte-order mark before all lines, where there is one.
    """

    source: str
    lines: tuple[str, ...]
    separator: str
    tag_column: int | None
    sentences: tuple[TaggedSentence, ...]
    mark: str = ""

    def text(self, tags: Sequence[Sequence[str]] | None = None, *, append: bool = False) -> str:
        """Return the file's text with other tags, and all else (columns, comments, blank lines) as it was.

        Args:
            tags: of each sentence, `[n]` each; by default those that were read.
            append: put them into one more column at the end, which a file without tags gets in any case.

        Raises:
            KselectError: a tag that is empty or holds a separator, or a comment that would be read as a word.
            ValueError: other numbers of sentences or words.
        """
        lines = list(self.lines)
        if tags is not None and (append or self.tag_column is None):
            self._check_comments()
        for sentence, written in zip(self.sentences, tags, strict=True) if tags is not None else ():
            for number, tag in zip(sentence.origin.lines, written, strict=True):
                lines[number - 1] = self._with_tag(lines[number - 1], tag, append or self.tag_column is None)
        return self.mark + "\n".join(lines)

    def column_index(self, column: int) -> int | None:
        """Return a column, counted from 0 or from -1 backwards, as counted from 0; None where it does not exist."""
        count = len(_cells(self.lines[self.sentences[0].origin.lines[0] - 1], self.separator))
        return column % count if -count <= column < count else None

    def values(self, column: int) -> set[str]:
        """Return the distinct values in a column, counted from 0, next to words."""
        lines = (self.lines[number - 1] for sentence in self.sentences for number in sentence.origin.lines)
        return {visible(_cells(line, self.separator)[column][0]) for line in lines}

    def _check_comments(self) -> None:
        """Refuse comments that one more column would turn into words."""
        words = {number for sentence in self.sentences for number in sentence.origin.lines}
        columns = len(_cells(self.lines[min(words) - 1], self.separator))
        for number, line in enumerate(self.lines, start=1):
            if number not in words and not _is_boundary(line) and len(_cells(line, self.separator)) == columns + 1:
                raise KselectError(
                    f"{self.source}:{number} is a comment with as many columns as words would have with their tags: "
                    "remove that line."
                )

    def _with_tag(self, line: str, tag: str, append: bool) -> str:
        if not tag or set(tag) & {self.separator, "\t", "\r", "\n"}:
            raise KselectError(
                f"The tag {tag!r} cannot be written into {self.source}: it is empty, or holds a separator."
            )
        cells = _cells(line, self.separator)
        if append:
            end = cells[-1].end()
            return f"{line[:end]}{self.separator}{tag}{line[end:]}"
        cell = cells[self.tag_column or 0]
        return f"{line[: cell.start()]}{tag}{line[cell.end() :]}"


def read_columns(
    path: str | Path,
    *,
    word_column: int = 0,
    tag_column: int | None = -1,
    comment: str | None = None,
    language_prefix: bool | None = None,
) -> ColumnFile:
    """Read a file in CoNLL's way: cells separated by tabs or, where the first word's line has none, by blanks.

    Lines of nothing but blanks end a sentence, and so does one that begins with -DOCSTART-. Sentences without words
    are left out. Tags are read without the blanks around them and without invisible characters.

    Args:
        path: the file.
        word_column: counted from 0, or from -1 backwards.
        tag_column: likewise; None for a file to predict.
        comment: beginning of comment lines. By default a comment is a line before a sentence's first word that begins
            with "#" and has another number of columns than words have (a word may begin with "#"), or that begins with
            a lone "#" as the lines before all of several sentences do.
        language_prefix: whether words have the code of their language ("en:Word"), which is removed; by default they
            do where every word has one.

    Raises:
        KselectError: a file that is missing, without words or not UTF-8; a column that it does not have; and, by line,
            another number of columns than in the first word's line, or an empty word or tag.
    """
    mark, text = read_marked(Path(path).expanduser())
    source, lines = str(path), tuple(text.split("\n"))
    if len(lines) == 1 and "\r" in lines[0]:
        raise KselectError(f"{source} ends its lines with carriage returns alone: save it with line feeds.")
    layout = _find_layout(source, lines, word_column, tag_column, comment)
    comments = _sentence_comments(lines) if comment is None else frozenset()
    sentences: list[TaggedSentence] = []
    rows: list[tuple[int, str, str]] = []
    for number, line in enumerate((*lines, ""), start=1):
        if _is_boundary(line):
            if rows:
                numbers, words, tags = zip(*rows, strict=True)
                tags = () if layout.tag_column is None else tags
                sentences.append(TaggedSentence(words, tags, Origin(source, numbers)))
                rows.clear()
        elif not _is_named_comment(line, comment) and number not in comments:
            cells = [cell[0] for cell in _cells(line, layout.separator)]
            if len(cells) == layout.columns:
                rows.append((number, *_read_word(f"{source}:{number}", cells, layout)))
            elif comment is not None or rows or not line.startswith("#"):
                raise KselectError(
                    f"{source}:{number} has {len(cells)} column{'s' * (len(cells) != 1)}, "
                    f"expected {layout.columns} as in line {layout.line}: fix or remove that line."
                )
    return ColumnFile(
        source, lines, layout.separator, layout.tag_column, _without_language(sentences, language_prefix), mark
    )


class _Layout(NamedTuple):
    """Layout of a file, as its first word has it; columns are counted from 0."""

    line: int
    separator: str
    columns: int
    word_column: int
    tag_column: int | None


def _find_layout(
    source: str, lines: Sequence[str], word_column: int, tag_column: int | None, comment: str | None
) -> _Layout:
    full = [
        (number, line)
        for number, line in enumerate(lines, start=1)
        if not (_is_boundary(line) or _is_named_comment(line, comment))
    ]
    if not full:
        raise KselectError(f"{source} holds no sentences: fill it, or give another.")
    # Comments have other columns; where every line looks like one, the first is taken for a word.
    words = (numbered for numbered in full if comment is not None or not numbered[1].startswith("#"))
    number, line = next(words, full[0])
    separator = "\t" if "\t" in line else " "
    count, place = len(_cells(line, separator)), f"{source}:{number}"
    word_at = _column(place, word_column, count, "word_column")
    tag_at = None if tag_column is None else _column(place, tag_column, count, "tag_column")
    if tag_at == word_at:
        raise KselectError(
            f"{place} has no tag next to the word (column {word_at}, counted from 0, of {count}): "
            "add a column of tags, or name another.",
            setting="tag_column",
        )
    return _Layout(number, separator, count, word_at, tag_at)


def _read_word(place: str, cells: Sequence[str], layout: _Layout) -> tuple[str, str]:
    word, tag = cells[layout.word_column], "" if layout.tag_column is None else visible(cells[layout.tag_column])
    for kind, value in (("word", word), *((("tag", tag),) if layout.tag_column is not None else ())):
        if not value.strip(" "):
            raise KselectError(f"{place} has an empty {kind}: fix or remove that line.")
    if "\r" in tag:
        raise KselectError(f"{place} has a carriage return in its tag: fix or remove that line.")
    return word, tag


def _is_boundary(line: str) -> bool:
    """Whether a line separates sentences."""
    return not line.strip(" \t\r") or line.startswith(DOCSTART)


def _is_named_comment(line: str, comment: str | None) -> bool:
    """Whether a line begins as the caller's comments do."""
    return comment is not None and line.startswith(comment)


def _sentence_comments(lines: Sequence[str]) -> frozenset[int]:
    """Return the numbers of lines with a lone "#" that begin all sentences, where there are several of these."""
    starts = [i for i, line in enumerate(lines) if not _is_boundary(line) and (i == 0 or _is_boundary(lines[i - 1]))]
    followed = (LONE_HASH.match(lines[i]) and not _is_boundary("".join(lines[i + 1 : i + 2])) for i in starts)
    return frozenset(i + 1 for i in starts) if len(starts) > 1 and all(followed) else frozenset()


def _cells(line: str, separator: str) -> list[re.Match[str]]:
    return list(CELLS[separator].finditer(line.removesuffix("\r")))


def _column(place: str, column: int, count: int, setting: str) -> int:
    if not -count <= column < count:
        raise KselectError(
            f"{place} has {count} column{'s' * (count != 1)}, and {setting} is {column}: "
            f"give one from 0 to {count - 1}, or from -1 backwards.",
            setting=setting,
        )
    return column % count


def _without_language(sentences: list[TaggedSentence], prefixed: bool | None) -> tuple[TaggedSentence, ...]:
    if prefixed is None:
        prefixed = all(LANGUAGE.match(word) for sentence in sentences for word in sentence.words)
    if not prefixed:
        return tuple(sentences)
    return tuple(
        replace(sentence, words=tuple(_bare(word, sentence.origin.place(i)) for i, word in enumerate(sentence.words)))
        for sentence in sentences
    )


def _bare(word: str, place: str) -> str:
    language = LANGUAGE.match(word)
    if language is None or language.end() == len(word):
        raise KselectError(f"{place} has '{word}', expected a word after its language as in 'en:word': fix that line.")
    return word[language.end() :]
