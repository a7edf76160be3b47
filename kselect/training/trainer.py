"""Knowledge selection within transformers' `Trainer`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Subset
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

from kselect.agents.agent import Agent
from kselect.config import KnowledgeConfig, PhaseConfig
from kselect.errors import KselectError, check_type
from kselect.logging import get_logger
from kselect.models.classifier import Classifier
from kselect.models.heads import Labels
from kselect.tasks.encoding import check_padding
from kselect.training.episode import Episode
from kselect.training.episode_callback import EpisodeCallback
from kselect.training.selection_callback import PlannedSelection, SelectionCallback
from kselect.training.trainer_setup import (
    Teacher,
    TrainerSetup,
    as_classifier,
    as_teachers,
    build_task,
    decides_within,
    prepare,
    resolve_agent,
)

ATTACHED = "kselect"
"""Name under which projections and learned weights are part of the student while it is trained."""

REFUSED = {
    "label_smoothing_factor": "leave it out, and give the knowledge label-smoothing",
    "auto_find_batch_size": "leave it out, since selections are planned for a number of training steps",
    "torch_compile": "leave it out, since the outputs of inner layers are read in every step",
    "deepspeed": "leave it out, and train on one device",
    "fsdp": "leave it out, and train on one device",
}
"""Settings of `TrainingArguments` that would have no effect, or that the losses do not allow, and what to do."""


class KSelectTrainer(Trainer):
    """transformers' `Trainer` for a student that learns from a teacher by the knowledge that an agent selects.

    In each training step the loss is that of the `Distiller` under the agent's weights. Data, collator, optimiser,
    learning rate, precision, evaluation, checkpoints and callbacks are the `Trainer`'s own; the loss in evaluation is
    the model's, so that it can be compared between agents.

    An agent that decides by how much of the run is over, and by facts that are measured before the first step, plans
    the run when `train` begins: recipes, weights, schedules, random selections and policies such as auto. One that
    reads what the student has learned so far, or learns within the run, decides at the boundaries of phases, as in the
    `DistillationEnv`. A tenth of `train_dataset` is held out while the models are measured. For agents that decide
    within the run it stays held out, and their rewards are measured on it; for others it is trained on like the rest.

    Projections of hidden states and learned variances are trained with the student as its submodule `kselect`, so
    that checkpoints hold them and a run can be resumed; after training the student is a plain model again.

    Attributes:
        setup: the agent, and what it planned, see `TrainerSetup`; None before training.
    """

    loss_is_scaled_for_ga = False  # a mean over the batch, which Trainer divides by the number of accumulated ones

    def __init__(
        self,
        model: PreTrainedModel | Classifier,
        args: TrainingArguments | None = None,
        *,
        teacher: Teacher | Sequence[Teacher] | None = None,
        agent: str | Agent = "auto",
        agent_settings: Mapping[str, Any] | None = None,
        knowledge: Sequence[str] | KnowledgeConfig | None = None,
        phases: PhaseConfig | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        **options: Any,
    ) -> None:
        """Prepare a training.

        Args:
            model: the student, a classifier of whole texts.
            args: settings of the training.
            teacher: a model with the student's labels and vocabulary, its checkpoint, several of either, or None to
                learn from labels alone.
            agent: name of an agent or recipe, weights such as "gold:1,logits:0.5", the folder of a policy, or an
                `Agent`, which then neither explores nor learns.
            agent_settings: settings of an agent by name.
            knowledge: names of the kinds of knowledge on offer, or all settings of them; by default what the agent
                brings.
            phases: when the agent decides, and how its rewards are measured.
            processing_class: the tokenizer; by default that of a student that is a `Classifier`.
            options: of `Trainer`, such as `train_dataset`, `eval_dataset`, `data_collator` and `compute_metrics`.

        Raises:
            KselectError: an agent that has no policy, models that cannot be compared, or options of `Trainer` that have
                another loss or another model.
        """
        for name in ("model_init", "compute_loss_func"):
            if options.get(name) is not None:
                raise KselectError(f"KSelectTrainer has its own loss and one student: leave out {name}.", setting=name)
        tokenizer = processing_class or (model.tokenizer if isinstance(model, Classifier) else None)
        check_type("processing_class", tokenizer, PreTrainedTokenizerBase, "the student's tokenizer")
        assert tokenizer is not None
        check_padding(tokenizer)
        self._student = as_classifier(model, tokenizer, "student")
        self._teachers = as_teachers(teacher, self._student, tokenizer)
        self._agent, self._offered = resolve_agent(agent, agent_settings, knowledge)
        self._phases = phases or PhaseConfig()
        if args is not None and args.fp16 and decides_within(self._agent):
            raise KselectError(
                "An agent that decides within the run reads the norm of gradients, which fp16 scales: train in bf16.",
                setting="fp16",
            )
        self.setup: TrainerSetup | None = None
        self._selection: SelectionCallback | None = None
        super().__init__(self._student.model, args, processing_class=tokenizer, **options)
        self._check_options()

    def _check_options(self) -> None:
        """Refuse settings that the losses of kinds of knowledge do not allow."""
        if self.args.n_gpu > 1 or self.args.world_size > 1:
            raise KselectError("KSelectTrainer trains on one device: start one process, and show it one GPU.")
        for name, advice in REFUSED.items():
            if getattr(self.args, name, None):
                raise KselectError(f"KSelectTrainer does not work with {name}: {advice}.", setting=name)

    @property
    def episode(self) -> Episode | None:
        """The record of a training under an agent that decides within it; None for others, and before it has ended."""
        runner = None if self.setup is None else self.setup.runner
        return runner.episodes[0] if runner is not None and runner.episodes else None

    def train(self, resume_from_checkpoint: str | bool | None = None, *arguments: Any, **options: Any) -> Any:
        """Prepare the run, and train; see `Trainer.train`."""
        model, dataset = self._student.model, self.train_dataset
        attention = model.config._attn_implementation
        checkpoint = resume_from_checkpoint or None
        if checkpoint is True:
            checkpoint = get_last_checkpoint(self.args.output_dir)
        try:
            with torch.random.fork_rng():
                self.setup = self._prepared()
                selection = _selection_callback(self.setup, checkpoint)
            with self._attached(self.setup, selection):
                return super().train(resume_from_checkpoint, *arguments, **options)
        finally:
            self.train_dataset = dataset
            model.set_attn_implementation(attention)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the loss of the selected knowledge in training, and in evaluation the model's own."""
        selection, setup = self._selection, self.setup
        if setup is None or selection is None or selection.weights is None or not model.training or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        step = self.state.global_step
        batch = {"attention_mask": torch.ones_like(inputs["input_ids"]), **inputs}
        if isinstance(self._student.head, Labels):
            batch["labels"] = batch["labels"].long()  # collators make them floats, as transformers' own loss reads them
        loss, compared = setup.loss(batch, selection.weights, step + 1, step / selection.steps, selection.computed)
        selection.add(compared, 1 / self.current_gradient_accumulation_steps)
        return loss

    def training_step(self, model: nn.Module, *arguments: Any, **options: Any) -> Tensor:
        """Train on a batch, see `Trainer.training_step`, and read the gradient of a step."""
        loss = super().training_step(model, *arguments, **options)
        if self._selection is not None and self.accelerator.sync_gradients:
            self._selection.add_gradient(model)
        return loss

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the student, see `Trainer.save_model`, and in a checkpoint what the selection goes on from.

        It is the first step of saving a checkpoint: `Trainer` calls `on_save` when it has pushed the checkpoint to the
        Hub, and removed earlier ones.
        """
        super().save_model(output_dir, _internal_call)
        if self._selection is not None and output_dir is not None and _internal_call:
            self._selection.save(Path(output_dir))

    def log(self, logs: dict[str, float], *arguments: Any, **options: Any) -> None:
        """Log the mean loss of each kind of knowledge since the last time, and its present weight, with the loss."""
        if self._selection is not None and "loss" in logs:
            logs = logs | self._selection.take_logs()
        super().log(logs, *arguments, **options)

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Return the parameters with weight decay, which learned variances have not."""
        names = super().get_decay_parameter_names(model)
        return [name for name in names if not name.startswith(f"{ATTACHED}.weighting.")]

    @contextmanager
    def _attached(self, setup: TrainerSetup, selection: SelectionCallback) -> Iterator[None]:
        """Train what belongs to the losses as a part of the student, and leave the student as it was."""
        if any(True for _ in setup.loss.trained.parameters()):
            self._student.model.add_module(ATTACHED, setup.loss.trained)
        self._selection = selection
        self.add_callback(selection)
        try:
            yield
        finally:
            self.remove_callback(selection)
            self._selection = None
            if ATTACHED in self._student.model._modules:
                del self._student.model._modules[ATTACHED]

    def _prepared(self) -> TrainerSetup:
        """Prepare the run, and hold out what rewards are measured on."""
        task = build_task(self._rows(), self._student)
        if decides_within(self._agent):
            self.train_dataset = _subset(self.train_dataset, task.train_rows)
            held_out = len(task.splits["reward"])
            get_logger().info("%d examples of train_dataset are held out, to measure the student on.", held_out)
        setup = prepare(
            self._student,
            self._teachers,
            self._agent,
            self._offered,
            self._phases,
            task,
            self.args,
            self._planned_steps(),
            self._peak_learning_rate(),
        )
        if self.args.activation_checkpointing and setup.loss.reads_attention:
            raise KselectError(
                "activation_checkpointing computes attention again, and kinds of knowledge on offer read inside it: "
                "leave it out, or offer kinds that read logits or hidden states.",
                setting="activation_checkpointing",
            )
        if setup.chosen is not None:
            get_logger().info("The policy chose %s, by what is known of the run.", setup.chosen)
        return setup

    def _rows(self) -> list[Any]:
        dataset = self.train_dataset
        if not isinstance(dataset, Sized):
            raise KselectError(
                "KSelectTrainer measures the models on train_dataset before it trains: give one with a length.",
                setting="train_dataset",
            )
        return [dataset[i] for i in range(len(dataset))]  # type: ignore[index]

    def _planned_steps(self) -> int:
        """Return the number of training steps, as `Trainer` counts them."""
        *_, steps = self.set_initial_training_values(self.args, self.get_train_dataloader())
        return int(steps)

    def _peak_learning_rate(self) -> float:
        """Return the learning rate that schedules are relative to."""
        if self.optimizer is None:
            return float(self.args.learning_rate)
        group = self.optimizer.param_groups[0]
        return float(group.get("initial_lr", group["lr"]))


def _selection_callback(setup: TrainerSetup, checkpoint: str | None) -> SelectionCallback:
    """Return what follows the plan, or runs the episode, which goes on where a checkpoint was saved."""
    if setup.runner is not None:
        return EpisodeCallback(setup.runner, checkpoint)
    assert setup.plan is not None
    return PlannedSelection(setup.loss.names, setup.plan)


def _subset(dataset: Any, rows: Sequence[int]) -> Any:
    """Return the examples `rows` of a data set, as one of the same kind if it is of the datasets library."""
    return dataset.select(rows) if hasattr(dataset, "select") else Subset(dataset, rows)
