"""A parser's outputs for the sentences of the training texts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.distillation.device import autocast, send
from kselect.distillation.teacher.sources import LiveTeacher, TeacherSource
from kselect.errors import KselectError
from kselect.knowledge.base import ParsedSentences
from kselect.models.classifier import Classifier, input_length
from kselect.models.heads.parser import TreeAnswer
from kselect.models.needs import Needs
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.word_alignment import TextWords
from kselect.tasks.words import Origin, ParsedSentence
from kselect.tasks.words.encoding import encode_words, no_labels
from kselect.tasks.words.sentence import WordSplit


class ParsedTexts:
    """Parses training texts word by word; hidden states are cached like a teacher's, scores are not."""

    def __init__(
        self,
        parser: Classifier,
        words: TextWords,
        device: torch.device,
        dtype: torch.dtype,
        make_source: Callable[[LiveTeacher, EncodedSplit], TeacherSource],
    ) -> None:
        """Encode the sentences with the parser's tokenizer."""
        origin = Origin("train")
        sentences = [ParsedSentence(sentence, (), (), (), origin) for sentence in words.sentences]
        length = input_length(parser, None, None)
        self.words = words
        self._encoded = encode_words(WordSplit(sentences), parser.tokenizer, length, no_labels)
        if self._encoded.in_pieces:
            raise KselectError(
                f"{self._encoded.in_pieces} sentences have more tokens than the parser's input ({length}), and part of "
                f"a sentence has no tree: lower max_length, or give another parser.",
                setting="max_length",
            )
        parser.to(device)
        self._head = parser.head.eval()
        self._device = device
        self._live = LiveTeacher([parser.model], dtype)
        self.source = make_source(self._live, self._encoded)

    @torch.no_grad()
    def parse(self, indices: NDArray[np.int64], live: bool = False) -> ParsedSentences:
        """Parse the sentences of the texts at `indices`; `live` bypasses the cache."""
        rows, examples = self.words.of(indices)
        batch = {name: send(value, self._device) for name, value in self._encoded.batch(rows).items()}
        mask = batch["word_mask"]
        source = self._live if live else self.source
        with autocast(self._device, self._live.dtype):
            answer = source.outputs_for(rows, batch, Needs()).under(self._head).answer
        assert isinstance(answer, TreeAnswer)
        positions = np.zeros(mask.shape, dtype=np.int64)
        for padded, row in zip(positions, rows, strict=True):
            padded[: len(self.words.positions[row])] = self.words.positions[row]
        return ParsedSentences(
            send(torch.from_numpy(examples), self._device),
            send(torch.from_numpy(positions), self._device),
            mask,
            answer.head_log_probabilities().exp(),
        )
