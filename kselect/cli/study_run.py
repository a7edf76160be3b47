"""A study as a command: its run folder, progress, and an interruption that it resumes from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from kselect.cli.console import Progress, notice
from kselect.cli.signals import Interruption
from kselect.training.study import Cell, Study


class StudyFolder(Protocol):
    """The folder of a study: a `RunFolder`, or one that further runs may be added to at any time."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def resumed(self) -> bool:
        """Whether a stopped study is resumed."""

    @property
    def resume_command(self) -> str:
        """The command line that resumes the study where it was stopped."""


def run_study(
    study: Study,
    folder: StudyFolder,
    title: str,
    steps_of: Callable[[Cell], int],
    on_entry: Callable[[dict[str, Any]], None] | None = None,
    on_begin: Callable[[Progress], None] | None = None,
) -> list[dict[str, Any]]:
    """Compute what is pending of a study, and return the entries of all its cells."""
    pending = study.pending
    done, total = (sum(map(steps_of, cells)) for cells in ([c for c in study.cells if c not in pending], study.cells))
    if folder.resumed:
        count = len(study.cells)
        notice(f"Resuming {folder.path} after {count - len(pending)} of {count} runs.")
    elif done:
        notice(f"{len(study.cells) - len(pending)} of {len(study.cells)} runs are finished already.")
    progress_of: dict[int, int] = {}
    with Progress(total, title, done=done) as progress, Interruption() as interruption:

        def show(cell: Cell, steps: int, facts: dict[str, str]) -> None:
            before = progress_of.get(id(cell), 0)
            progress_of[id(cell)] = steps
            progress.advance(steps - before, **facts)

        def on_steps(cell: Cell, steps: int, of: int) -> None:
            show(cell, round(steps / of * steps_of(cell)), {"run": describe_cell(cell.identity)})
            if interruption.reached_end_of_phase():
                raise KeyboardInterrupt

        def record(entry: dict[str, Any]) -> None:
            identity = study.ledger.identity(entry)
            cell = next(cell for cell in pending if study.ledger.identity(cell.identity) == identity)
            show(cell, steps_of(cell), {"finished": describe_cell(entry)})
            if "error" in entry:
                print(f"{describe_cell(entry)} failed: {entry['error']}", file=sys.stderr)
            if on_entry is not None:
                on_entry(entry)

        if on_begin is not None:
            on_begin(progress)
        try:
            return study.run(on_steps, record)
        except KeyboardInterrupt:
            finished, count = len(study.cells) - len(study.pending), len(study.cells)
            raise KeyboardInterrupt(
                f"after {finished} of {count} runs; to resume, give the same command again, or {folder.resume_command}"
            ) from None


def describe_cell(identity: Any) -> str:
    """Name a run in a few words."""
    names = [str(identity[name]) for name in ("task", "condition", "label", "selection", "rung") if name in identity]
    return ", ".join([*names, *([f"seed {identity['seed']}"] if identity.get("seed") is not None else [])])


def retry_hint(folder: StudyFolder, ledger: Path) -> str:
    """Return how to repeat failed runs, as the end of a message."""
    return f" See {ledger}; to try them again, give the same command, or {folder.resume_command}."
