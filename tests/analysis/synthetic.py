"""Worlds small enough to know all about them, in each of which one level of knowledge alone tells anything.

Texts on topics (`kselect.tasks.synthetic.topics`), a teacher whose probabilities are set by hand, and students that are
linear in the counts of words: the synthetic setting of Tang et al. (2020), trained by the same distiller as any
other student.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.models.classifier import Classifier
from kselect.models.label_names import label_settings
from kselect.tasks.synthetic.tasks import SyntheticTask
from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer
from kselect.tasks.synthetic.topics import Topics
from kselect.tasks.task import TextTask, build_task


class BagConfig(PretrainedConfig):
    """What a bag of words is: its vocabulary, its labels, and one layer of each thing that encoders have."""

    model_type = "bag-of-words"
    vocab_size: int = 1
    hidden_size: int = 1
    num_hidden_layers: int = 1
    num_attention_heads: int = 1


class Counts(nn.Module):
    """Counts the tokens of each text."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return how often each token stands in each text, `[B, V]`."""
        counts = torch.zeros(len(input_ids), self.size, device=input_ids.device)
        return counts.scatter_add_(1, input_ids, attention_mask.float())


class BagOfWords(PreTrainedModel):
    """Softmax regression on counts of words: every word has a weight for every class, at first 0."""

    config_class = BagConfig
    base_model_prefix = "counts"

    def __init__(self, config: BagConfig) -> None:
        super().__init__(config)
        self.counts = Counts(config.vocab_size)
        self.classifier = nn.Linear(config.vocab_size, int(config.num_labels or 0))
        self.post_init()
        for parameter in self.classifier.parameters():
            nn.init.zeros_(parameter)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> SequenceClassifierOutput:
        """Return logits, `[B, K]`."""
        return SequenceClassifierOutput(logits=self.classifier(self.counts(input_ids, attention_mask)))


@dataclass(frozen=True)
class World:
    """Texts whose labels are hard to learn from so few of them, and a teacher that knows what words mean.

    topics: of the texts. train, dev: how many texts. noise: share of train's labels that are wrong. own, shared: what
    the teacher adds to a topic's logit for each of its own words, and for each of its field's; it minds no others.
    training: of the students. Every seed of a ladder has data of its own.
    """

    topics: Topics
    own: float
    shared: float = 0.0
    train: int = 96
    dev: int = 500
    noise: float = 0.0
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=20, batch_size=32, learning_rate=0.05, weight_decay=0.0, precision="fp32"
        )
    )

    def task(self, seed: int) -> TextTask:
        """Draw the texts."""
        drawn = SyntheticTask(self.topics.labels, ("accuracy",), self.topics.text, self.train, self.dev, self.noise)
        train, dev = drawn.generate(seed)
        return build_task("topics", self.topics.labels, {"train": train, "dev": dev}, ["accuracy"], seed=seed)

    def student(self, task: TextTask) -> Classifier:
        """Return a bag of words that knows nothing."""
        tokenizer = synthetic_tokenizer(64, self.topics.vocabulary())
        return Classifier(BagOfWords(BagConfig(vocab_size=len(tokenizer), **label_settings(task))), tokenizer)

    def teacher(self, task: TextTask) -> Classifier:
        """Return a bag of words that knows what the words of topics and fields mean."""
        teacher = self.student(task)
        with _writing(teacher) as weight:
            for word, token in teacher.tokenizer.get_vocab().items():
                of = word.partition("w")[0]
                for label, topic in enumerate(task.labels):
                    if of == topic:
                        weight[label, token] = self.own
                    elif of == topic[0]:
                        weight[label, token] = self.shared
        return teacher

    def distiller(self, seed: int, knowledge: KnowledgeConfig, teacher: Classifier | None = None) -> Distiller:
        """Return the run of a seed, by default under the world's own teacher."""
        task = self.task(seed)
        return Distiller(task, teacher or self.teacher(task), self.student(task), self.training, knowledge, 64)

    def shortened(self, epochs: float) -> World:
        """Return the world with students that train for so many epochs."""
        return replace(self, training=replace(self.training, epochs=epochs))

    def sharpened(self, factor: float) -> World:
        """Return the world with a teacher whose logits are multiplied, as by another temperature."""
        return replace(self, own=self.own * factor, shared=self.shared * factor)


@contextmanager
def _writing(classifier: Classifier) -> Iterator[Tensor]:
    """Give the weights of a bag of words, `[K, V]`, to be set."""
    layer = classifier.model.get_submodule("classifier")
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        yield layer.weight


SIMILARITY = World(
    Topics(fields=4, per_field=5, own=(1,), shared=(3,), common=4, own_words=4, field_words=24, common_words=16),
    # So chosen that at τ = 0.3 the softmax over cosines of the weights is what the teacher says of each text.
    own=4 / 3,
    shared=2 / 3,
)
"""Every text has as many words of its topic and of its field: the teacher tells nothing but which classes are alike."""

CONFIDENCE = World(
    Topics(fields=8, per_field=1, own=(0, 0, 2), shared=(0,), common=6, own_words=6, field_words=1, common_words=24),
    own=4.0,
    train=160,
)
"""Most texts tell nothing of their label, and no two classes are alike: it tells nothing but which texts to trust."""

NOISE = World(
    Topics(fields=8, per_field=1, own=(2,), shared=(0,), common=6, own_words=6, field_words=1, common_words=24),
    own=0.0,
    train=48,
    noise=0.3,
    training=TrainingConfig(epochs=30, batch_size=32, learning_rate=0.2, weight_decay=0.0, precision="fp32"),
)
"""Labels are noisy and learned by heart, and to the teacher all are alike: it tells nothing but to trust none."""

EVERYTHING = World(
    Topics(
        fields=4, per_field=3, own=(0, 0, 0, 2), shared=(0, 2), common=5, own_words=5, field_words=10, common_words=20
    ),
    own=4.0,
    shared=2.0,
    train=200,
)
"""Many texts tell little of their label, and some classes are alike: all levels are there, and the instance most."""
