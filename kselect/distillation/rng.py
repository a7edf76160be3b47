"""A separate stream of random numbers behind torch's global generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


class RandomStream:
    """The random stream of dropout, isolated from other uses of torch's global generators.

    Inside `active()`, the global generators of the CPU and of `device` continue this stream; afterwards they are
    restored. Two runs in one process cannot affect each other, and a snapshot is one tensor per device.
    """

    def __init__(self, device: torch.device, seed: int = 0) -> None:
        """Start from `seed`."""
        self.device = device
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Start again from `seed`."""
        outside = self.global_state()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.state = self.global_state()
        self._set_global_state(outside)  # fork_rng restores the generators of CPU and CUDA alone

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let the global generators continue this stream."""
        outside = self.global_state()
        self._set_global_state(self.state)
        try:
            yield
        finally:
            self.state = self.global_state()
            self._set_global_state(outside)

    @contextmanager
    def divided(self, parts: int, seed: int, step: int) -> Iterator[Callable[[int], object]]:
        """Yield a function that begins the stream of a part of a training step by its number, while this one is active.

        The stream is a function of `seed`, step and number, so that what a part draws does not depend on which process
        takes it. A single part continues this stream, to which the generators return afterwards.
        """
        if parts == 1:
            yield lambda number: None
            return
        own = self.global_state()
        try:
            yield lambda number: torch.manual_seed(_mixed(seed, step, number))
        finally:
            self._set_global_state(own)

    def global_state(self) -> dict[str, Tensor]:
        """Return the state of the global generators, which is that of this stream while it is active."""
        state = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        if self.device.type == "mps":
            state["mps"] = torch.mps.get_rng_state()
        return state

    def _set_global_state(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)
        if self.device.type == "mps":
            torch.mps.set_rng_state(state["mps"])


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
