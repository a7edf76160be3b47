"""What a parser says of the sentences of the training texts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.distillation.device import autocast, send
from kselect.distillation.teacher.sources import LiveTeacher, TeacherOutputs
from kselect.errors import KselectError
from kselect.knowledge.base import ParsedSentences
from kselect.models.classifier import Classifier, input_length
from kselect.models.heads.parser import TreeAnswer
from kselect.models.needs import Needs
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.word_alignment import TextWords
from kselect.tasks.words import Origin, ParsedSentence
from kselect.tasks.words.encoding import Piece, encode_words
from kselect.tasks.words.sentence import WordSplit

Keep = Callable[[LiveTeacher, EncodedSplit], TeacherOutputs]
"""Makes a source that computes outputs once out of one that computes them every time."""


class ParsedTexts:
    """A parser beside the texts' own words; its hidden states are kept as a teacher's outputs are, not its scores."""

    def __init__(
        self, parser: Classifier, words: TextWords, device: torch.device, dtype: torch.dtype, keep: Keep
    ) -> None:
        """Encode the sentences for the parser, whose own tokenizer makes pieces of the words.

        Raises:
            KselectError: a sentence that the parser does not take whole.
        """
        origin = Origin("train")
        sentences = [ParsedSentence(one, (), (), (), origin) for one in words.sentences]
        length = input_length(parser, None, None)
        self.words = words
        self.encoded = encode_words(WordSplit(sentences), parser.tokenizer, length, _nothing)
        if self.encoded.in_pieces:
            raise KselectError(
                f"{self.encoded.in_pieces} sentences have more tokens than the parser takes ({length}), and half a "
                f"sentence is no tree: lower max_length, or give another parser."
            )
        parser.to(device)
        self.head = parser.head.eval()
        self.device = device
        self.live = LiveTeacher([parser.model], dtype)
        self.kept = keep(self.live, self.encoded)

    @torch.no_grad()
    def read(self, indices: NDArray[np.int64], live: bool = False) -> ParsedSentences:
        """Return what the parser says of the sentences of the texts at `indices`; `live` looks nothing up."""
        rows, examples = self.words.of(indices)
        batch = {name: send(value, self.device) for name, value in self.encoded.batch(rows).items()}
        mask = batch["word_mask"]
        source = self.live if live else self.kept
        with autocast(self.device, self.live.dtype):
            answer = source.read(rows, batch, Needs()).under(self.head).answer
        assert isinstance(answer, TreeAnswer)
        positions = np.zeros(mask.shape, dtype=np.int64)
        for place, row in enumerate(rows):
            positions[place, : len(self.words.positions[row])] = self.words.positions[row]
        return ParsedSentences(
            send(torch.from_numpy(examples), self.device),
            send(torch.from_numpy(positions), self.device),
            mask,
            answer.head_log_probabilities().exp(),
        )


def _nothing(_: ParsedSentence, piece: Piece) -> NDArray[np.int64]:
    """Return stand-ins for the labels of a piece's words, `[w]`."""
    return np.zeros(piece.last - piece.first, dtype=np.int64)
