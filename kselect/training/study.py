"""Studies: runs over tasks, agents, seeds and settings, recorded in a ledger from which a stopped study resumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kselect.errors import KselectError
from kselect.runs.run_log import Ledger
from kselect.training.engines import Engine, RunFunction, SerialEngine


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        identity: What the run is, such as its task, agent, seed and the settings that affect its result; holds the key
            of the ledger, and is part of its entry there.
        settings: Everything that computes it, as plain values.
    """

    identity: Mapping[str, Any]
    settings: Mapping[str, Any]


class Study:
    """Cells that are each computed once, and what came of them.

    A run that fails is an entry with an `error` and is tried again by the next `run`; the others go on.
    """

    def __init__(
        self, cells: Sequence[Cell], function: RunFunction, ledger: Ledger, engine: Engine | None = None
    ) -> None:
        """Plan the runs."""
        self.cells = cells
        self.function = function
        self.ledger = ledger
        self.engine = engine or SerialEngine()

    @property
    def pending(self) -> list[Cell]:
        """The cells without a finished run."""
        finished = self.ledger.finished()
        return [cell for cell in self.cells if self.ledger.identity(cell.identity) not in finished]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The latest entry of each cell that has one, in the order of the cells."""
        latest = self.ledger.latest()
        identities = [self.ledger.identity(cell.identity) for cell in self.cells]
        return [latest[identity] for identity in identities if identity in latest]

    def run(
        self,
        on_steps: Callable[[Cell, int, int], None] | None = None,
        on_entry: Callable[[dict[str, Any]], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Compute what is pending, and return the entries of all cells.

        Args:
            on_steps: Called with a cell under way, its training steps done and its steps in all, at least once a phase;
                may raise KeyboardInterrupt to stop the study.
            on_entry: Called with each new entry before it is recorded.
        """
        cells = self.pending

        def report(index: int, done: int, total: int) -> None:
            if on_steps is not None:
                on_steps(cells[index], done, total)

        for index, outcome in self.engine.run(self.function, [cell.settings for cell in cells], report):
            entry = {**cells[index].identity, **outcome}
            if on_entry is not None:
                on_entry(entry)
            self.ledger.append(entry)
        return self.entries


def check_failures(entries: Sequence[dict[str, Any]], hint: str = "") -> list[dict[str, Any]]:
    """Return the entries if every run finished."""
    failed = [entry for entry in entries if "error" in entry]
    if failed:
        raise KselectError(f"{len(failed)} of {len(entries)} runs failed ({failed[0]['error']}).{hint}")
    return list(entries)
