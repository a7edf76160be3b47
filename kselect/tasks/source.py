"""Where a task's examples come from: a table for every part, and how to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kselect.errors import UserError
from kselect.tasks.split import Split
from kselect.tasks.table import Table


@dataclass(frozen=True)
class Columns:
    """What a table's columns are called."""

    texts: tuple[str, ...]
    """One column, or two for a pair."""
    label: str
    id: str | None = None


@dataclass(frozen=True)
class Unlabelled:
    """Examples to predict."""

    ids: list[str]
    """What each example is called: its id or, where there are none, its row, from 0."""
    split: Split
    """The texts; the labels are stand-ins."""


@dataclass(frozen=True)
class Source:
    """The parts of a data set ("train", "dev", "test", ...) and how to read them."""

    read: Callable[[str], Table]
    columns: Columns
    label_ids: dict[str, int] | None
    """Label id of everything the files write for a label; None where they hold scores."""
    remedy: str = "mend or remove that row"
    """What is to be done about a label that is not known."""

    def split(self, part: str) -> Split:
        """Return labelled examples; raises `UserError` for a fault in the data, with its place."""
        table = self.read(part)
        text_a, text_b = self._texts(table)
        return Split(text_a, text_b, self._labels(table))

    def unlabelled(self, part: str) -> Unlabelled:
        """Return examples without their labels; raises `UserError` for a fault in the data, with its place."""
        table = self.read(part)
        text_a, text_b = self._texts(table)
        has_ids = self.columns.id is not None and self.columns.id in table.columns
        ids = table.ids(str(self.columns.id)) if has_ids else [str(row) for row in range(len(table))]
        return Unlabelled(ids, Split(text_a, text_b, [0] * len(table)))

    def _texts(self, table: Table) -> tuple[list[str], list[str] | None]:
        first, *second = (table.texts(column) for column in self.columns.texts)
        return first, second[0] if second else None

    def _labels(self, table: Table) -> list[int] | list[float]:
        if self.label_ids is None:
            return table.scores(self.columns.label)
        names = table.names(self.columns.label)
        for row, name in enumerate(names):
            if name not in self.label_ids:
                raise UserError(
                    f"{table.place(row)} has the label '{name}', expected one of {', '.join(self.label_ids)}: "
                    f"{self.remedy}."
                )
        return [self.label_ids[name] for name in names]
