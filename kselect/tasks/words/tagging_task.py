"""A tag for each word: entities, chunks, parts of speech."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kselect.tasks.contributions import ratio_contributions
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task
from kselect.tasks.words.encoding import EncodedWords, Piece, encode_words
from kselect.tasks.words.metrics import constant_tag, tag_scores
from kselect.tasks.words.schemes import IGNORED, PLAIN, TagSet, convert, read_spans
from kselect.tasks.words.sentence import Sentence, TaggedSentence, WordSplit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class WordTask(Task[WordSplit[Sentence]]):
    """A task with a label for each word of a sentence; sentences longer than the model's input are divided."""

    usual_length: ClassVar[int | None] = None

    @abstractmethod
    def answers(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedWords, indices: NDArray[np.int64]
    ) -> dict[int, Any]:
        """Return predictions in the format of files, by sentence; see `EncodedWords.whole`."""


@dataclass(frozen=True)
class TaggingTask(WordTask[TaggedSentence]):
    """Tags in the scheme of `tag_set`; a label is the id of a word's tag."""

    tag_set: TagSet
    """The tags, in the order of `labels`."""
    file_scheme: str
    """Scheme of the data and of written predictions."""

    @property
    def uninformed_loss(self) -> float:
        """Log K: gold losses are means over words."""
        return math.log(len(self.labels))

    @property
    def is_labelled(self) -> bool:
        """Whether the words of train have tags."""
        return any(sentence.tags for sentence in self.splits["train"].sentences)

    def encode(
        self, split: WordSplit[TaggedSentence], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> EncodedWords:
        """Encode sentences as token ids; see `kselect.tasks.words.encoding.encode_words`."""
        return encode_words(split, tokenizer, max_length, self._ids)

    def tags(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedWords, indices: NDArray[np.int64]
    ) -> dict[int, tuple[str, ...]]:
        """Return the tags of ids `[w]` in the scheme of `tag_set`, by sentence; see `EncodedWords.whole`.

        Tags that are impossible in the scheme are read as conlleval reads them.
        """
        return {
            number: convert(self.tag_set.names(i for _, ids in pieces for i in ids.tolist()), self.tag_set.scheme)
            for number, pieces in encoded.whole(predictions, indices).items()
        }

    def answers(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedWords, indices: NDArray[np.int64]
    ) -> dict[int, tuple[str, ...]]:
        """Return the tags of ids `[w]` in the scheme of the data, by sentence."""
        found = self.tags(predictions, encoded, indices)
        return {number: convert(tags, self.file_scheme) for number, tags in found.items()}

    def score_rows(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> dict[str, float]:
        """Return accuracy over words and, but for plain tags, precision, recall and F1 over spans; "score" is F1."""
        assert isinstance(encoded, EncodedWords)
        found = self.tags(predictions, encoded, indices)
        return self._scores(list(found.values()), [encoded.split.sentences[number].tags for number in found])

    def score_contributions(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return what each sentence contributes to the score, `[n]`."""
        assert isinstance(encoded, EncodedWords)
        found = self.tags(predictions, encoded, indices)
        pairs = [(tags, encoded.split.sentences[number].tags) for number, tags in found.items()]
        if self.tag_set.scheme == PLAIN:
            right = [sum(p == g for p, g in zip(tags, gold, strict=True)) for tags, gold in pairs]
            return ratio_contributions(right, [len(gold) for _, gold in pairs])
        spans = [(set(read_spans(tags)), set(read_spans(gold))) for tags, gold in pairs]
        return ratio_contributions([2 * len(p & g) for p, g in spans], [len(p) + len(g) for p, g in spans])

    def constant_score(self, split: str = "dev") -> dict[str, float]:
        """Return what one tag for every word earns: O, or the most frequent plain one of train, or else of reward."""
        tagged = self.splits["train" if self.is_labelled else "reward"].sentences
        tag = constant_tag(tagged, self.tag_set.scheme)
        gold = [sentence.tags for sentence in self.splits[split].sentences]
        return self._scores([(tag,) * len(tags) for tags in gold], gold)

    def _ids(self, sentence: TaggedSentence, piece: Piece) -> NDArray[np.int64]:
        if not sentence.tags:
            return np.full(piece.last - piece.first, IGNORED, dtype=np.int64)
        return np.asarray(self.tag_set.ids(sentence.tags[piece.first : piece.last]), dtype=np.int64)

    def _scores(self, predicted: list[tuple[str, ...]], gold: list[tuple[str, ...]]) -> dict[str, float]:
        scores = tag_scores(predicted, gold, self.tag_set.scheme)
        return {**scores, "score": scores["accuracy" if self.tag_set.scheme == PLAIN else "f1"]}
