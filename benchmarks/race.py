"""What all libraries of a comparison are given alike: models, data, losses and settings of training."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pair import CACHED
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import PreTrainedModel

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import evaluate
from kselect.distillation.sampler import BucketSampler
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from kselect.tasks.encoding import EncodedSplit, encode
from kselect.tasks.task import Task

KNOWLEDGE = ("gold", "logits", "hidden")
TEMPERATURE = 2.0

Padding = Literal["bucketed", "longest", "longest possible"]


@dataclass
class Race:
    """One distillation that several libraries run: a 3-layer student, gold labels, logits and hidden states."""

    task: Task
    teacher: Classifier
    training: TrainingConfig
    max_length: int
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        distiller = self.distiller()
        scales = {name: float(scale) for name, scale in zip(distiller.names, distiller.scales, strict=True)}
        self.factors = {name: scale / len(scales) for name, scale in scales.items()}
        self.pairs = [(layer, layer * self.teacher.layers // 3) for layer in (1, 2, 3)]
        self.device, self.dtype = distiller.device, distiller.dtype
        self.total_steps = distiller.total_steps
        self.train = self._encoded("train")
        self.dev = self._encoded("dev")

    def distiller(self, **settings: Any) -> Distiller:
        """Set up kselect's own run, under further settings of `KnowledgeConfig`."""
        offered = KnowledgeConfig(knowledge=list(KNOWLEDGE), temperature=TEMPERATURE, **CACHED | settings)
        return Distiller(self.task, self.teacher, shrink(self.teacher, 3), self.training, offered, self.max_length)

    def student(self, dtype: torch.dtype) -> PreTrainedModel:
        """Return a fresh student whose forward pass is in arithmetic of `dtype`."""
        return _in(dtype, shrink(self.teacher, 3).to(self.device).model)

    def teacher_model(self, dtype: torch.dtype) -> PreTrainedModel:
        """Return a copy of the teacher whose forward pass is in arithmetic of `dtype`."""
        return _in(dtype, copy.deepcopy(self.teacher).to(self.device).model.eval())

    def loader(self, padding: Padding, seed: int) -> DataLoader[Any]:
        """Return batches: kselect's own; in random order, padded to the longest; the same, padded to `max_length`."""
        examples = Examples(self.train)
        if padding == "bucketed":
            order = Buckets(BucketSampler(self.train.lengths, self.training.batch_size, seed))
            return DataLoader(examples, batch_sampler=order, collate_fn=self.train.batch)
        fixed = self.max_length if padding == "longest possible" else 1
        return DataLoader(
            examples,
            batch_size=self.training.batch_size,
            shuffle=True,
            collate_fn=lambda indices: self.train.batch(indices, pad_to_multiple_of=fixed),
        )

    def score(self, model: PreTrainedModel) -> float:
        """Return the task's score of a student on dev."""
        classifier, everything = Classifier(model, self.teacher.tokenizer), np.arange(len(self.dev))
        found = evaluate(classifier, self.task, self.dev, everything, self.training.batch_size, self.dtype)
        return found.metrics["score"]

    def _encoded(self, split: str) -> EncodedSplit:
        return encode(self.task.splits[split], self.teacher.tokenizer, self.max_length)


class Examples(Dataset[int]):
    """The numbers of a split's examples, which the collation turns into a batch."""

    def __init__(self, encoded: EncodedSplit) -> None:
        self.encoded = encoded

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.encoded)

    def __getitem__(self, index: int) -> int:
        return index


class Buckets(Sampler[list[int]]):
    """The batches of `BucketSampler`, an epoch at each iteration."""

    def __init__(self, batches: BucketSampler) -> None:
        self.batches = batches

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.batches.batches_per_epoch

    def __iter__(self) -> Iterator[NDArray[np.int64]]:  # type: ignore[override]  # an array is as good as a list
        return (self.batches.next_batch() for _ in range(len(self)))


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return `KL(p || q)` of the softened distributions, a mean over the batch, without T²."""
    q, p = (torch.log_softmax(logits.float() / TEMPERATURE, dim=-1) for logits in (student, teacher))
    return torch.nn.functional.kl_div(q, p, reduction="batchmean", log_target=True)


def _in(dtype: torch.dtype, model: PreTrainedModel) -> PreTrainedModel:
    if dtype != torch.float32:
        model.forward = torch.autocast(model.device.type, dtype=dtype)(model.forward)
    return model
