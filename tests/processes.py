"""Commands run by several processes, forked from the test, which has done the imports."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import PartialState

from kselect.cli.main import main


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def environment(index: int, count: int, port: int) -> dict[str, str]:
    """What torchrun sets in one of the processes of a machine."""
    numbers = {"RANK": index, "LOCAL_RANK": index, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(number) for name, number in numbers.items()}}


def start(words: Sequence[str], count: int, output: Path) -> list[int]:
    """Start a command in several processes, and return their ids; what they print goes to `output` and their number."""
    port = free_port()
    return [_fork(words, environment(index, count, port), Path(f"{output}.{index}")) for index in range(count)]


def end(processes: Sequence[int]) -> list[int]:
    """Wait for the processes, and return their exit codes."""
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]


def _fork(words: Sequence[str], variables: dict[str, str], output: Path) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        sys.stdout = sys.stderr = open(output, "w", buffering=1)  # noqa: SIM115 (until the process ends)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(variables)
        torch.set_num_threads(1)
        PartialState._reset_state()
        code = main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
