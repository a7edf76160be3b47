"""The learning rate at each training step: a warm-up, then one of the schedules of transformers."""

from __future__ import annotations

import torch
from torch import nn
from transformers import get_scheduler

from kselect.config import TrainingConfig
from kselect.errors import KselectError, first_line


class LearningRate:
    """The learning rate as a function of the training steps taken, which keeps no state.

    The warm-up is linear. Unlike that of transformers it begins above 0, so that the first step counts. After it, and
    for "constant" from the start, values are those of `transformers.get_scheduler`.

    Raises:
        KselectError: settings that the schedule does not take, or lacks.
    """

    def __init__(self, training: TrainingConfig, total_steps: int) -> None:
        """Plan a run of `total_steps` training steps."""
        self.peak = training.learning_rate
        self.warmup_steps = 0 if training.lr_scheduler_type == "constant" else round(training.warmup * total_steps)
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=self.peak)  # which the schedule is asked about
        try:
            schedule = get_scheduler(
                training.lr_scheduler_type,
                optimizer,
                num_warmup_steps=self.warmup_steps,
                num_training_steps=total_steps,
                scheduler_specific_kwargs=dict(training.lr_scheduler_kwargs),
            )
            (self._factor,) = schedule.lr_lambdas
            self(total_steps - 1)
        except (TypeError, ValueError, ZeroDivisionError) as error:
            raise KselectError(
                f"lr_scheduler_kwargs do not suit the schedule {training.lr_scheduler_type} ({first_line(error)}): "
                "give the arguments of its function in transformers.optimization.",
                setting="lr_scheduler_kwargs",
            ) from None

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that follows `step` others.

        >>> rate = LearningRate(TrainingConfig(learning_rate=1.0, warmup=0.2), 10)
        >>> [rate(step) for step in (0, 1, 2, 6)]
        [0.5, 1.0, 1.0, 0.5]
        """
        if step < self.warmup_steps:
            return self.peak * ((step + 1) / self.warmup_steps)
        return self.peak * float(self._factor(step))
