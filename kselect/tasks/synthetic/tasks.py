"""A synthetic suite in GLUE's style, generated from a seeded grammar: no download, and known difficulty.

The labels of dev are those of the grammar, as many of each class, so constant prediction has an accuracy of 1 / K.
In train a known share of the labels is flipped: a student that fits its gold labels fits their noise, too.
The reward split is drawn from train and shares its noise: a perfect model scores about 1 - noise there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from kselect.errors import KselectError
from kselect.tasks.splits import Split
from kselect.tasks.synthetic import acceptability, entailment, lexicon
from kselect.tasks.synthetic.topics import Topics


@dataclass(frozen=True)
class SyntheticTask:
    """A generated task of K classes."""

    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    example: Callable[[Random, int], tuple[str, str | None]]
    """Draws the text, or pair, of an example of a given label."""
    train_size: int
    dev_size: int
    noise: float
    """Share of each class's training labels that are flipped, to any of the others."""
    vocabulary: Callable[[], tuple[str, ...]] = lexicon.vocabulary
    """Returns all words of its texts."""

    @property
    def pairs(self) -> bool:
        """Whether its examples are pairs of texts."""
        return self.example(Random(0), 0)[1] is not None

    def generate(self, seed: int) -> tuple[Split, Split]:
        """Return (train, dev), balanced and without a text in common, the same for the same seed."""
        random = Random(seed)
        seen: set[tuple[str, str | None]] = set()
        dev = self._draw(random, self.dev_size, seen)
        train = self._draw(random, self.train_size, seen)
        labels = list(train.labels)
        for label in range(len(self.labels)):
            own = [index for index, value in enumerate(train.labels) if value == label]
            for index in random.sample(own, round(self.noise * len(own))):
                labels[index] = self._other(random, label)
        return Split(train.text_a, train.text_b, labels), dev

    def _other(self, random: Random, label: int) -> int:
        classes = len(self.labels)
        return 1 - label if classes == 2 else (label + random.randrange(1, classes)) % classes

    def _draw(self, random: Random, size: int, seen: set[tuple[str, str | None]]) -> Split:
        examples: list[tuple[str, str | None]] = []
        while len(examples) < size:
            example = self.example(random, len(examples) % len(self.labels))
            if example not in seen:
                seen.add(example)
                examples.append(example)
        seconds = [second for _, second in examples if second is not None]
        labels = [index % len(self.labels) for index in range(size)]
        return Split([first for first, _ in examples], seconds or None, labels)


TOPICS = Topics()

SYNTHETIC_TASKS = {
    "synthetic-acceptability": SyntheticTask(
        labels=("unacceptable", "acceptable"),
        metrics=("matthews",),
        example=acceptability.sentence,
        train_size=6000,
        dev_size=1000,
        noise=0.1,
    ),
    "synthetic-entailment": SyntheticTask(
        labels=("entailment", "not_entailment"),
        metrics=("accuracy",),
        example=entailment.pair,
        train_size=6000,
        dev_size=1000,
        noise=0.1,
    ),
    "synthetic-topics": SyntheticTask(
        labels=TOPICS.labels,
        metrics=("accuracy",),
        example=TOPICS.text,
        train_size=6000,
        dev_size=1000,
        noise=0.1,
        vocabulary=TOPICS.vocabulary,
    ),
}


def check_generated(name: str) -> None:
    """Refuse a task that an encoder from scratch has no vocabulary for: any that is not generated."""
    if name not in SYNTHETIC_TASKS:
        raise KselectError(f"{name} needs a pretrained encoder: give its folder or Hub id.", setting="encoder")
