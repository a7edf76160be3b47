"""A command in a process of its own, watched from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

PAUSE = 0.005
PATIENCE = 600.0


def told(*words: str) -> dict[str, Any]:
    """Run Python on `words`, and return the JSON of its last line."""
    output = subprocess.run([sys.executable, *words], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def seconds(*words: str) -> float:
    """Return how long Python takes with `words` from start to end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def seconds_until(reached: Callable[[], bool], *words: str) -> float:
    """Return how long Python takes with `words` until `reached` is true, and end it there.

    Raises:
        SystemExit: it ended before, or took ten minutes.
    """
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=errors)
        try:
            while not reached():
                over = time.perf_counter() - start > PATIENCE
                if over or (process.poll() is not None and not reached()):
                    errors.seek(0)
                    raise SystemExit(f"{' '.join(words)} did not get there: {errors.read().strip()}")
                time.sleep(PAUSE)
            return time.perf_counter() - start
        finally:
            process.kill()
            process.wait()
