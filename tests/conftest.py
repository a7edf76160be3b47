"""Settings of every test: one thread for each worker, since the workers share the cores, and caches of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)


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
