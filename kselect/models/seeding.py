"""Drawing from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from the seed inside, and leave the global stream as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
