"""Settings of every test: a thread for each worker, as they share the cores; caches of its own; Ctrl-C heard."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell's background job is deaf to Ctrl-C, and so would be all that tests interrupt."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def never_the_users_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fixtures that outlive a test, and whatever processes they start, keep teacher outputs in a temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KSELECT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def cache_dir(never_the_users_cache: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this test keeps teacher outputs: an empty folder, so that it finds none of another test."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KSELECT_CACHE", str(folder))
        yield folder
