"""A static student: a vector for each token, whose mean over a text a linear model classifies.

It answers whether a task needs a transformer at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from model2vec import StaticModel
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge

from kselect.errors import KselectError
from kselect.export.benchmark import Contender
from kselect.models.classifier import Classifier
from kselect.tasks.splits import Split
from kselect.tasks.task import TextTask
from kselect.tasks.words.encoding import special_tokens_around

DIMENSIONS = 256
TOKENS_AT_ONCE = 512
RARITY = 1e-4


@dataclass(frozen=True)
class StaticStudent:
    """Static vectors, and a linear model of them."""

    vectors: StaticModel
    linear: Any

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return int(self.vectors.embedding.size + self.linear.coef_.size + np.size(self.linear.intercept_))

    def answer(self, split: Split) -> NDArray[Any]:
        """Return label ids, or scores, of texts or pairs, `[n]`."""
        return self.linear.predict(self.features(split))

    def features(self, split: Split) -> NDArray[np.float32]:
        """Return the vectors of texts, `[n, d]`; of pairs both, their distance and their product, `[n, 4 d]`."""
        first = self.vectors.encode(split.text_a)
        if split.text_b is None:
            return first
        second = self.vectors.encode(split.text_b)
        return np.concatenate([first, second, np.abs(first - second), first * second], 1)


def static_student(classifier: Classifier, task: TextTask) -> StaticStudent:
    """Make a static student of a transformer's tokens, and train its linear model on the labels of train.

    Source of the vectors: model2vec (Tulkens and van Dongen 2024): the output of the encoder for each token by itself,
    its principal components, and weights that grow with rarity.

    Raises:
        KselectError: texts without labels, or with several each.
    """
    if task.multi_label:
        raise KselectError("A static student gives each text one label: leave static out.", setting="static")
    if not task.is_labelled:
        raise KselectError("A static student learns from labels, and the training data has none.", setting="static")
    tokenizer = classifier.tokenizer
    outputs = _outputs_of_tokens(classifier)
    components = PCA(min(DIMENSIONS, *outputs.shape), svd_solver="full").fit_transform(outputs)
    ranks = np.arange(1, len(components) + 1)
    shares = (1 / ranks) / (1 / ranks).sum()  # Zipf's law: vocabularies are in order of frequency
    vectors = (components * (RARITY / (RARITY + shares))[:, None]).astype(np.float32)
    model = StaticModel(vectors, tokenizer.backend_tokenizer, normalize=True)
    unfitted = StaticStudent(model, None)
    linear = Ridge() if task.regression else LogisticRegression(C=10.0, max_iter=1000)
    train = task.splits["train"]
    return StaticStudent(model, linear.fit(unfitted.features(train), train.labels))


def static_contender(classifier: Classifier, task: TextTask) -> Contender:
    """Return a static student of a transformer, ready to be timed; it reads texts, and is timed with its tokenizer."""
    student = static_student(classifier, task)
    dev = task.splits["dev"]
    texts = " ".join(dev.text_a)

    def prepare(size: int, length: int) -> Split:
        ids = np.resize(
            classifier.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"], (size, length)
        )
        cut = [str(classifier.tokenizer.decode(row)) for row in ids]
        return Split(cut, None if dev.text_b is None else cut, [0] * size)

    score = task.score(student.answer(dev), dev.labels)["score"]
    return Contender("static", prepare, student.answer, student.parameters, 4 * student.parameters / 2**20, score)


@torch.no_grad()
def _outputs_of_tokens(classifier: Classifier) -> NDArray[np.float32]:
    """Return the mean output of the encoder for each token between the special ones, `[tokens, D]`."""
    before, after = special_tokens_around(classifier.tokenizer)
    encoder = classifier.model.base_model.eval()
    found = []
    for tokens in torch.arange(len(classifier.tokenizer)).split(TOKENS_AT_ONCE):
        sides = [torch.tensor(side, dtype=torch.long).expand(len(tokens), -1) for side in (before, after)]
        ids = torch.cat([sides[0], tokens[:, None], sides[1]], 1)
        found.append(encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(1))
    return torch.cat(found).float().numpy()
