"""The callbacks of a runner: when they are called, what they ask for, and their state in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from kselect.distillation.callback import DistillerCallback, TrainingControl, check_callbacks
from kselect.distillation.distiller import Distiller


class CallbackHandler:
    """Calls the callbacks that a runner was given, and during its run those of its distillers.

    Attributes:
        given: The callbacks that the runner was given, whose states checkpoints hold.
        control: What callbacks ask of the run under way.
    """

    def __init__(self, callbacks: Iterable[DistillerCallback]) -> None:
        """Check and hold the callbacks of a runner."""
        self.given = check_callbacks(callbacks)
        self.control = TrainingControl()
        self._called = self.given

    def call(self, hook: str, *arguments: Any) -> None:
        """Call a hook of every callback, with the control as its last argument."""
        for callback in self._called:
            getattr(callback, hook)(*arguments, self.control)

    @contextmanager
    def attached(self, distillers: Sequence[Distiller], functions: DistillerCallback) -> Iterator[None]:
        """Have the given callbacks watch the distillers, and those of the distillers the whole run.

        Args:
            distillers: Those of this process; until the run ends, they share the control.
            functions: Called after all others.
        """
        self.control, added = TrainingControl(), []
        called = [*self.given, *(each for distiller in distillers for each in distiller.callbacks), functions]
        self._called = list({id(each): each for each in called}.values())
        controls = [distiller.control for distiller in distillers]
        for distiller in distillers:
            distiller.control = self.control
            added.append([each for each in self.given if each not in distiller.callbacks])
            distiller.callbacks.extend(added[-1])
        try:
            yield
        finally:
            self._called = self.given
            for distiller, control, callbacks in zip(distillers, controls, added, strict=True):
                distiller.control = control
                for callback in callbacks:
                    distiller.callbacks.remove(callback)

    def state(self) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        """Return the states of the given callbacks: tensors as `<number>/<name>`, and for JSON the rest of each."""
        states = [callback.state_dict() for callback in self.given]
        tensors = {
            f"{number}/{name}": value
            for number, state in enumerate(states)
            for name, value in state.items()
            if isinstance(value, Tensor)
        }
        return tensors, [{k: v for k, v in state.items() if not isinstance(v, Tensor)} for state in states]

    def restore(self, tensors: Mapping[str, Tensor], rest: Sequence[Mapping[str, Any]]) -> None:
        """Return to the states that `state` returned, of as many callbacks."""
        for number, (callback, state) in enumerate(zip(self.given, rest, strict=True)):
            prefix = f"{number}/"
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            callback.load_state_dict({**state, **own})
