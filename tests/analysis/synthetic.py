"""Synthetic worlds, in each of which a single level of knowledge is present.

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
    """Configuration of a bag of words, with the sizes that encoders have."""

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
        """Return the count of each token in each text, `[B, V]`."""
        counts = torch.zeros(len(input_ids), self.size, device=input_ids.device)
        return counts.scatter_add_(1, input_ids, attention_mask.float())


class BagOfWords(PreTrainedModel):
    """Softmax regression on word counts, with weights that start at 0."""

    config_class = BagConfig
    base_model_prefix = "counts"

    def __init__(self, config: BagConfig) -> None:
        super().__init__(config)
        self.counts = Counts(config.vocab_size)
        self.classifier = nn.Linear(config.vocab_size, int(config.num_labels or 0))
        self.post_init()
        for parameter in self.classifier.parameters():
            nn.init.zeros_(parameter)

    def get_input_embeddings(self) -> nn.Module:
        """Return what reads the token ids."""
        return self.counts

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> SequenceClassifierOutput:
        """Return logits, `[B, K]`."""
        return SequenceClassifierOutput(logits=self.classifier(self.counts(input_ids, attention_mask)))


@dataclass(frozen=True)
class World:
    """Few texts whose labels are hard to learn, and a teacher that knows the meaning of words.

    Every seed of an ablation has different data.

    Attributes:
        topics: Topics of the texts.
        own: What the teacher adds to a topic's logit for each word of the topic.
        shared: What it adds for each word of the topic's field; other words count nothing.
        train: Number of training texts.
        dev: Number of dev texts.
        noise: Share of wrong labels in train.
        training: Training settings of the students.
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
        """Return an untrained bag of words."""
        tokenizer = synthetic_tokenizer(64, self.topics.vocabulary())
        return Classifier(BagOfWords(BagConfig(vocab_size=len(tokenizer), **label_settings(task))), tokenizer)

    def teacher(self, task: TextTask) -> Classifier:
        """Return a bag of words with the weights of topics and fields."""
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
        """Return the run of a seed, by default with the world's teacher."""
        task = self.task(seed)
        return Distiller(task, teacher or self.teacher(task), self.student(task), self.training, knowledge, 64)

    def shortened(self, epochs: float) -> World:
        """Return the world with another number of epochs."""
        return replace(self, training=replace(self.training, epochs=epochs))

    def sharpened(self, factor: float) -> World:
        """Return the world with a teacher whose logits are multiplied by a factor."""
        return replace(self, own=self.own * factor, shared=self.shared * factor)


@contextmanager
def _writing(classifier: Classifier) -> Iterator[Tensor]:
    """Yield the weights of a bag of words, `[K, V]`, for writing."""
    layer = classifier.model.get_submodule("classifier")
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        yield layer.weight


SIMILARITY = World(
    Topics(fields=4, per_field=5, own=(1,), shared=(3,), common=4, own_words=4, field_words=24, common_words=16),
    # Such that at τ = 0.3 the softmax over cosines of the weights is the teacher's prediction for each text.
    own=4 / 3,
    shared=2 / 3,
)
"""Every text has as many words of its topic and of its field: the teacher knows only which classes are similar."""

CONFIDENCE = World(
    Topics(fields=8, per_field=1, own=(0, 0, 2), shared=(0,), common=6, own_words=6, field_words=1, common_words=24),
    own=4.0,
    train=160,
)
"""Most texts have no word of their topic, and no classes are similar: it knows only which texts to trust."""

NOISE = World(
    Topics(fields=8, per_field=1, own=(2,), shared=(0,), common=6, own_words=6, field_words=1, common_words=24),
    own=0.0,
    train=48,
    noise=0.3,
    training=TrainingConfig(epochs=30, batch_size=32, learning_rate=0.2, weight_decay=0.0, precision="fp32"),
)
"""Labels are noisy and memorised, and the teacher's predictions are uniform: it knows only to trust none."""

EVERYTHING = World(
    Topics(
        fields=4, per_field=3, own=(0, 0, 0, 2), shared=(0, 2), common=5, own_words=5, field_words=10, common_words=20
    ),
    own=4.0,
    shared=2.0,
    train=200,
)
"""Many texts have few words of their topic, and some classes are similar: all levels are present, above all the
instance."""
