"""`kselect`: the list of commands, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from kselect import __version__
from kselect.cli.commands import COMMANDS
from kselect.cli.signals import stopping_on_signals
from kselect.errors import KselectError, printable, unknown
from kselect.launcher import check_launch, is_first, process_count
from kselect.logging import get_logger, set_verbosity

SHARED = ("train-teacher", "distill")
"""Commands that several processes run together."""

OVERVIEW = """\
usage: kselect COMMAND [options]

Learned knowledge selection for distilling transformer encoders.
While a small student learns from a large teacher, an agent decides which knowledge to transfer:
gold labels, logits, hidden states, attention, relations between layers.

commands:
{commands}

A teacher, a selection policy, and a student distilled under it:
  kselect train-teacher --task mrpc --encoder bert-base-uncased --run_name teacher
  kselect train-policy  --task mrpc --teacher runs/teacher/model --layers 3 --run_name policy
  kselect distill       --task mrpc --teacher runs/teacher/model --layers 3 --agent runs/policy/policy

A small example of every step, in minutes:
  kselect demo

  kselect COMMAND --help   the options of a command, and examples
  kselect COMMAND --quiet  without progress, notices and warnings; results and errors are shown
  kselect --version        the version
"""


def overview() -> str:
    """Return the text of `kselect --help`."""
    width = max(map(len, COMMANDS))
    return OVERVIEW.format(commands="\n".join(f"  {c.name:<{width}}  {c.summary}" for c in COMMANDS.values()))


def dispatch(words: Sequence[str]) -> None:
    """Run the command that the words of a command line name."""
    if not words or words[0] in ("-h", "--help"):
        print(overview(), end="")
        return
    if words[0] == "--version":
        print(f"kselect {__version__}")
        return
    name, *rest = words
    if name.startswith("-"):
        raise KselectError(f"'{name}' comes before any command: write `kselect COMMAND {name}`; see `kselect --help`.")
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    command = COMMANDS[name]
    arguments = command.read(rest)
    if arguments.wants_help:
        command.parser.print_help()
        return
    check_launch()
    if process_count() > 1 and name not in SHARED:
        raise KselectError(
            f"kselect {name} runs in one process, and a launcher has started {process_count()}: start it without one. "
            f"{' and '.join(SHARED)} run in several."
        )
    level = get_logger().level
    if arguments.verbosity is not None:
        set_verbosity(arguments.verbosity)
    if not is_first():
        set_verbosity("error")  # the first process says what there is to say
    try:
        command.run(command.build(arguments))
    except KselectError as error:
        raise KselectError(arguments.locate(error, command.settings_class)) from error
    finally:
        get_logger().setLevel(level)


def main(words: Sequence[str] | None = None) -> int:
    """Run the words of a command line and return its exit code; see `exit_code`."""
    return exit_code(lambda: dispatch(sys.argv[1:] if words is None else words))


def exit_code(action: Callable[[], object]) -> int:
    """Run an action and return 0; 2 after an error, 130 after Ctrl-C, SIGTERM or SIGHUP, which are a line on stderr."""
    try:
        with stopping_on_signals():
            action()
            print(end="", flush=True)
    except KselectError as error:
        # By each of several processes, since a launcher ends the others when the first of them has failed.
        _say(f"error: {' '.join(str(error).split())}")
        return 2
    except OSError as error:
        get_logger().debug("Traceback of the error:", exc_info=True)
        reason = error.strerror or str(error)
        if _is_output_lost():
            _say(f"error: The output cannot be written ({reason}): check where it goes to.")
        elif error.filename is not None:
            _say(f"error: {error.filename} cannot be read or written ({reason}): check free space and permissions.")
        else:
            _say(f"error: {type(error).__name__}: {' '.join(reason.split())}")
        return 2
    except KeyboardInterrupt as stop:
        _say(f"interrupted {stop}".rstrip())
        return 130
    return 0


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal that has hung up
        print(f"kselect: {printable(line)}", file=sys.stderr, flush=True)


def _is_output_lost() -> bool:
    """Whether standard output cannot be written; what is left is discarded, on which the interpreter would fail."""
    try:
        print(end="", flush=True)
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
