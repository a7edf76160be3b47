"""Progress and tables, on a stream that is no terminal and on one that is."""

from __future__ import annotations

import doctest
import io
import time

import pytest

from kselect.cli import console
from kselect.cli.console import Progress
from kselect.config import values


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


@pytest.mark.parametrize("module", [console, values], ids=lambda module: module.__name__)
def test_examples_in_the_docstrings(module):
    assert doctest.testmod(module).failed == 0


def test_without_a_terminal_only_the_end_of_a_short_job_is_shown():
    stream = io.StringIO()
    with Progress(100, "Distilling mrpc", stream=stream) as progress:
        for step in range(100):
            progress.advance(1, loss=f"{step / 100:.2f}", selection="gold+logits")
    assert stream.getvalue() == (
        "Distilling mrpc: 100/100 steps (100 %), 0:00:00 elapsed, loss 0.99, selection gold+logits\n"
    )


def test_without_a_terminal_lines_keep_their_distance():
    stream = io.StringIO()
    with Progress(6, "Distilling", every=0.05, stream=stream) as progress:
        for _ in range(6):
            time.sleep(0.03)
            progress.advance()
    lines = stream.getvalue().splitlines()
    assert 2 <= len(lines) <= 4
    assert " left" in lines[0]
    assert lines[-1].startswith("Distilling: 6/6 steps (100 %)")


def test_a_job_that_breaks_off_says_how_far_it_came():
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), Progress(4, "Distilling", stream=stream) as progress:  # noqa: PT012
        progress.advance(3)
        raise ZeroDivisionError
    assert stream.getvalue().startswith("Distilling: 3/4 steps (75 %)")


def test_on_a_terminal_a_bar_is_drawn(terminal):
    with Progress(4, "Distilling [mrpc]", stream=terminal) as progress:
        progress.advance(4, selection="gold+logits")
    text = terminal.getvalue()
    assert "4/4\x1b[0m steps" in text
    assert "selection gold+logits" in text
    assert "Distilling [mrpc]" in text
    assert "elapsed" not in text


def test_a_narrow_terminal_still_shows_how_far_the_job_is(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with Progress(850, "Fine-tuning a teacher for synthetic-acceptability", stream=terminal) as progress:
        facts = {"selected": "gold+logits+hidden+attention+relations", "loss on reward": "0.512 nats"}
        progress.advance(425, **facts)
    assert "425/850" in terminal.getvalue()
    assert "synthetic-acceptability" in terminal.getvalue()


def test_a_dumb_terminal_gets_lines(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with Progress(4, "Distilling", stream=terminal) as progress:
        progress.advance(4)
    assert terminal.getvalue() == "Distilling: 4/4 steps (100 %), 0:00:00 elapsed\n"


def test_a_table_on_a_terminal_shows_every_cell(terminal):
    console.print_table("Students of [mrpc]", ["agent", "score"], [["all [x]", "0.71"]], stream=terminal)
    text = terminal.getvalue()
    for cell in ("Students of [mrpc]", "agent", "score", "all [x]", "0.71"):
        assert cell in text


def test_a_table_elsewhere_is_aligned_text(capsys):
    console.print_table("T", ["agent", "f1"], [["all", "0.7"]])
    assert capsys.readouterr().out == "T\nagent   f1\n-----  ---\nall    0.7\n"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="zip"):
        console.aligned("T", ["agent", "f1"], [["all"]])


def test_a_part_without_a_terminal_is_shown_if_it_takes_long():
    stream = io.StringIO()
    with Progress(10, "Distilling", every=0.05, stream=stream) as progress:
        show = progress.part("Teacher's outputs")
        show(32, 64)
        assert stream.getvalue() == ""
        time.sleep(0.06)
        show(48, 64)
        show(64, 64)
        assert stream.getvalue() == "Teacher's outputs: 48/64 examples (75 %)\n"


def test_a_part_on_a_terminal_has_a_bar_of_its_own_until_it_is_done(terminal):
    with Progress(10, "Distilling", stream=terminal) as progress:
        show = progress.part("Teacher's outputs")
        show(16, 64)
        assert progress._bar is not None
        progress._bar.refresh()
        assert "Teacher's outputs" in terminal.getvalue()
        assert "16/64\x1b[0m examples" in terminal.getvalue()
        show(64, 64)
        drawn = len(terminal.getvalue())
        progress.advance(10)
        progress._bar.refresh()
        assert "Teacher's outputs" not in terminal.getvalue()[drawn:]
        assert "10/10" in terminal.getvalue()[drawn:]
