"""Schedules: numbers that may change over a run."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.errors import KselectError


@dataclass(frozen=True)
class Schedule:
    """A number that changes linearly over a run, or is constant."""

    start: float
    end: float

    @staticmethod
    def parse(value: float | str, setting: str) -> Schedule:
        """Parse a number, or a text such as `4->1`.

        Args:
            value: the number or text.
            setting: name of the setting, for messages.

        Raises:
            KselectError: it is neither.

        >>> Schedule.parse("4->1", "temperature")
        Schedule(start=4.0, end=1.0)
        """
        first, arrow, last = str(value).partition("->")
        try:
            start = float(first)
            return Schedule(start, float(last) if arrow else start)
        except ValueError:
            raise KselectError(
                f"{setting} is '{value}': give a number, or a schedule over the run such as 4->1.", setting=setting
            ) from None

    def __call__(self, progress: float) -> float:
        """Return the value when the share `progress`, in [0, 1], of the run is over."""
        return self.start + (self.end - self.start) * progress
