"""Column files: a word a line with its tag and what else there is, and a blank line after each sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kselect.errors import KselectError
from kselect.tasks.readers import read_marked
from kselect.tasks.words.sentence import Origin, TaggedSentence

DOCSTART = "-DOCSTART-"
"""What the line between two documents begins with."""
COMMENT = re.compile(r"#([ \t]|$)")
LANGUAGE = re.compile(r"[a-z]{2,}(-[a-z]+)*:")
"""The code that WikiAnn writes before every word."""
CELLS = {"\t": re.compile(r"(?:^|(?<=\t))[^\t]*"), " ": re.compile(r"[^ \t]+")}
"""A cell, by what separates the cells: single tabs, or any number of blanks."""


@dataclass(frozen=True)
class ColumnFile:
    """A file as it was read, and so as predictions can be written into it."""

    source: str
    lines: tuple[str, ...]
    """Every line, without its line feed."""
    separator: str
    """A tab, or a blank for any number of them."""
    tag_column: int | None
    """Counted from 0; None where no tags were read."""
    sentences: tuple[TaggedSentence, ...]
    mark: str = ""
    """The byte-order mark before all lines, where there is one."""

    def text(self, tags: Sequence[Sequence[str]] | None = None, *, append: bool = False) -> str:
        """Return the file's text with other tags, and all else (columns, comments, blank lines) as it was.

        Args:
            tags: of each sentence, `[n]` each; by default those that were read.
            append: put them into one more column at the end, which a file without tags gets in any case.

        Raises:
            KselectError: a tag that the file's separator would cut in two.
            ValueError: other numbers of sentences or words.
        """
        lines = list(self.lines)
        for sentence, written in zip(self.sentences, tags, strict=True) if tags is not None else ():
            for number, tag in zip(sentence.origin.lines, written, strict=True):
                lines[number - 1] = self._with_tag(lines[number - 1], tag, append or self.tag_column is None)
        return self.mark + "\n".join(lines)

    def place_of(self, column: int) -> int | None:
        """Return a column, counted from 0 or from -1 backwards, as counted from 0; None where there is none such."""
        count = len(_cells(self.lines[self.sentences[0].origin.lines[0] - 1], self.separator))
        return column % count if -count <= column < count else None

    def values(self, column: int) -> set[str]:
        """Return what stands in a column, counted from 0, beside any word."""
        lines = (self.lines[number - 1] for sentence in self.sentences for number in sentence.origin.lines)
        return {_cells(line, self.separator)[column][0] for line in lines}

    def _with_tag(self, line: str, tag: str, append: bool) -> str:
        if not tag or set(tag) & {self.separator, "\t", "\r", "\n"}:
            raise KselectError(f"The tag {tag!r} cannot be written into {self.source}, being empty or cut: rename it.")
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
    are none.

    Arguments:
        path: the file.
        word_column: counted from 0, or from -1 backwards.
        tag_column: likewise; None for a file to predict.
        comment: what a comment line begins with. By default it is a line before a sentence's first word that begins
            with a lone "#" and has other columns than the words have (a word may be "#", and may begin with it), or
            stands before every sentence, of which there are several.
        language_prefix: whether words carry the code of their language ("en:Word"), which is taken off; by default
            they do where every word has one.

    Raises:
        KselectError: a file that is missing, without words or not UTF-8; a column that it does not have; and, by line,
            another number of columns than in the first word's line, or an empty word or tag.
    """
    mark, text = read_marked(Path(path).expanduser())
    source, lines = str(path), tuple(text.split("\n"))
    if len(lines) == 1 and "\r" in lines[0]:
        raise KselectError(f"{source} ends its lines with carriage returns alone: save it with line feeds.")
    full = [(i, line) for i, line in enumerate(lines, start=1) if not (_between(line) or _is_named(line, comment))]
    if not full:
        raise KselectError(f"{source} holds no sentences: fill it, or give another.")
    # A comment has no columns to go by; where every line looks like one, the first is taken for a word.
    first, sample = next(((i, line) for i, line in full if comment is not None or not COMMENT.match(line)), full[0])
    separator = "\t" if "\t" in sample else " "
    count = len(_cells(sample, separator))
    place = f"{source}:{first}"
    word_at = _column(place, word_column, count, "word")
    tag_at = None if tag_column is None else _column(place, tag_column, count, "tag")
    if tag_at == word_at:
        raise KselectError(
            f"{place} has no tag beside the word (column {word_at}, counted from 0, of {count}): "
            "add a column of tags, or name another."
        )

    heads = _heads(lines) if comment is None else frozenset()
    sentences: list[TaggedSentence] = []
    rows: list[tuple[int, str, str]] = []

    def end_sentence() -> None:
        if rows:
            numbers, words, tags = zip(*rows, strict=True)
            sentences.append(TaggedSentence(words, () if tag_at is None else tags, Origin(source, numbers)))
            rows.clear()

    for number, line in enumerate(lines, start=1):
        if _between(line):
            end_sentence()
            continue
        if _is_named(line, comment) or number in heads:
            continue
        cells = [cell[0] for cell in _cells(line, separator)]
        if len(cells) != count:
            if comment is None and not rows and COMMENT.match(line):
                continue
            raise KselectError(
                f"{source}:{number} has {len(cells)} column{'s' * (len(cells) != 1)}, "
                f"expected {count} as in line {first}: mend or remove that line."
            )
        word, tag = cells[word_at], "" if tag_at is None else cells[tag_at]
        if not word.strip(" ") or (tag_at is not None and not tag.strip(" ")):
            what = "tag" if word.strip(" ") else "word"
            raise KselectError(f"{source}:{number} has an empty {what}: mend or remove that line.")
        rows.append((number, word, tag))
    end_sentence()
    return ColumnFile(source, lines, separator, tag_at, _without_language(sentences, language_prefix), mark)


def _between(line: str) -> bool:
    """Whether a line stands between sentences."""
    return not line.strip(" \t\r") or line.startswith(DOCSTART)


def _is_named(line: str, comment: str | None) -> bool:
    """Whether a line begins as comments are said to."""
    return comment is not None and line.startswith(comment)


def _heads(lines: Sequence[str]) -> frozenset[int]:
    """Return the numbers of lines with a lone "#" that begin all sentences, where there are several of these."""
    starts = [i for i, line in enumerate(lines) if not _between(line) and (i == 0 or _between(lines[i - 1]))]
    followed = (COMMENT.match(lines[i]) and not _between("".join(lines[i + 1 : i + 2])) for i in starts)
    return frozenset(i + 1 for i in starts) if len(starts) > 1 and all(followed) else frozenset()


def _cells(line: str, separator: str) -> list[re.Match[str]]:
    return list(CELLS[separator].finditer(line.removesuffix("\r")))


def _column(place: str, column: int, count: int, kind: str) -> int:
    if not -count <= column < count:
        raise KselectError(
            f"{place} has {count} column{'s' * (count != 1)}, and {kind}_column is {column}: "
            f"give one from 0 to {count - 1}, or from -1 backwards."
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
        raise KselectError(f"{place} has '{word}', expected a word after its language as in 'en:word': mend that line.")
    return word[language.end() :]
