from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kselect.errors import KselectError
from kselect.logging import get_logger, set_verbosity


@contextmanager
def program_without_handlers() -> Iterator[logging.Logger]:
    """The loggers as they are outside a test run, which adds handlers of its own."""
    loggers = get_logger(), logging.getLogger()
    before = [(logger, logger.handlers, logger.level) for logger in loggers]
    for logger in loggers:
        logger.handlers = []
    yield loggers[0]
    for logger, handlers, level in before:
        logger.handlers = handlers
        logger.setLevel(level)


def test_set_verbosity_shows_messages_from_a_level_on(capsys: pytest.CaptureFixture[str]) -> None:
    with program_without_handlers() as logger:
        set_verbosity("info")
        set_verbosity("info")
        logger.info("cache is %s", "full")
        logger.debug("no")
        assert capsys.readouterr().err == "kselect: cache is full\n"
        set_verbosity(logging.ERROR)
        logger.warning("no")
        assert capsys.readouterr().err == ""


def test_set_verbosity_leaves_a_programs_own_handlers_alone() -> None:
    with program_without_handlers() as logger:
        logger.addHandler(logging.NullHandler())
        set_verbosity("debug")
        assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]


def test_set_verbosity_refuses_an_unknown_level() -> None:
    with pytest.raises(KselectError, match="Unknown verbosity 'debg': did you mean 'debug'"):
        set_verbosity("debg")
