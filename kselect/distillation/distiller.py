"""The distiller: trains one student, step by step, under given selections of knowledge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from kselect.config import TEXT_SOURCES, KnowledgeConfig, TrainingConfig
from kselect.distillation.batch_loss import BatchLoss
from kselect.distillation.callback import DistillerCallback, TrainingControl
from kselect.distillation.compatibility import as_teachers, check_compatible, shared_tokenizer, with_other_tokens
from kselect.distillation.cost_account import CostAccount
from kselect.distillation.device import find_device, resolve_precision
from kselect.distillation.divergence import TrainingDivergedError
from kselect.distillation.encoded_splits import EncodedSplits
from kselect.distillation.evaluation import Evaluation, evaluate, fixed_sample
from kselect.distillation.other_tokens import OtherTokens
from kselect.distillation.overlap import trained_texts
from kselect.distillation.pair_forward import PairForward
from kselect.distillation.phase_report import PhaseReport
from kselect.distillation.processes import Processes
from kselect.distillation.snapshot import Snapshot
from kselect.distillation.source_sampler import SourceSampler
from kselect.distillation.teacher.columns import column_logits, with_columns
from kselect.distillation.teacher.outputs import TeacherOutputs
from kselect.distillation.teacher.parser import ParsedTexts
from kselect.distillation.teacher.sources import ProgressCallback, TeacherSource
from kselect.distillation.training_state import TrainingState
from kselect.distillation.training_steps import TrainingSteps
from kselect.distillation.weighting import make_weighting, step_weights
from kselect.errors import check_type
from kselect.knowledge.base import Knowledge
from kselect.knowledge.registry import build_knowledge
from kselect.models.architecture import checkpoint_gradients, input_names
from kselect.models.classifier import Classifier, input_length
from kselect.models.column_teacher import ColumnTeacher
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task
from kselect.tasks.word_alignment import words_of_texts

PROBE_EXAMPLES = 32
NEGLIGIBLE = 1e-6  # initial losses below this are rounding errors: the student equals its teacher there


class Distiller:
    """Trains one student.

    A run lasts `total_steps` training steps. Each call of `advance` takes some of them under one selection, and
    computes only what that selection needs. `snapshot` and `restore` move between moments of a run exactly.

    Attributes:
        task: the task.
        teachers: the teachers, possibly none.
        student: the student, trained in place.
        training: settings of the training steps.
        offered: settings of the knowledge on offer, with the kinds that the models support.
        knowledge: the kinds of knowledge on offer, in the order of a selection.
        sources: names of the further texts that a selection draws batches from, after the kinds of knowledge.
        scales: factor on each kind's loss, `[k]`.
        initial_losses: loss of each kind on a few training examples before the first step, by name.
        reference_losses: the losses that observations are relative to, by name: the initial loss, or the loss of an
            uninformed model if the initial loss is negligible.
        weighting: combines the losses of a step.
        max_length: longest input in tokens.
        device: device of the models.
        dtype: dtype of forward passes.
        total_steps: number of training steps of the run.
        account: wall time by purpose.
        callbacks: callbacks that observe the training.
        control: what they ask of it.
        processes: the processes that train the student together.
    """

    def __init__(
        self,
        task: Task,
        teacher: Classifier | Sequence[Classifier] | None,
        student: Classifier,
        training: TrainingConfig | None = None,
        knowledge: KnowledgeConfig | None = None,
        max_length: int | None = None,
        parser: Classifier | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            task: the task.
            teacher: the teacher; several, whose logits are averaged unless a kind of knowledge names one of them
                (`logits@2`); None to train on gold labels only, or on answers that the task's splits have
                (`Split.teacher_logits`), which count as the last teacher.
            student: the classifier to train, in place.
            training: settings of the training steps.
            knowledge: settings of the knowledge on offer; by default only gold if there is no teacher, otherwise see
                `build_knowledge`.
            max_length: longest input in tokens; by default 128, or what the models take if less.
            parser: reads the same texts, for the kind of knowledge `parser-trees`.

        Raises:
            KselectError: an argument of another type, knowledge that these models do not support, models that cannot be
                compared, or a `max_length` that exceeds the models' input.
        """
        check_type("task", task, Task, "a Task, such as `load_task` and `build_task` return")
        self.task = task
        self.teachers = as_teachers(teacher)
        check_type("student", student, Classifier, "a Classifier, such as `load_student` and `shrink` return")
        check_type("training", training or TrainingConfig(), TrainingConfig, "a TrainingConfig")
        check_type("knowledge", knowledge or KnowledgeConfig(), KnowledgeConfig, "a KnowledgeConfig")
        check_type("parser", parser or student, Classifier, "a Classifier, such as `load_parser` returns")
        self.student = student
        self.training = training or TrainingConfig()
        check_compatible(student, self.teachers, task)
        self._other_tokens = with_other_tokens(student, self.teachers, task)
        self._columns = column_logits(task)
        self._offer(knowledge, parser)
        models = (student, *self._teachers_alike)
        self.max_length = min(input_length(model, max_length, task.usual_length) for model in models)
        self.device = find_device(self.training.device)
        self.processes = Processes()
        self.dtype = resolve_precision(self.training.precision, self.device)
        self.account = CostAccount(self.device)
        self.callbacks: list[DistillerCallback] = []
        self.control = self._own_control = TrainingControl()  # a runner lends its own for its run
        self._encode()
        self._connect_teachers(parser)
        self._prepare_training()
        student.training_texts = trained_texts(task, student, self.teachers)
        with self.account.measure("probing"):
            self.initial_losses = self.processes.from_first(self._probe())
        self._set_scales()

    def _offer(self, config: KnowledgeConfig | None, parser: Classifier | None) -> None:
        """Build the kinds of knowledge on offer."""
        if config is None:
            config = KnowledgeConfig() if self._answering else KnowledgeConfig(knowledge=["gold"])
        built = build_knowledge(
            config, self.student, self._answering, parser, self.task.is_labelled, self._other_tokens
        )
        self.knowledge: tuple[Knowledge, ...] = built
        self.sources = tuple(name for name in TEXT_SOURCES if name in self.task.splits)
        self.offered = replace(config, knowledge=list(self.kinds))

    def _encode(self) -> None:
        """Encode the splits that training reads, with one tokenizer for all models that tokenise alike."""
        tokenizer = shared_tokenizer(self.student, self._teachers_alike)
        if "token_type_ids" in input_names(self.student.model):
            self.student.tokenizer = tokenizer  # saved with the student, which is trained on its token types
        self._splits = EncodedSplits(self.task, tokenizer, self.max_length)
        self._train, self._sizes = self._splits.training()
        self._own_tokens = {i: OtherTokens(self.task, self.teachers[i], self._splits) for i in self._other_tokens}

    def _connect_teachers(self, parser: Classifier | None) -> None:
        """Move the models to the device, and connect the sources of teacher outputs."""
        self._model = self.student.to(self.device).model
        if self.training.gradient_checkpointing:
            checkpoint_gradients(self._model)
        self._teacher_outputs = TeacherOutputs(
            self._answering,
            self._train,
            self.knowledge,
            self.offered,
            self.task.name,
            self.device,
            self.dtype,
            {i: splits.training()[0] for i, splits in self._own_tokens.items()},
            self._columns,
        )
        if parser is not None and any(kind.reads_parser for kind in self.knowledge):
            texts = self.task.splits["train"].joined([self.task.splits[name] for name in self.sources])
            words = words_of_texts(texts, self._splits.tokenizer, self.max_length)
            self._teacher_outputs.add_parser(parser, words)
        self._pair = PairForward(
            self.student, self._teacher_outputs, self._train, self.account, self.device, self.dtype
        )
        self._teacher_cls: NDArray[np.float32] | None = None

    def _prepare_training(self) -> None:
        """Collect everything that is trained."""
        self.weighting = make_weighting(self.offered.weighting, self.kinds, self.task.regression)
        modules = {kind.name: kind.modules for kind in self.knowledge if kind.modules is not None}
        further = {"knowledge": nn.ModuleDict(modules), "weighting": self.weighting}
        trained = nn.ModuleDict({"student": self._model, "head": self.student.head, **further})
        sampler = SourceSampler(self._train.lengths, self._sizes, self.training.batch_size)
        self.processes.copy_from_first(trained.to(self.device).state_dict().values())
        self._state = TrainingState(trained, sampler, self.training, self.device)
        self._steps = TrainingSteps(
            self.student,
            self.knowledge,
            self._pair,
            self.weighting,
            self._state,
            self.training,
            self.device,
            self.processes,
        )
        self.total_steps = self._steps.total_steps

    def _set_scales(self) -> None:
        """Derive reference losses and scales from the initial losses."""
        uninformed = self.task.uninformed_loss
        self.reference_losses = {
            name: loss if loss > NEGLIGIBLE else uninformed for name, loss in self.initial_losses.items()
        }
        scales = [
            uninformed / self.reference_losses[kind.name] if kind.scale is None else kind.scale
            for kind in self.knowledge
        ]
        self.scales = np.array(scales, dtype=np.float32)

    @property
    def _answering(self) -> tuple[Classifier | ColumnTeacher, ...]:
        """The teachers, and behind them the one whose answers are columns of the data."""
        return with_columns(self.teachers, self.student, self.task)

    @property
    def _teachers_alike(self) -> list[Classifier]:
        """The teachers that tokenise as the student does."""
        return [teacher for i, teacher in enumerate(self.teachers) if i not in self._other_tokens]

    @property
    def teacher(self) -> Classifier | None:
        """The first teacher; None if there is none."""
        return self.teachers[0] if self.teachers else None

    @property
    def teacher_source(self) -> TeacherSource | None:
        """Source of outputs in training steps, of the first teacher that is read; None without a teacher."""
        return next(iter(self._teacher_outputs.sources.values()), None)

    @property
    def parsed(self) -> ParsedTexts | None:
        """Source of the parser's outputs; None if no kind of knowledge reads them."""
        return self._teacher_outputs.parsed

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds of knowledge on offer."""
        return tuple(kind.name for kind in self.knowledge)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what a selection weights, in its order: the kinds of knowledge on offer, and further texts."""
        return (*self.kinds, *self.sources)

    @property
    def step(self) -> int:
        """Number of training steps taken."""
        return self._state.step

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return self._steps.learning_rate

    @property
    def truncated(self) -> dict[str, int]:
        """Number of texts that exceed the models' input, in each split encoded so far."""
        return self._splits.truncated

    @property
    def in_pieces(self) -> dict[str, int]:
        """Number of sentences that exceed the models' input, in each split encoded so far."""
        return self._splits.in_pieces

    @property
    def padding(self) -> float:
        """Share of padding among the tokens of the current epoch's batches, in [0, 1)."""
        micro_batches = [part for indices in self._state.sampler.epoch_batches for part in self._steps.split(indices)]
        padded = sum(len(indices) * self._train.width(indices) for indices in micro_batches)
        return 1 - int(self._train.lengths[: self._sizes[0]].sum()) / padded

    def reset(self, seed: int) -> None:
        """Restore the initial weights and start a run; `seed` determines the order of examples and dropout."""
        self._own_control.should_training_stop = False
        with self.processes.together("reset", seed):
            self._state.reset(seed)
        self._notify_rewind()

    def watch_teacher(self, progress: ProgressCallback) -> None:
        """Call `progress` whenever teacher outputs are computed for the cache."""
        self._teacher_outputs.set_progress(progress)

    def advance(self, selection: ArrayLike, steps: int) -> PhaseReport:
        """Take up to `steps` training steps under a selection.

        Args:
            selection: weights in [0, 1] in the order of `names`, `[k]` for all steps, or `[steps, k]` for each of
                them.
            steps: number of steps; the run ends after `total_steps`.

        Returns:
            Statistics of the steps taken.

        Raises:
            TrainingDivergedError: a loss or gradient is not finite; the student is left as it was before that step.
            ValueError: the run is over, or `selection` is invalid.
        """
        if self.step == self.total_steps:
            raise ValueError(f"The run is over after {self.total_steps} steps: call reset.")
        steps = min(steps, self.total_steps - self.step)
        weights = step_weights(selection, self.names, steps)
        try:
            with self.processes.together("advance", selection, steps), self.account.measure("student"):
                return self._steps.take(weights, steps, self.scales, self.callbacks, self.control)
        except TrainingDivergedError:
            self._notify_rewind()
            raise

    def batch_loss(self) -> BatchLoss:
        """Return the loss of batches that another training loop draws; the models are those of this run."""
        return BatchLoss(self.knowledge, self._pair, self.weighting, self.scales)

    def follow(self) -> None:
        """Take part in the training that the first of several processes decides on, until it leaves `processes`."""
        self.processes.repeat(self)

    def evaluate(self, split: str, examples: int | None = None) -> Evaluation:
        """Evaluate the student on a split, or on a fixed sample of `examples` of it."""
        encoded, indices = self._splits.sample(split, examples)
        return evaluate(self.student, self.task, encoded, indices, self.training.batch_size, self.dtype)

    def encoded(self, split: str, teacher: int | None = None) -> EncodedSplit:
        """Return an encoded split, as the student or the `teacher` of that index reads it."""
        return (self._splits if teacher is None else self._own_tokens.get(teacher, self._splits))[split]

    @torch.no_grad()
    def mean_cls(self) -> dict[str, NDArray[np.float32]]:
        """Return the mean [CLS] state of the last layer over a fixed sample of training examples, without dropout.

        The time is accounted as probing.

        Returns:
            `student_cls [D_s]` of the current student, and `teacher_cls [D_t]` of the first teacher.
        """
        with self.account.measure("probing"):
            if self._teacher_cls is None:
                self._teacher_cls = self._pair.mean_cls(
                    self.teachers[0], self.encoded("train", teacher=0), self._probe_sample()
                )
            student_cls = self._pair.mean_cls(self.student, self.encoded("train"), self._probe_sample())
            return {"student_cls": student_cls, "teacher_cls": self._teacher_cls}

    @torch.no_grad()
    def model_outputs(self, indices: NDArray[np.int64]) -> tuple[dict[str, Tensor], ModelOutputs, ModelOutputs | None]:
        """Return training examples as a batch, and the outputs of student and teacher, without dropout.

        The teacher is the first that is read; its outputs come from the same source as in training steps. The time is
        accounted as probing.
        """
        with self.account.measure("probing"):
            self._set_eval()
            first = [*self._teacher_outputs.sources][:1]
            batch, student, teachers = self._pair.outputs(indices, Needs(), dict.fromkeys(first, Needs()))
            return batch, student, next(iter(teachers.values()), None)

    @torch.no_grad()
    def _probe(self) -> dict[str, float]:
        """Return the loss of each kind of knowledge on a few training examples, without dropout."""
        self._set_eval()
        losses = self._steps.compare(self._probe_sample(), range(len(self.knowledge)), live=True).losses
        return dict(zip(self.kinds, losses.mean(0).tolist(), strict=True))

    def _probe_sample(self) -> NDArray[np.int64]:
        return fixed_sample(self._sizes[0], PROBE_EXAMPLES)

    def _set_eval(self) -> None:
        self._model.eval()
        self.student.head.eval()

    def snapshot(self) -> Snapshot:
        """Copy everything that the rest of the run depends on."""
        return self._state.snapshot({"scales": self.scales.tolist()})

    def restore(self, snapshot: Snapshot) -> None:
        """Return to the moment of `snapshot`; the same steps then give bit-equal results.

        Raises:
            KselectError: the snapshot was taken on another kind of device.
        """
        if self.processes.count > 1:  # tensors on a device would arrive on that of the first process
            snapshot = replace(snapshot, tensors={name: tensor.cpu() for name, tensor in snapshot.tensors.items()})
        with self.processes.together("restore", snapshot):
            self._state.restore(snapshot)
            self.scales = np.array(snapshot.facts["scales"], dtype=np.float32)
        self._notify_rewind()

    def _notify_rewind(self) -> None:
        for callback in self.callbacks:
            callback.on_rewind(self.step)
