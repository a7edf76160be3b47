"""What a model does class by class: precision, recall and F1 of each, and which is taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.conllu import universal
from kselect.tasks.words.encoding import EncodedWords
from kselect.tasks.words.metrics import span_scores_by_label
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.schemes import OUTSIDE, PLAIN
from kselect.tasks.words.tagging_task import TaggingTask


class ClassScores(NamedTuple):
    """Scores of one class in [0, 1], and how many gold examples, words or spans it has."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ClassReport:
    """Scores by class, and the confusion matrix.

    Attributes:
        scores: of each class: of texts, of words by their tag, of spans by their label (a span is right where both ends
            and the label are), or of arcs by their relation (an arc is right where head and relation are).
        names: of the rows and columns of `confusion`: classes of texts, or of words; none where a text may have
            several labels.
        confusion: number of texts or words by gold class and predicted class, `[K, K]`.
    """

    scores: dict[str, ClassScores]
    names: list[str]
    confusion: NDArray[np.int64]

    @property
    def macro_f1(self) -> float:
        """The plain mean of the F1 of the classes."""
        return float(np.mean([scores.f1 for scores in self.scores.values()]))

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        scores = {name: each._asdict() for name, each in self.scores.items()}
        return {**asdict(self), "scores": scores, "confusion": self.confusion.tolist(), "macro_f1": self.macro_f1}


@singledispatch
def class_report(
    task: Task[Any], predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
) -> ClassReport | None:
    """Return the report on predictions for the examples `indices` of an encoded split; None for a regression.

    Args:
        task: what is predicted.
        predictions: like labels, in the order of `indices`.
        encoded: the split.
        indices: `[n]`.
    """
    raise TypeError(f"No classes are known of a {type(task).__name__}.")


@class_report.register
def _(
    task: TextTask, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
) -> ClassReport | None:
    if task.regression:
        return None
    if task.multi_label:
        present, found = encoded.labels[indices] == 1, np.stack(predictions) == 1
        counts = ((present & found).sum(axis=0), found.sum(axis=0), present.sum(axis=0))
        scores = {name: _scores(*map(int, each)) for name, *each in zip(task.labels, *counts, strict=True)}
        return ClassReport(scores, [], np.zeros((0, 0), dtype=np.int64))
    gold = [task.labels[label] for label in encoded.labels[indices]]
    return _of_items(gold, [task.labels[int(label)] for label in predictions], list(task.labels))


@class_report.register
def _(
    task: TaggingTask, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
) -> ClassReport:
    assert isinstance(encoded, EncodedWords)
    found = task.tags(predictions, encoded, indices)
    gold = [encoded.split.sentences[number].tags for number in found]
    scheme, labels = task.tag_set.scheme, task.tag_set.labels
    if scheme == PLAIN:
        return _of_items(_flat(gold), _flat(found.values()), list(labels))
    of_words = [[tag.partition("-")[2] or tag for tag in _flat(tags)] for tags in (gold, found.values())]
    report = _of_items(of_words[0], of_words[1], [OUTSIDE, *labels])
    by_label = span_scores_by_label(list(found.values()), gold, scheme)
    scores = {label: ClassScores(*by_label.get(label, (0.0, 0.0, 0.0, 0))) for label in labels}
    return ClassReport(scores, report.names, report.confusion)


@class_report.register
def _(
    task: ParsingTask, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
) -> ClassReport:
    assert isinstance(encoded, EncodedWords)
    found = task.answers(predictions, encoded, indices)
    sentences = [encoded.split.sentences[number] for number in found]
    gold = [universal(relation) for sentence in sentences for relation in sentence.relations]
    predicted = [universal(relation) for _, relations in found.values() for relation in relations]
    gold_heads = [head for sentence in sentences for head in sentence.heads]
    heads = [head for heads, _ in found.values() for head in heads]
    report = _of_items(gold, predicted, sorted({*map(universal, task.labels)}))
    right = Counter(g for g, p, i, j in zip(gold, predicted, gold_heads, heads, strict=True) if (g, i) == (p, j))
    golds, counts = Counter(gold), Counter(predicted)
    scores = {name: _scores(right[name], counts[name], golds[name]) for name in report.names}
    return ClassReport(scores, report.names, report.confusion)


def _scores(right: int, predicted: int, gold: int) -> ClassScores:
    precision, recall = (right / count if count else 0.0 for count in (predicted, gold))
    return ClassScores(precision, recall, 2 * right / (predicted + gold) if right else 0.0, gold)


def _of_items(gold: Sequence[str], predicted: Sequence[str], known: list[str]) -> ClassReport:
    """Return the report on single items; classes that the task does not have come last."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    names = [*known, *sorted({*gold, *predicted} - {*known})]
    columns = precision_recall_fscore_support(gold, predicted, labels=names, zero_division=0.0)
    scores = {
        name: ClassScores(float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(names, *columns, strict=True)
    }
    return ClassReport(scores, names, confusion_matrix(gold, predicted, labels=names))


def _flat(tags: Any) -> list[str]:
    return [tag for sentence in tags for tag in sentence]
