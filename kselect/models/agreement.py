"""Whether a loaded model's predictions agree with a task's labels, on examples outside of dev."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.models.classifier import Classifier, input_length
from kselect.models.labels import CLEAR, SWAPPED, best_order
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.splits import subsample
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.encoding import EncodedWords
from kselect.tasks.words.schemes import convert
from kselect.tasks.words.tagging_task import TaggingTask

EXAMPLES = 200
"""Examples that judge: of the reward split and, where it has fewer, of train."""
GOOD = 0.8
"""Share of words that a model must have right in the other scheme; a weak model may not know where spans begin."""
FEW = 20
"""Fewer examples do not judge a unit."""
BATCH = 20
OTHER_SCHEMES = {"iob1": "iob2", "iob2": "iob1"}
"""Schemes whose tags have the same names."""


def check_labels(classifier: Classifier, task: TextTask, path: str | Path, unnamed: bool) -> None:
    """Refuse labels that clearly mean others of the task's, named or not.

    Labels without names are reported, and so is a model that is worse than the constant prediction.
    """
    labels = ", ".join(task.labels)
    if unnamed:
        _warn_once(f"{path} does not name its labels: they are taken to be {labels}, in this order.")
    examples = _examples(classifier, task)
    if sum(map(len, examples)) < 2:
        return
    gold = np.concatenate([split.labels for split in examples])
    answers = np.concatenate([logits.argmax(-1) for split in examples for logits in _outputs(classifier, split)])
    order = best_order(answers, gold, len(task.labels))
    most_frequent = int(np.bincount(gold).argmax())
    constant = gold == most_frequent
    # A model that always gives one label is not in another order; see `best_order` for the half that judges.
    if order.clear and order.right_as_meant > constant[1::2].mean() + SWAPPED:
        names = "does not name its labels" if unnamed else f"names its labels {labels} (in the task's order)"
        raise KselectError(
            f"{path} {names}, and of {order.judged} labelled examples is right on {order.right_as_meant:.0%} if they "
            f"are {', '.join(task.labels[label] for label in order.meant)}, on {order.right:.0%} if {labels}: name "
            "them as id2label in its config.json."
        )
    losses = constant.astype(float) - (answers == gold)
    if losses.sum() > CLEAR * np.sqrt((losses**2).sum()):
        _warn_once(
            f"{path} is right on {(answers == gold).mean():.0%} of {len(gold)} labelled examples, and the constant "
            f"prediction '{task.labels[most_frequent]}' on {constant.mean():.0%}: it was not trained on "
            "these labels."
        )


def check_unit(classifier: Classifier, task: TextTask, path: str | Path) -> None:
    """Refuse scores in another unit than the task's; report scores that are worse than the mean score."""
    examples = _examples(classifier, task)
    if sum(map(len, examples)) < FEW:
        return
    gold = np.concatenate([split.labels for split in examples]).astype(float)
    scores = np.concatenate([logits[:, 0] for split in examples for logits in _outputs(classifier, split)]).astype(
        float
    )
    error, variance = float(((gold - scores) ** 2).mean()), float(gold.var())
    slope, shift = np.polyfit(scores, gold, 1) if np.ptp(scores) > 0 else (0.0, gold.mean())
    fitted = float(((gold - slope * scores - shift) ** 2).mean())
    measured = f"of {len(gold)} labelled examples its squared error is {error:.3g}, and the variance {variance:.3g}"
    if error - fitted > 0.25 * variance and fitted < 0.75 * variance:
        raise KselectError(
            f"{path} predicts scores in another unit: {measured}; {slope:.2f} times its score {shift:+.2f} would have "
            f"an error of {fitted:.3g}. Give a model fine-tuned on these scores, or scores in its unit."
        )
    if error > variance:
        _warn_once(f"{path} is worse than the mean score: {measured}.")


def check_scheme(classifier: Classifier, task: TaggingTask, path: str | Path) -> None:
    """Refuse tags in IOB1 where the task has IOB2, and the reverse, which have the same names."""
    other = OTHER_SCHEMES.get(task.tag_set.scheme)
    if other is None:
        return
    right, words = np.zeros(2, dtype=int), 0
    for split in _examples(classifier, task):
        assert isinstance(split, EncodedWords)
        predictions = [tags for batch in _outputs(classifier, split) for tags in batch]
        for piece, gold, tags in zip(split.pieces, split.labels, predictions, strict=True):
            converted = task.tag_set.ids(convert(split.split.sentences[piece.sentence].tags, other))
            others = np.asarray(converted[piece.first : piece.last])
            differ = others != gold
            words += int(differ.sum())
            right += [int((tags[: len(gold)] == known)[differ].sum()) for known in (gold, others)]
    here, there = right.tolist()
    if there - here > CLEAR * np.sqrt(here + there) and there > GOOD * words:
        raise KselectError(
            f"{path} predicts tags in {other.upper()}, and {task.name} has {task.tag_set.scheme.upper()} (where the "
            f"two differ it is right on {there} words and on {here}): give {other} as scheme.",
            setting="scheme",
        )


def _examples(classifier: Classifier, task: Task[Any]) -> list[EncodedSplit]:
    """Return the examples that judge, encoded: of the reward split and, where it has few, of train."""
    examples: list[EncodedSplit] = []
    left = EXAMPLES
    for name in ("reward", "train"):
        if name in task.splits and left and (name != "train" or task.is_labelled):
            split = subsample(task.splits[name], left, seed=0)
            length = input_length(classifier, None, task.usual_length)
            examples.append(task.encode(split, classifier.tokenizer, length))
            left -= len(split)
    return examples


@torch.no_grad()
def _outputs(classifier: Classifier, examples: EncodedSplit) -> Sequence[NDArray[Any]]:
    """Return logits `[b, K]` or, of words, predictions `[b, W, ...]`, by batch."""
    classifier.model.eval()
    outputs = []
    for rows in np.array_split(np.arange(len(examples)), -(-len(examples) // BATCH)):
        given = forward(classifier.model, examples.batch(rows), Needs())
        words = given.word_mask is not None
        outputs.append((given.under(classifier.head).answer.predict() if words else given.logits).numpy())
    return outputs


@cache
def _warn_once(line: str) -> None:
    get_logger().warning(line)
