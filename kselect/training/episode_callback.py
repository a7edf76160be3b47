"""The callback that runs an episode within transformers' `Trainer`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from transformers import TrainerControl, TrainerState, TrainingArguments

from kselect.distillation.callback import MicroBatch
from kselect.distillation.hosted import HostedDistiller
from kselect.distillation.snapshot import Snapshot, fitting
from kselect.errors import KselectError
from kselect.training.results import phase_record
from kselect.training.round import Outcome
from kselect.training.runner import EpisodeRunner
from kselect.training.selection_callback import SelectionCallback
from kselect.training.vector import local_envs

FILE = "episode.safetensors"
"""The state of the episode, in the folder of a checkpoint."""


class EpisodeCallback(SelectionCallback):
    """Has an agent decide at the boundaries of phases, observe, and be rewarded, as `EpisodeRunner.run` does.

    The steps of a phase are the `Trainer`'s. What happens between them is done by the halves of the loop of `run` and
    of the environment's `step`, with random numbers set aside, so that it does not change those of the training.
    """

    def __init__(self, runner: EpisodeRunner, checkpoint: str | Path | None = None) -> None:
        """Run an episode, or go on with that of a checkpoint.

        Args:
            runner: Of a single episode, in an environment of a `HostedDistiller`.
            checkpoint: A folder that the `Trainer` saved.

        Raises:
            KselectError: the checkpoint has no episode, that of another agent, or a damaged one.
        """
        (env,) = local_envs(runner.vector)
        assert isinstance(env.distiller, HostedDistiller)
        super().__init__(env.names, env.total_steps)
        self._runner, self._env, self._distiller = runner, env, env.distiller
        self._path = None if checkpoint is None else Path(checkpoint, FILE)
        self._resumed = None if self._path is None else self._load(self._path)
        self._grad_norm: Tensor | None = None
        self._timer = ExitStack()
        self._logged = 0  # phases

    @property
    def _identity(self) -> str:
        """What a checkpoint must have been saved under."""
        agent = self._runner.agent
        made = {"agent": type(agent).__name__, "settings": agent.settings, "learning": self._runner.learning}
        return json.dumps({**made, "phases": asdict(self._env.phases), "names": self.names}, sort_keys=True)

    def _load(self, path: Path) -> Snapshot:
        if not path.is_file():
            raise KselectError(
                f"{path.parent} has no {FILE}, where an agent that decides within the run goes on from: give a "
                "checkpoint that was saved under this agent, or start over.",
                setting="resume_from_checkpoint",
            )
        return Snapshot.load(path, self._identity)

    def add(self, compared: MicroBatch, share: float) -> None:
        """Count what a batch shows."""
        super().add(compared, share)
        self._distiller.add(compared, share)

    def add_gradient(self, model: nn.Module) -> None:
        """Read the norm of the gradient, which stays on the device."""
        self._grad_norm = get_total_norm(
            [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        )

    def take_logs(self) -> dict[str, float]:
        """Return, besides losses and weights, the reward and the agent's update of a phase that ended since."""
        logs, records = super().take_logs(), self._runner.records
        if len(records) > self._logged:
            self._logged = len(records)
            tags = phase_record(records[-1], {})
            logs |= {tag: tags[tag] for tag in tags if tag.startswith(("reward/", "agent/")) and tags[tag] is not None}
        return logs

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure the initial student, or go on where the checkpoint was saved."""
        super().on_train_begin(args, state, control, **kwargs)
        self._distiller.learning_rate = _learning_rate(kwargs["optimizer"])
        with torch.random.fork_rng():
            if self._resumed is None or self._path is None:
                self._runner.begin_round()
                return
            with fitting(self._path):
                self._runner.restore(self._resumed)
        self._logged = len(self._runner.records)
        step = self._distiller.total_steps if self._runner.episodes else self._distiller.step
        if state.global_step != step:
            raise KselectError(
                f"{self._path} is of step {step}, and its checkpoint of step {state.global_step}: give another "
                "checkpoint, or start over.",
                setting="resume_from_checkpoint",
            )

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Have the agent decide where a phase begins."""
        super().on_step_begin(args, state, control, **kwargs)
        if self._distiller.phase is None:
            with torch.random.fork_rng():
                (action,) = self._runner.begin_phase()
            self._distiller.begin_phase(*self._env.begin_phase(action))
        assert self._distiller.phase is not None
        self.weights, self.computed = self._distiller.weights, self._distiller.phase.computed
        self._timer.enter_context(self._distiller.account.measure("student"))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Count the step, and at the end of a phase measure the reward and let the agent learn from it."""
        assert self._grad_norm is not None
        self._distiller.learning_rate = _learning_rate(kwargs["optimizer"])
        self._distiller.end_step(self._grad_norm)
        self._timer.close()
        assert self._distiller.phase is not None
        if self._distiller.phase.is_over:
            self._end_phase()

    def _end_phase(self) -> None:
        with torch.random.fork_rng():
            outcome = Outcome.of_one(self._env.end_phase(*self._distiller.end_phase()))
            self._runner.end_phase(outcome)
        if outcome.terminated[0]:
            self._runner.end_round()

    def save(self, folder: Path) -> None:
        """Write the state of the episode into a checkpoint."""
        self._runner.snapshot().save(folder / FILE, self._identity)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End an episode that was stopped: the phase under way counts, unless the weights are of another moment."""
        self._timer.close()
        if self._runner.episodes:
            return
        phase = self._distiller.phase
        if phase is not None and phase.rows and not args.load_best_model_at_end:
            self._end_phase()
        self._runner.end_round()


def _learning_rate(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])
