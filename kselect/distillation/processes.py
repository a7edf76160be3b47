"""The processes that train one student together: the first decides, the others repeat what its distiller does."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor, distributed

from kselect.distillation.divergence import TrainingDivergedError
from kselect.errors import KselectError

T = TypeVar("T")


class Call(NamedTuple):
    """A call of a method of the first process's distiller, which the other processes repeat."""

    method: str
    arguments: tuple[Any, ...]


class Processes:
    """The processes that a launcher has started, or this one alone; leaving it as a context releases the others.

    Attributes:
        count: how many there are.
        index: the number of this one; 0 is the first.
    """

    def __init__(self) -> None:
        """Take part in what `PartialState` has joined."""
        state = PartialState()
        self.count: int = state.num_processes
        self.index: int = state.process_index
        self._is_repeating = False  # whether a call of the first process is being repeated here
        self._in_call = False  # whether a call is under way, or was left in the middle
        if self.count > 1:
            atexit.register(self._part)

    @property
    def leads(self) -> bool:
        """Whether this process is the first."""
        return self.index == 0

    def from_first(self, value: T) -> T:
        """Return the value that the first process has."""
        if self.count == 1:
            return value
        (shared,) = broadcast_object_list([value])
        return shared

    @torch.no_grad()
    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of the first process."""
        if self.count > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by their sums over the processes, which are the same in all of them."""
        if self.count > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)

    @contextmanager
    def together(self, method: str, *arguments: Any) -> Iterator[None]:
        """Have the other processes call a method of their distillers, as this one does within the context.

        Raises:
            KselectError: the call is not the first process's, which alone decides.
        """
        if self.count == 1:
            yield
            return
        if self.leads:
            self.from_first(Call(method, arguments))
        elif not self._is_repeating:
            raise KselectError(
                "Of several processes, the first decides: call `follow` of the distiller in the others, or start the "
                "program without a launcher."
            )
        self._in_call = True
        try:
            yield
        except TrainingDivergedError:  # raised in all processes alike
            self._in_call = False
            raise
        self._in_call = False

    def repeat(self, distiller: object) -> None:
        """Repeat the calls of the first process until it leaves the context."""
        self._is_repeating = True
        while (call := self.from_first(None)) is not None:
            try:
                getattr(distiller, call.method)(*call.arguments)
            except TrainingDivergedError:
                continue  # the first process decides what follows
        self._is_repeating = False

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # Others that are left within a call wait for numbers, not for a call; the launcher ends them.
        if self.leads and not self._in_call:
            self.from_first(None)

    def _part(self) -> None:
        """Close the connections, whose threads would otherwise abort a process that ends."""
        if not self._in_call and distributed.is_initialized():
            distributed.destroy_process_group()
