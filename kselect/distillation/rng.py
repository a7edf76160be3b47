"""A random stream of one's own behind torch's global one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class RandomStream:
    """The stream that dropout draws from, kept apart from everybody else's use of torch's global generators.

    Inside `active()` the global generators of the CPU and of `device` continue this stream; outside they are as if
    nothing had been drawn. Two runs in one process cannot disturb each other, and a snapshot is one tensor a device.
    """

    def __init__(self, device: torch.device, seed: int = 0) -> None:
        """Start from `seed`."""
        self.device = device
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Begin anew under another seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.state = self.read()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let the global generators continue this stream."""
        outside = self.read()
        self._write(self.state)
        try:
            yield
        finally:
            self.state = self.read()
            self._write(outside)

    def read(self) -> dict[str, Tensor]:
        """Return where the global generators stand: this stream, while it is active."""
        state = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def _write(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)
