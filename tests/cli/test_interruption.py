"""The first signal is noted, the second stops at once; a switch needs no value."""

from __future__ import annotations

import os
import signal

import pytest

from kselect.cli.console import Progress
from kselect.cli.signals import Interruption
from tests.command_line import settings_of


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_stops_at_once(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested
        assert "stopping at the end of this phase" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGTERM)
        assert not interruption.requested
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("words", "fresh"),
    [
        (["--fresh"], True),
        (["--fresh", "--seed", "1"], True),
        (["--fresh", "true"], True),
        (["--fresh", "false"], False),
        (["--fresh=false"], False),
        ([], False),
    ],
)
def test_fresh_needs_no_value(words: list[str], fresh: bool) -> None:
    assert settings_of("distill", ["--teacher", "t", *words]).run.fresh is fresh


def test_progress_counts_what_was_done_before_but_not_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10, "Distilling", done=9, every=0) as progress:
        assert progress.done == 9
        progress.advance(1)
    assert "Distilling: 10/10 steps (100 %)" in capsys.readouterr().err
