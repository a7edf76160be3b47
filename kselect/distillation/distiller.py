"""A student's training, step by step, under whatever selection it is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.callback import DistillerCallback, TrainingControl, TrainingPart
from kselect.distillation.compatibility import check_compatible, fullest_tokenizer
from kselect.distillation.cost_account import CostAccount
from kselect.distillation.device import autocast, default_device, resolve_precision, send
from kselect.distillation.divergence import TrainingDivergedError, check_finite
from kselect.distillation.evaluation import Evaluation, evaluate, fixed_sample, mean_loss
from kselect.distillation.optimizer import Updater, learning_rate_factor
from kselect.distillation.phase_report import SIGNALS, PhaseReport, read_signals
from kselect.distillation.rng import RandomStream
from kselect.distillation.sampler import BatchPosition, BucketedBatches
from kselect.distillation.snapshot import Snapshot
from kselect.distillation.teacher.outputs import Teaching
from kselect.distillation.teacher.parser import ParsedTexts
from kselect.distillation.teacher.sources import TeacherOutputs, Watch
from kselect.distillation.weighting import make_weighting, selection_weights
from kselect.errors import KselectError
from kselect.knowledge.base import Batch, Knowledge, ParsedSentences
from kselect.knowledge.registry import build_knowledge
from kselect.models.architecture import input_names
from kselect.models.classifier import Classifier, input_length
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs, forward
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task
from kselect.tasks.word_alignment import words_of_texts

PROBE_EXAMPLES = 32
NEGLIGIBLE = 1e-6  # a loss that starts below this is rounding: the student begins as its teacher's equal there


class Distiller:
    """Trains one student; the one place where training steps are taken.

    A run lasts `total_steps` training steps. Each call of `advance` takes some of them under one selection, computing
    only what that selection needs. `snapshot` and `restore` move freely between moments of a run, bit by bit.

    callbacks: those who look on; there are none unless somebody adds them.
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
        """Set up a run; the student is trained in place, the teacher only read.

        Args:
            task: what is learned.
            teacher: whose knowledge is on offer, the mean logits of several; None to train on gold labels alone.
            student: the classifier to train.
            training: how steps are taken.
            knowledge: what is on offer, by default see `build_knowledge`; gold alone where there is no teacher.
            max_length: longest input in tokens; by default 128, or what the model takes if less.
            parser: reads the same texts word by word, for the knowledge `parser-trees`.

        Raises:
            KselectError: knowledge that these models cannot give, a pair that cannot be compared, or texts that are longer
                than the model takes.
        """
        self.task = task
        self.teachers = _as_tuple(teacher)
        self.student = student
        self.training = training or TrainingConfig()
        offered = knowledge or (KnowledgeConfig() if self.teachers else KnowledgeConfig(knowledge=["gold"]))
        check_compatible(student, self.teachers, task)
        self.knowledge: tuple[Knowledge, ...] = build_knowledge(
            offered, student, self.teachers, parser, task.is_labelled
        )
        self.offered = replace(offered, knowledge=list(self.names))
        self.max_length = min(input_length(one, max_length, task.usual_length) for one in (student, *self.teachers))
        self.device = default_device()
        self.dtype = resolve_precision(self.training.precision, self.device)
        self.account = CostAccount(self.device)
        self.callbacks: list[DistillerCallback] = []
        self.control = TrainingControl()

        self._tokenizer = fullest_tokenizer(student, self.teachers)
        if "token_type_ids" in input_names(student.model):
            student.tokenizer = self._tokenizer  # it is saved with the one that made what it learned to read
        self._splits: dict[str, EncodedSplit] = {}
        for name in task.splits:
            if name == "dev" or name not in task.reported:
                self.encoded(name)
        self._model = student.to(self.device).model
        train = self._splits["train"]
        self._teaching = Teaching(
            self.teachers, train, self.knowledge, self.offered, task.name, self.device, self.dtype
        )
        if parser is not None and any(knowledge.reads_parser for knowledge in self.knowledge):
            words = words_of_texts(task.splits["train"], self._tokenizer, self.max_length)
            self._teaching.add_parser(parser, words)
        self.weighting = make_weighting(self.offered.weighting, self.names, task.regression)
        self._trained = self._everything_trained()
        self._initial = {name: value.detach().clone() for name, value in self._trained.state_dict().items()}
        self._teacher_cls: NDArray[np.float32] | None = None
        self._batches = BucketedBatches(train.lengths, self.training.batch_size)
        self._dropout = RandomStream(self.device)
        self.step = 0
        self.total_steps = self.training.total_steps(self._batches.batches_per_epoch)
        with self.account.measure("probing"):
            self.initial_losses = self._probe()
        self.reference_losses = {name: self._reference(loss) for name, loss in self.initial_losses.items()}
        self.scales = np.array([self._scale_of(knowledge) for knowledge in self.knowledge], dtype=np.float32)
        self._restart(seed=0)

    @property
    def teacher(self) -> Classifier | None:
        """The teacher, or the first of several; None where there is none."""
        return self.teachers[0] if self.teachers else None

    @property
    def teacher_outputs(self) -> TeacherOutputs | None:
        """Where what the teachers say comes from in training steps; None without a teacher."""
        return self._teaching.outputs

    @property
    def parsed(self) -> ParsedTexts | None:
        """What a parser says of the training texts; None where nothing reads that."""
        return self._teaching.parsed

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the knowledge on offer, in the order of a selection."""
        return tuple(knowledge.name for knowledge in self.knowledge)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        factor = learning_rate_factor(self.step, self.total_steps, self.training.warmup)
        return self.training.learning_rate * factor

    @property
    def truncated(self) -> dict[str, int]:
        """How many texts of each split that was read were longer than the model's input, by split."""
        return {name: split.truncated for name, split in self._splits.items()}

    @property
    def in_pieces(self) -> dict[str, int]:
        """How many sentences of each split that was read are longer than the model's input, by split."""
        return {name: split.in_pieces for name, split in self._splits.items()}

    @property
    def padding(self) -> float:
        """Share of the tokens in the present epoch's batches that are padding, in [0, 1)."""
        train = self._splits["train"]
        parts = [part for indices in self._batches.epoch for part in self._parts(indices)]
        return 1 - int(train.lengths.sum()) / sum(len(part) * train.width(part) for part in parts)

    def reset(self, seed: int) -> None:
        """Put the student back to its first weights and start a run under `seed` (order of data, dropout)."""
        self._trained.load_state_dict(self._initial)
        self._restart(seed)
        self._tell_rewind()

    def _restart(self, seed: int) -> None:
        self.step = 0
        self._batches.restart(seed)
        self._dropout.restart(seed)
        settings = self.training
        self._updater = Updater(self._trained, settings.learning_rate, settings.weight_decay, self.device)

    def watch_teacher(self, watch: Watch) -> None:
        """Have `watch` told how far it is whenever the teacher's outputs are computed for the cache."""
        self._teaching.watch(watch)

    def advance(self, selection: ArrayLike, steps: int) -> PhaseReport:
        """Take up to `steps` training steps under a selection.

        Args:
            selection: weights in [0, 1], `[k]` for all the steps, or `[steps, k]` for each of them.
            steps: how many; a run ends after `total_steps`.

        Raises:
            TrainingDivergedError: a loss or gradient was not finite; the student is as it was before that step.
            ValueError: the run is over, or `selection` is not one.
        """
        if self.step == self.total_steps:
            raise ValueError(f"The run is over after {self.total_steps} steps: call reset.")
        steps = min(steps, self.total_steps - self.step)
        weights = np.atleast_2d(selection_weights(selection, self.names))
        if len(weights) not in (1, steps):
            raise ValueError(f"A selection for each step has {steps} rows, not {len(weights)}.")
        selected = np.flatnonzero(weights.any(axis=0))
        scales = send(torch.from_numpy(self.scales[selected]), self.device)
        by_step = send(torch.from_numpy(weights.take(selected, axis=1)), self.device).expand(steps, -1)
        first_step, rows, befores = self.step, [], []
        self._model.train()
        self.student.head.train()
        with self.account.measure("student"), self._dropout.active():
            for weights_of_step in by_step:
                befores.append((self._batches.position, self._dropout.read()))
                rows.append(self._take_step(selected, weights_of_step, scales))
                self.step += 1
                for callback in self.callbacks:
                    callback.on_step_end(self.step, self.control)
                if self.control.should_training_stop:
                    break
            table = torch.stack(rows).cpu().numpy()  # the phase's only wait for the device
            for callback in self.callbacks:
                callback.on_advance_end()
        losses, signals, grad_norms = np.split(table, [len(selected), len(selected) + len(SIGNALS)], axis=1)
        computed = tuple(self.names[i] for i in selected)
        try:
            check_finite(first_step, losses, grad_norms[:, 0], computed, self.training.learning_rate)
        except TrainingDivergedError as error:
            # The weights were never touched by that step or any after it; the rest goes back to before it.
            self.step = error.step - 1
            self._batches.position, self._dropout.state = befores[self.step - first_step]
            self._updater.go_on()
            self._tell_rewind()
            raise
        return PhaseReport.of_steps(first_step, losses, signals, grad_norms[:, 0], computed)

    def evaluate(self, split: str, examples: int | None = None) -> Evaluation:
        """Measure the student on a split, or on a sample of `examples` of it, the same at every call."""
        encoded, indices = self._sample(split, examples)
        return evaluate(self.student, self.task, encoded, indices, self.training.batch_size, self.dtype)

    def measure_loss(self, split: str, examples: int | None = None) -> float:
        """Measure the student's `loss` alone, as `evaluate` tells it, for less: nothing is decoded or scored."""
        encoded, indices = self._sample(split, examples)
        return mean_loss(self.student, encoded, indices, self.training.batch_size, self.dtype)

    def _sample(self, split: str, examples: int | None) -> tuple[EncodedSplit, NDArray[np.int64]]:
        encoded = self.encoded(split)
        return encoded, encoded.whole_examples(fixed_sample(len(encoded), examples))

    def encoded(self, split: str) -> EncodedSplit:
        """Encode a split on its first use: what is only reported at the end costs nothing before."""
        if split not in self._splits:
            self._splits[split] = self.task.encode(self.task.splits[split], self._tokenizer, self.max_length)
        return self._splits[split]

    @torch.no_grad()
    def mean_cls(self) -> dict[str, NDArray[np.float32]]:
        """Return the mean [CLS] of the last layer over a few training examples, always the same, without dropout.

        Of the student as it is now, `student_cls [D_s]`, and of the (first) teacher, `teacher_cls [D_t]`, which is read
        once. The time is accounted as probing.
        """
        with self.account.measure("probing"):
            if self._teacher_cls is None:
                self._teacher_cls = self._mean_cls_of(self.teachers[0])
            return {"student_cls": self._mean_cls_of(self.student), "teacher_cls": self._teacher_cls}

    def _mean_cls_of(self, classifier: Classifier) -> NDArray[np.float32]:
        train, last = self._splits["train"], classifier.layers
        indices = fixed_sample(len(train), PROBE_EXAMPLES)
        batch = {name: send(value, self.device) for name, value in train.batch(indices).items()}
        classifier.model.eval()
        with autocast(self.device, self.dtype):
            outputs = forward(classifier.model, batch, Needs(hidden_states=frozenset({last})))
        return outputs.hidden_states[last][:, 0].float().mean(0).cpu().numpy()

    @torch.no_grad()
    def look(self, indices: NDArray[np.int64]) -> tuple[dict[str, Tensor], ModelOutputs, ModelOutputs | None]:
        """Return training examples as a batch, and what both models answer to them, without dropout.

        The teacher's answers come from where those of training steps do. The time is accounted as probing.
        """
        with self.account.measure("probing"):
            self._model.eval()
            self.student.head.eval()
            return self._read(indices, Needs(), Needs() if self.teachers else None)

    def snapshot(self) -> Snapshot:
        """Copy everything that the rest of the run depends on."""
        tensors = {f"trained/{name}": value for name, value in self._trained.state_dict().items()}
        tensors |= {f"optimizer/{name}": value for name, value in self._updater.state().items()}
        tensors |= {f"random/{device}": value for device, value in self._dropout.state.items()}
        facts = {"step": self.step, "batches": self._batches.position, "scales": self.scales.tolist()}
        return Snapshot({name: value.detach().clone() for name, value in tensors.items()}, facts)

    def restore(self, snapshot: Snapshot) -> None:
        """Return to the moment of `snapshot`; what follows is equal bit by bit to what followed then.

        Raises:
            KselectError: the snapshot is of another kind of device.
        """
        groups: dict[str, dict[str, Tensor]] = {"trained": {}, "optimizer": {}, "random": {}}
        for name, value in snapshot.tensors.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = value
        if groups["random"].keys() != self._dropout.state.keys():
            raise KselectError(
                f"The run was stopped on another kind of device ({', '.join(groups['random'])}), whose random stream "
                f"cannot go on here: go on with it there, or give --fresh to start over."
            )
        self._trained.load_state_dict(groups["trained"])
        self._restart(seed=0)
        self._updater.restore(groups["optimizer"])
        self._dropout.state = {device: value.clone() for device, value in groups["random"].items()}
        self._batches.position = cast(BatchPosition, snapshot.facts["batches"])
        self.scales = np.array(snapshot.facts["scales"], dtype=np.float32)
        self.step = snapshot.facts["step"]
        self._tell_rewind()

    def _tell_rewind(self) -> None:
        for callback in self.callbacks:
            callback.on_rewind(self.step)

    def _take_step(self, selected: NDArray[np.int64], weights: Tensor, scales: Tensor) -> Tensor:
        """Take one step; returns its losses, signals and gradient norm in one row, still on the device."""
        indices = self._batches.next()
        row = torch.zeros(len(selected) + len(SIGNALS), device=self.device)
        for part in self._parts(indices):
            share = len(part) / len(indices)
            seen = self._compare(part, selected)
            names = tuple(self.names[i] for i in selected)
            total = self.weighting(seen.losses, weights, scales, names, seen.student)
            for callback in self.callbacks:
                callback.on_losses(seen, total)
            (total.mean() * share).backward()
            signals = read_signals(seen.student, seen.teacher, seen.batch.labels)
            row += torch.cat([seen.losses.detach().mean(0), signals]) * share
        grad_norm = clip_grad_norm_(self._trained.parameters(), self.training.max_grad_norm)
        self._updater.update(self.learning_rate, torch.isfinite(grad_norm) & torch.isfinite(row[: len(selected)]).all())
        return torch.cat([row, grad_norm.detach().reshape(1)])

    def _parts(self, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return np.array_split(indices, min(self.training.accumulation, len(indices)))

    def _compare(self, indices: NDArray[np.int64], selected: Iterable[int], live: bool = False) -> TrainingPart:
        """Run both models on training examples as far as `selected` needs them, and compare them; `live`, uncached."""
        chosen = tuple(self.knowledge[i] for i in selected)
        teacher_needs = [knowledge.teacher_needs for knowledge in chosen if knowledge.teacher_needs is not None]
        batch, student, teacher = self._read(
            indices,
            Needs.union(knowledge.student_needs for knowledge in chosen),
            Needs.union(teacher_needs) if teacher_needs else None,
            live,
        )
        parsed: ParsedSentences | None = None
        if self.parsed is not None and any(knowledge.reads_parser for knowledge in chosen):
            with self.account.measure("teacher"):
                parsed = self.parsed.read(indices, live)
        examples = Batch(batch["labels"], self.step / self.total_steps, self.dtype, parsed)
        losses = torch.stack([knowledge.loss(student, teacher, examples) for knowledge in chosen], dim=1)
        answers = student.answer, teacher.answer if teacher else None
        return TrainingPart(self.step + 1, indices, chosen, losses, student.output, *answers, examples)

    def _read(
        self, indices: NDArray[np.int64], student_needs: Needs, teacher_needs: Needs | None, live: bool = False
    ) -> tuple[dict[str, Tensor], ModelOutputs, ModelOutputs | None]:
        """Return a batch of training examples, and what student and teacher give for it."""
        batch = {name: send(value, self.device) for name, value in self._splits["train"].batch(indices).items()}
        teacher: ModelOutputs | None = None
        if teacher_needs is not None:
            with self.account.measure("teacher"):
                teacher = self._teaching.read(indices, batch, teacher_needs, live)
        with autocast(self.device, self.dtype):
            student = forward(self._model, batch, student_needs).under(self.student.head)
            _ = student.answer, teacher.answer if teacher else None  # made here, in the same arithmetic
        return batch, student, teacher

    def _everything_trained(self) -> nn.ModuleDict:
        """The student, and beside it whatever knowledge and weighting must learn."""
        learned = {knowledge.name: knowledge.modules for knowledge in self.knowledge if knowledge.modules is not None}
        beside = {"knowledge": nn.ModuleDict(learned), "weighting": self.weighting}
        return nn.ModuleDict({"student": self._model, "head": self.student.head, **beside}).to(self.device)

    @torch.no_grad()
    def _probe(self) -> dict[str, float]:
        """Measure every knowledge once, without dropout, on a few training examples."""
        self._model.eval()
        self.student.head.eval()
        indices = fixed_sample(len(self._splits["train"]), PROBE_EXAMPLES)
        losses = self._compare(indices, range(len(self.knowledge)), live=True).losses
        return dict(zip(self.names, losses.mean(0).tolist(), strict=True))

    def _scale_of(self, knowledge: Knowledge) -> float:
        if knowledge.scale is not None:
            return knowledge.scale
        return self.task.uninformed_loss / self.reference_losses[knowledge.name]

    def _reference(self, initial_loss: float) -> float:
        """Return what a loss is told relative to: its start, or the loss of knowing nothing where that is rounding."""
        return initial_loss if initial_loss > NEGLIGIBLE else self.task.uninformed_loss


def _as_tuple(teacher: Classifier | Sequence[Classifier] | None) -> tuple[Classifier, ...]:
    if teacher is None:
        return ()
    return (teacher,) if isinstance(teacher, Classifier) else tuple(teacher)
