"""Callbacks of a student's training, and how they stop it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kselect.errors import check_type, unknown
from kselect.knowledge.base import Batch, Knowledge
from kselect.models.heads import Answer

if TYPE_CHECKING:
    from kselect.training.episode import Episode


@dataclass(frozen=True)
class MicroBatch:
    """The batch of a training step, or a part of it under gradient accumulation, before its backward pass.

    Tensors are on the device and part of the autograd graph.

    Attributes:
        step: the training step, counted from 1.
        indices: the training examples, `[B]`, on the host.
        knowledge: the selected kinds of knowledge, k of them.
        losses: loss of each example for each of them, `[B, k]`, before scale and weight.
        output: input of the student's head, see `ModelOutputs`.
        student: the student's answer.
        teachers: the teachers' answers, by which of them each is of (`Knowledge.teachers`), the first teacher first;
            empty if no selected kind reads a teacher.
        batch: labels, and how far the run is.
    """

    step: int
    indices: NDArray[np.int64]
    knowledge: tuple[Knowledge, ...]
    losses: Tensor
    output: Tensor
    student: Answer
    teachers: Mapping[tuple[int, ...], Answer]
    batch: Batch

    @property
    def teacher(self) -> Answer | None:
        """The answer of the first teacher that was read; None if none was."""
        return next(iter(self.teachers.values()), None)


@dataclass
class TrainingControl:
    """What a callback may ask of the training that it watches.

    Attributes:
        should_training_stop: Set it to stop: after the training step under way from `on_step_end`, otherwise after the
            phase under way. What was learned until then counts; the episode is marked as truncated.
    """

    should_training_stop: bool = False


class DistillerCallback:
    """Base class of callbacks; override the hooks you need.

    Pass instances as `callbacks=` to `learn`, `rollout` or `DistillationEnv`. A callback may stop the training through
    its `control`, and must change nothing else about it. Hooks run in this order:

        on_train_begin
          on_episode_begin
            on_phase_begin
              on_losses, on_step_end      (each training step)
              on_advance_end
            on_phase_end
          on_episode_end
        on_train_end
        on_evaluate                       (`rollout` only)

    A method whose name begins with `on_` and that is none of these is refused, as it would never be called. Hooks
    of training steps run only where students are trained in this process, and of several processes that train one
    student, in the first, which sees the losses of its own micro-batches. `on_save` follows each checkpoint, which
    holds the `state_dict` of callbacks given to a runner.
    """

    def on_train_begin(self, control: TrainingControl) -> None:
        """Called before the first episode."""

    def on_train_end(self, control: TrainingControl) -> None:
        """Called after the last episode, also when a callback stopped the training."""

    def on_episode_begin(self, episode: int, task: str, control: TrainingControl) -> None:
        """Called before the first phase of an episode.

        Args:
            episode: Its number, from 0.
            task: Name of the task that is learned.
            control: Stops the training.
        """

    def on_episode_end(self, episode: Episode, control: TrainingControl) -> None:
        """Called after the last phase of an episode, with its history, reward and cost."""

    def on_phase_begin(self, episode: int, phase: int, control: TrainingControl) -> None:
        """Called before the agent selects knowledge for a phase; both are numbered from 0."""

    def on_phase_end(self, record: dict[str, Any], control: TrainingControl) -> None:
        """Called after a phase and the agent's update.

        Args:
            record: `phase`, `step` (training steps so far), `steps`, the normalised `weights` by kind of knowledge,
                mean `losses`, `relative_losses` and `signals`, `reward` and, where it was measured, its facts (see
                `RewardMeter.reward`), facts of the decision (see `describe_decision`), `agent` with the figures of a
                learning agent's update, and where there are several episodes `episode` and `task`.
            control: Stops the training.
        """

    def on_losses(self, micro_batch: MicroBatch, total: Tensor) -> None:
        """Called before each backward pass; must not synchronise with the device.

        Args:
            micro_batch: The examples, answers and losses.
            total: The weighted loss of each example, `[B]`.
        """

    def on_step_end(self, step: int, control: TrainingControl) -> None:
        """Called after each training step, counted from 1, without synchronising with the device."""

    def on_advance_end(self) -> None:
        """Called after the last training step of a phase, after synchronising with the device."""

    def on_rewind(self, step: int) -> None:
        """Called when the run returned to the moment after `step` training steps; later steps have not happened."""

    def on_evaluate(self, metrics: Mapping[str, float], control: TrainingControl) -> None:
        """Called with the metrics of the trained student on the splits for reporting."""

    def on_save(self, path: Path, control: TrainingControl) -> None:
        """Called after a checkpoint of the run was written to `path`."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs of the callback: tensors, and values that JSON can hold, by name."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to the state that `state_dict` returned."""


HOOKS = tuple(name for name in vars(DistillerCallback) if name.startswith("on_"))


def check_callbacks(callbacks: Iterable[DistillerCallback]) -> list[DistillerCallback]:
    """Return callbacks as a list.

    Raises:
        KselectError: a single callback rather than several, what is not a callback, or a method that is called like a
            hook and is none, such as a misspelt one.
    """
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, str):
        check_type("callbacks", callbacks, list, "a list of callbacks, even of a single one")
    given = list(callbacks)
    for callback in given:
        check_type("callbacks", callback, DistillerCallback, "instances of subclasses of DistillerCallback")
        for name in dir(callback):
            if name.startswith("on_") and name not in HOOKS and callable(getattr(callback, name)):
                raise unknown(f"hook in the callback {type(callback).__name__}", name, HOOKS)
    return given
