"""The first signal is noted, the second stops at once, and so does impatience; a switch needs no value."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import time
from collections.abc import Iterator
from types import ModuleType

import pytest

from kselect.cli.console import Progress
from kselect.cli.main import exit_code
from kselect.cli.signals import Interruption
from tests.command_line import settings_of


@pytest.fixture(autouse=True)
def signals_are_heard() -> Iterator[None]:
    """A process that nohup started is deaf to SIGHUP."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_long_phase_is_not_waited_for(number: signal.Signals) -> None:
    start = time.monotonic()
    with Interruption(patience=0.05) as interruption:
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            time.sleep(60)
        assert interruption.requested
    assert time.monotonic() - start < 30


def test_a_state_that_is_being_saved_is_waited_for() -> None:
    with Interruption(patience=0.05) as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        interruption.reached_end_of_phase()
        time.sleep(0.2)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_after_the_context_no_alarm_comes() -> None:
    with Interruption(patience=0.05):
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_without_phases_stops_at_once(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    def load() -> None:
        os.kill(os.getpid(), number)
        time.sleep(60)

    assert exit_code(load) == 130
    assert capfd.readouterr().err == "kselect: interrupted\n"
    assert signal.getsignal(number) == signal.SIG_DFL


def test_ctrl_c_during_the_imports_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "kselect.cli.main", Interrupted("kselect.cli.main"))
    with pytest.raises(SystemExit, match="130"):
        runpy.run_module("kselect", run_name="__main__")
    assert capfd.readouterr().err == "kselect: interrupted\n"


def test_output_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert exit_code(lambda: print("accuracy 0.9")) == 2
        monkeypatch.undo()
    assert capfd.readouterr().err == (
        "kselect: error: The output cannot be written (No space left on device): check where it goes to.\n"
    )


def test_an_error_without_a_file_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    def connect() -> None:
        raise ConnectionRefusedError("no\nroute")

    assert exit_code(connect) == 2
    assert capfd.readouterr().err == "kselect: error: ConnectionRefusedError: no route\n"


def test_closed_output_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert exit_code(lambda: print("accuracy 0.9")) == 0


def test_an_error_of_the_system_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    def read() -> None:
        raise PermissionError(13, "Permission denied", "runs/\x1b[2Jteacher")

    assert exit_code(read) == 2
    assert capfd.readouterr().err == (
        "kselect: error: runs/\\x1b[2Jteacher cannot be read or written (Permission denied): check free space and "
        "permissions.\n"
    )


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
