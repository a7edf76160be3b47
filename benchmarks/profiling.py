"""Where the time of a training step goes.

    python benchmarks/profiling.py [--hidden_size 384] [--tokens 64] [--steps 5]

A 6-layer teacher whose outputs are cached and its 3-layer student (BERT, heads of 32, random weights), batches of 32
texts of one length. Gold labels, gold beside each default knowledge, and all of them take turns, a step each. The table
has milliseconds of processor time, which other processes on the machine hardly change, measured around the calls that
a step is made of; what a part measured inside another takes is not the outer one's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any
from unittest.mock import patch

import numpy as np
from transformers import BertConfig, BertForSequenceClassification

from kselect.cli.table import print_table
from kselect.config import TrainingConfig
from kselect.config.knowledge import DEFAULT_KNOWLEDGE
from kselect.distillation import distiller as module
from kselect.distillation.distiller import Distiller
from kselect.models.classifier import Classifier, label_settings
from kselect.models.shrink import shrink
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.split import Split
from kselect.tasks.task import Task
from kselect.tasks.tokenizer import synthetic_tokenizer

BATCH, HEAD = 32, 32
STEPS_AHEAD = 10**7  # so long a run never leaves its warm-up: the student stays where it is


class Stopwatch:
    """Processor time by part, parts inside others taken out of them."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inner: list[float] = []

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, whose time is counted as `part`."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            self._inner.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                elapsed = time.process_time() - start
                self.seconds[part] += elapsed - self._inner.pop()
                if self._inner:
                    self._inner[-1] += elapsed

        return call


def make_distiller(hidden_size: int, tokens: int) -> Distiller:
    """Set up a run on random words."""
    tokenizer = synthetic_tokenizer(tokens)
    words = [word for word in tokenizer.get_vocab() if word.isalpha()]
    generator = np.random.default_rng(0)

    def split(size: int) -> Split:
        return Split([" ".join(generator.choice(words, tokens - 2)) for _ in range(size)], None, [0, 1] * (size // 2))

    task = Task(
        "profile", ("no", "yes"), {"train": split(4 * BATCH), "reward": split(2), "dev": split(2)}, ("accuracy",)
    )
    sizes = {
        "hidden_size": hidden_size,
        "num_attention_heads": hidden_size // HEAD,
        "intermediate_size": 4 * hidden_size,
    }
    config = BertConfig(num_hidden_layers=6, max_position_embeddings=tokens, **label_settings(task), **sizes)
    teacher = Classifier(BertForSequenceClassification(config), tokenizer)
    return Distiller(task, teacher, shrink(teacher, 3), TrainingConfig(epochs=STEPS_AHEAD / 4), max_length=tokens)


def watched(distiller: Distiller, watch: Stopwatch) -> ExitStack:
    """Let `watch` measure the parts of `distiller`'s steps while the context lasts."""
    parts: list[tuple[str, Any, str]] = [
        ("collating", EncodedSplit, "batch"),
        ("reading the teacher", distiller.teacher_outputs, "read"),
        ("student's forward", module, "forward"),
        ("backward", distiller.accelerator, "backward"),
        ("clipping", module, "clip_grad_norm_"),
        ("update", distiller, "_update"),
        ("signals", module, "read_signals"),
        ("the rest", distiller, "advance"),
    ]
    parts += [("losses", knowledge, "loss") for knowledge in distiller.knowledge]
    stack = ExitStack()
    for part, owner, name in parts:
        stack.enter_context(patch.object(owner, name, watch.timed(part, getattr(owner, name))))
    return stack


def main() -> None:
    """Take the steps and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden_size", type=int, default=384, help="width of both models, a multiple of 32")
    parser.add_argument("--tokens", type=int, default=64, help="length of the texts")
    parser.add_argument("--steps", type=int, default=5, help="steps of each selection")
    options = parser.parse_args()

    distiller = make_distiller(options.hidden_size, options.tokens)
    selections = {
        "gold": ("gold",),
        **{name: ("gold", name) for name in DEFAULT_KNOWLEDGE[1:]},
        "all": DEFAULT_KNOWLEDGE,
    }
    taken: dict[str, list[Counter[str]]] = {name: [] for name in selections}
    for number in range(options.steps + 1):
        for name, kinds in selections.items():
            watch = Stopwatch()
            with watched(distiller, watch):
                distiller.advance([float(one in kinds) for one in distiller.names], 1)
            if number > 0:  # the first fills the cache
                taken[name].append(watch.seconds)

    parts = list(dict.fromkeys(part for steps in taken.values() for step in steps for part in step))
    rows = []
    for part in sorted(parts, key=lambda part: -statistics.median(step[part] for step in taken["all"])):
        rows.append([part, *(f"{1000 * statistics.median(s[part] for s in steps):.1f}" for steps in taken.values())])
    whole = {name: statistics.median(sum(step.values()) for step in steps) for name, steps in taken.items()}
    rows.append(["whole step", *(f"{1000 * seconds:.1f}" for seconds in whole.values())])
    rows.append(["/ gold", *(f"{seconds / whole['gold']:.3f}" for seconds in whole.values())])
    title = f"Milliseconds of a step, 6 -> 3 layers, {options.hidden_size} wide, {BATCH} x {options.tokens} tokens"
    print_table(
        f"{title}, median of {options.steps}", ["part", "gold", *(f"+ {n}" for n in list(taken)[1:-1]), "all"], rows
    )


if __name__ == "__main__":
    main()
