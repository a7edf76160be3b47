"""The parts of a data set of whole texts, and how their tables are read as examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from kselect.errors import KselectError
from kselect.tasks.multi_label import indicators, label_lists
from kselect.tasks.splits import Split
from kselect.tasks.table import Table


@dataclass(frozen=True)
class Columns:
    """Names of a table's columns."""

    texts: tuple[str, ...]
    label: str
    id: str | None = None


@dataclass(frozen=True)
class Unlabelled:
    """Examples to predict.

    Attributes:
        ids: of the examples: those that the data has or, without any, row numbers from 0.
        split: the texts; their labels are placeholders.
    """

    ids: list[str]
    split: Split


@dataclass(frozen=True)
class Source:
    """The parts of a data set ("train", "dev", "test", ...) and how to read them.

    Attributes:
        read: returns the table of a part.
        columns: its columns.
        label_ids: label id of each spelling that the data has for a label; None where it has scores.
        remedy: what to do about an unknown label.
        multi_label: whether a text may have several labels.
        separator: what is between them; the usual one by default.
    """

    read: Callable[[str], Table]
    columns: Columns
    label_ids: Mapping[str, int] | None
    remedy: str = "fix or remove that row"
    multi_label: bool = False
    separator: str | None = None

    def split(self, part: str) -> Split:
        """Return labelled examples."""
        table = self.read(part)
        text_a, text_b = self._texts(table)
        return Split(text_a, text_b, self._labels(table))

    def unlabelled(self, part: str) -> Unlabelled:
        """Return examples without their labels."""
        table = self.read(part)
        text_a, text_b = self._texts(table)
        has_ids = self.columns.id is not None and self.columns.id in table.columns
        ids = table.ids(str(self.columns.id)) if has_ids else [str(row) for row in range(len(table))]
        return Unlabelled(ids, Split(text_a, text_b, [0] * len(table)))

    def stream(self, tables: Iterable[Table]) -> Iterator[Unlabelled]:
        """Yield the examples of tables that follow each other, without their labels; ids are not compared."""
        start = 0
        for table in tables:
            text_a, text_b = self._texts(table)
            has_ids = self.columns.id is not None and self.columns.id in table.columns
            ids = table.names(str(self.columns.id)) if has_ids else [str(start + row) for row in range(len(table))]
            yield Unlabelled(ids, Split(text_a, text_b, [0] * len(table)))
            start += len(table)

    def _texts(self, table: Table) -> tuple[list[str], list[str] | None]:
        first, *second = (table.texts(column) for column in self.columns.texts)
        return first, second[0] if second else None

    def _labels(self, table: Table) -> list[int] | list[float] | list[tuple[int, ...]]:
        if self.multi_label:
            rows = label_lists(table, self.columns.label, self.separator)
            return indicators(table, rows, list(self.label_ids or ()))
        if self.label_ids is None:
            return table.scores(self.columns.label)
        names = table.names(self.columns.label)
        for row, name in enumerate(names):
            if name not in self.label_ids:
                raise KselectError(
                    f"{table.place(row)} has the label '{name}', expected one of {', '.join(self.label_ids)}: "
                    f"{self.remedy}."
                )
        return [self.label_ids[name] for name in names]
