"""A trained model that answers texts, or sentences of words, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.config.validation import require
from kselect.distillation.device import find_device, resolve_precision
from kselect.distillation.evaluation import answers_of, forward_batches
from kselect.errors import KselectError
from kselect.inference.inputs import as_split
from kselect.inference.probabilities import joined, probabilities
from kselect.inference.saved_task import reads_pairs, saved_task
from kselect.models.classifier import Classifier, input_length
from kselect.models.loading import load_classifier
from kselect.runs.artifacts import find_model, find_policy, find_settings
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.splits import Examples, Split
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.encoding import EncodedWords
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.tagging_task import WordTask

BATCHES = 16
"""Batches that are read ahead and sorted by length, so that little of them is padding."""


class Prediction(NamedTuple):
    """The answer to one input.

    Attributes:
        answer: the name of a class; a score; the tags of n words, `[n]`; or a `ParseTree` of them.
        probabilities: of classes, `[K]`, in the order of `Predictor.labels`; of tags, `[n, K]`; of heads, the root
            first, `[n, 1 + n]`. None where they were not asked for.
    """

    answer: Any
    probabilities: NDArray[np.float32] | None = None


class ParseTree(NamedTuple):
    """A dependency tree of n words.

    Attributes:
        heads: position of each word's head, from 1, and 0 for the root, `[n]`.
        relations: relation of each word to its head, `[n]`.
    """

    heads: tuple[int, ...]
    relations: tuple[str, ...]


class Predictor:
    """A model on its device, as `kselect.load` returns it.

    Attributes:
        classifier: model, head and tokenizer.
        task: what it answers.
        dtype: dtype of forward passes.
        max_length: longest input in tokens: longer texts are cut, longer sentences of words read in pieces.
        batch_size: inputs per forward pass.
        pairs: whether it was trained on pairs of texts rather than single ones; None where that is not known.
        truncated: number of texts that were cut so far.
        in_pieces: number of sentences that were read in pieces so far.
    """

    def __init__(
        self,
        classifier: Classifier,
        task: Task,
        dtype: torch.dtype,
        max_length: int,
        batch_size: int = 64,
        pairs: bool | None = None,
    ) -> None:
        self.classifier = classifier
        self.task = task
        self.dtype = dtype
        self.max_length = max_length
        require(batch_size > 0, f"batch_size is {batch_size}: give a positive number.", "batch_size")
        self.batch_size = batch_size
        self.pairs = pairs
        self.truncated = self.in_pieces = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, of the tags, or of the relations; empty for a regression."""
        return self.task.labels

    def predict(self, inputs: Iterable[Any]) -> list[Any]:
        """Return the answer to each input, see `Prediction`.

        Args:
            inputs: texts, or pairs of them; for a model of words, sentences as lists of words.

        Raises:
            KselectError: an input of another kind than the model was trained on.
        """
        return [prediction.answer for prediction in self.stream(inputs)]

    def predict_proba(self, inputs: Iterable[Any]) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Return the probabilities for each input, see `Prediction`: for texts `[N, K]`, for sentences N arrays.

        Raises:
            KselectError: an input of another kind, or a regression, which has no probabilities.
        """
        found = [prediction.probabilities for prediction in self.stream(inputs, probabilities=True)]
        arrays = [each for each in found if each is not None]
        if not isinstance(self.task, TextTask):
            return arrays
        return np.stack(arrays) if arrays else np.empty((0, len(self.labels)), dtype=np.float32)

    def stream(self, inputs: Iterable[Any], probabilities: bool = False) -> Iterator[Prediction]:
        """Yield a prediction for each input, in order; only a few batches are in memory at a time.

        Args:
            inputs: as `predict` takes them; read as predictions are asked for.
            probabilities: whether to compute them, too.
        """
        if isinstance(inputs, str):
            raise KselectError("The inputs are a single text: give a list of texts.")
        source = iter(inputs)
        while chunk := list(islice(source, BATCHES * self.batch_size)):
            yield from self.predict_split(as_split(chunk, self.task), probabilities)

    def predict_split(self, split: Examples, probabilities: bool = False) -> list[Prediction]:
        """Return a prediction for each example of a split, in order; see `stream`.

        Raises:
            KselectError: pairs of texts for a model that was trained on single ones, or the reverse.
        """
        if isinstance(split, Split) and self.pairs not in (None, split.text_b is not None):
            learned, given = ("pairs of texts", "single ones") if self.pairs else ("single texts", "pairs")
            raise KselectError(
                f"The model was trained on {learned}, and these are {given}: give it {learned}.", setting="text_columns"
            )
        encoded = self.task.encode(split, self.classifier.tokenizer, self.max_length)
        self.truncated += encoded.truncated
        self.in_pieces += encoded.in_pieces
        answers, found = self._forward(encoded, probabilities)
        indices = np.arange(len(encoded))
        if isinstance(self.task, WordTask):
            assert isinstance(encoded, EncodedWords)
            return self._of_words(self.task, encoded, answers, found)
        if isinstance(self.task, TextTask) and self.task.multi_label:
            present = [np.flatnonzero(answers[i]).tolist() for i in indices]
            names: Sequence[Any] = [[self.labels[label] for label in labels] for labels in present]
        else:
            names = [answers[i].item() for i in indices]
            names = [self.labels[label] for label in names] if self.labels else names
        return [Prediction(*pair) for pair in zip(names, found, strict=True)]

    def _of_words(
        self, task: WordTask[Any], encoded: EncodedWords, answers: list[NDArray[Any]], found: list[Any]
    ) -> list[Prediction]:
        indices = np.arange(len(encoded))
        whole = task.answers(answers, encoded, indices)
        trees = isinstance(task, ParsingTask)
        shares = {
            number: joined(pieces, trees)
            for number, pieces in encoded.whole(found, indices).items()
            if pieces[0][1] is not None
        }
        return [
            Prediction(ParseTree(*whole[number]) if trees else whole[number], shares.get(number))
            for number in range(len(encoded.split))
        ]

    @torch.no_grad()
    def _forward(self, encoded: EncodedSplit, wanted: bool) -> tuple[list[NDArray[Any]], list[Any]]:
        """Return the answer to each encoded example, like its labels, and its probabilities, or None."""
        indices = np.arange(len(encoded))
        answers: list[NDArray[Any]] = [np.empty(0)] * len(encoded)
        found: list[NDArray[np.float32] | None] = [None] * len(encoded)
        for rows, _, outputs in forward_batches(self.classifier, encoded, indices, self.batch_size, self.dtype):
            for row, answer in zip(rows, answers_of(outputs, encoded, rows), strict=True):
                answers[row] = answer
            if wanted:
                shares = probabilities(outputs.answer).float().cpu().numpy()
                for row, each in zip(rows, shares, strict=True):
                    found[row] = encoded.trimmed(each, int(row))
        return answers, found


def load(
    path: str | Path,
    *,
    batch_size: int = 64,
    max_length: int | None = None,
    precision: str = "auto",
    device: str = "auto",
) -> Predictor:
    """Load a trained model to answer texts, or sentences of words.

    Args:
        path: the folder of a run, or of a student or a teacher in it; a hub id; or the folder of any classifier of
            texts or of words that transformers saved.
        batch_size: inputs per forward pass.
        max_length: longest input in tokens; by default that of the run, or else the task's usual one.
        precision: bf16 or fp32; auto is bf16 where the hardware supports it natively.
        device: cpu, cuda, mps; auto is the CUDA device if there is one.

    Raises:
        KselectError: no model there, or a policy, which answers no texts.
    """
    folder, policy = find_model(str(path)), find_policy(str(path))
    if folder == str(path) and policy is not None:
        raise KselectError(f"{path} is a policy, which selects knowledge: give a model, or load it with load_agent.")
    settings = find_settings(folder)
    task = saved_task(folder, settings)
    length = settings.get("max_length") if max_length is None else max_length
    return load_predictor(folder, task, batch_size=batch_size, max_length=length, precision=precision, device=device)


def load_predictor(
    path: str | Path,
    task: Task,
    *,
    batch_size: int = 64,
    max_length: int | None = None,
    precision: str = "auto",
    device: str = "auto",
) -> Predictor:
    """Load a model of a task; see `load` for the other arguments."""
    place = find_device(device)
    classifier = load_classifier(path, task).to(place)
    length = input_length(classifier, max_length, task.usual_length)
    pairs = reads_pairs(find_settings(str(path)))
    return Predictor(classifier, task, resolve_precision(precision, place), length, batch_size, pairs)
