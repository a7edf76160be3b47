"""Replacements for words: their nearest neighbours among a model's input embeddings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from kselect.distillation.augmentation.passages import Passage
from kselect.distillation.augmentation.vocabulary import WholeWords, pieces_of
from kselect.errors import KselectError
from kselect.models.classifier import Classifier

CANDIDATES = 15
"""Replacements that one of is drawn from; K in the paper."""
BLOCK = 1024  # words that are compared with the vocabulary at a time


class Candidates(Protocol):
    """Finds replacements for words of passages."""

    def __call__(
        self, passages: Sequence[Passage], wanted: Sequence[Collection[int]]
    ) -> list[Mapping[int, Sequence[str]]]:
        """Return replacements for the parts of each passage whose indices are wanted; none for unknown words."""


class Neighbours:
    """Finds the words nearest to a word by the cosine of input embeddings; of several tokens, by their mean.

    A word is not its own neighbour, in another case neither.
    """

    def __init__(self, embeddings: Tensor, tokenizer: PreTrainedTokenizerBase, count: int = CANDIDATES) -> None:
        """Compare words by `embeddings`, `[V, D]`, of the tokens of `tokenizer`, and find `count` neighbours."""
        self.tokenizer = tokenizer
        self.count = count
        self.embeddings = embeddings.detach().float()
        self.vocabulary = WholeWords(tokenizer)
        self._directions = nn.functional.normalize(self.embeddings[self.vocabulary.ids], dim=-1)

    @classmethod
    def of_model(cls, classifier: Classifier, count: int = CANDIDATES) -> Neighbours:
        """Compare words by the input embeddings of a model."""
        embeddings = classifier.model.get_input_embeddings()
        if not isinstance(embeddings, nn.Embedding):
            raise KselectError(
                f"A {classifier.model.config.model_type} has no table of input embeddings, which words are compared "
                "by: leave augment out.",
                setting="augment",
            )
        return cls(embeddings.weight, classifier.tokenizer, count)

    def __call__(
        self, passages: Sequence[Passage], wanted: Sequence[Collection[int]]
    ) -> list[Mapping[int, Sequence[str]]]:
        """Return the neighbours of the wanted words; see `Candidates`."""
        pairs = list(zip(passages, wanted, strict=True))
        found = self.of(sorted({passage.parts[part] for passage, parts in pairs for part in parts}))
        return [
            {part: found[passage.parts[part]] for part in parts if passage.parts[part] in found}
            for passage, parts in pairs
        ]

    def of(self, words: Sequence[str]) -> dict[str, list[str]]:
        """Return the neighbours of each word, nearest first; words with a token that is unknown are left out."""
        read = zip(words, pieces_of(words, self.tokenizer), strict=True)
        known = [(word, pieces) for word, pieces in read if self.vocabulary.knows(pieces)]
        found: dict[str, list[str]] = {}
        for start in range(0, len(known), BLOCK):
            block = known[start : start + BLOCK]
            vectors = torch.stack([self.embeddings[pieces].mean(0) for _, pieces in block])
            cosines = nn.functional.normalize(vectors, dim=-1) @ self._directions.T
            nearest = best_words(cosines, self.vocabulary, block, self.count)
            found |= dict(zip((word for word, _ in block), nearest, strict=True))
        return found


def best_words(
    scores: Tensor, vocabulary: WholeWords, block: Sequence[tuple[str, Sequence[int]]], count: int
) -> list[list[str]]:
    """Return the words with the highest scores, `[n, V]`, in place of each of n words and their tokens."""
    for row, (word, pieces) in enumerate(block):
        scores[row, vocabulary.same(word, pieces)] = -torch.inf
    values, indices = scores.topk(min(count, scores.size(1)), dim=-1)
    return [
        [vocabulary.words[index] for index, value in zip(*row, strict=True) if value > -torch.inf]
        for row in zip(indices.tolist(), values.tolist(), strict=True)
    ]
