"""A piece of advice: what to do, why, and what would show it wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """That students under one knowledge score better than under another, or no better.

    Names are of knowledge: `gold` for gold labels alone, any other for it beside gold labels, `all` for everything on
    offer; `logits@3` is `logits` at temperature 3, `kd-top-5` is `kd-top-k` with the 5 largest kept.
    """

    name: str
    other: str
    better: bool

    def __str__(self) -> str:
        """Say it."""
        return f"{self.name} {'better' if self.better else 'no better'} than {self.other}"


@dataclass(frozen=True)
class Advice:
    """A sentence of advice with the numbers behind it.

    kind: what it is about, in a word. numbers: by name, shares in [0, 1], losses in nats,
    time in seconds. claim: what scores of students can show; None where it is of something else.
    """

    kind: str
    sentence: str
    numbers: dict[str, float]
    claim: Claim | None = None
