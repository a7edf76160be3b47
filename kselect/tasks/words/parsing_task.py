"""Dependency parsing: a head and a relation for each word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kselect.tasks.contributions import ratio_contributions
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.words.conllu import ROOT_RELATION
from kselect.tasks.words.encoding import EncodedWords, Piece, encode_words
from kselect.tasks.words.metrics import ConstantTree, tree_scores
from kselect.tasks.words.schemes import IGNORED
from kselect.tasks.words.sentence import ParsedSentence, WordSplit
from kselect.tasks.words.tagging_task import WordTask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tree = tuple[tuple[int, ...], tuple[str, ...]]
"""Heads, from 1 and 0 for the root, and relations, `[n]` each."""

PARATAXIS = "parataxis"
"""UD's relation between parallel clauses."""


@dataclass(frozen=True)
class ParsingTask(WordTask[ParsedSentence]):
    """Dependency trees; a label is a word's head, from 1 and 0 for the root, and the id of its relation, `[2]`.

    `labels` are the relations. A sentence that is longer than the model's input is parsed in pieces, and heads in other
    pieces are not learned. The root of the first piece becomes that of the sentence; the roots of the others depend on
    it, by `parataxis` where they were predicted as `root`.
    """

    @property
    def uninformed_loss(self) -> float:
        """Mean over train's sentences of log(n) + log R, for uniform heads and relations."""
        lengths = [len(sentence) for sentence in self.splits["train"].sentences]
        return float(np.mean(np.log(lengths))) + math.log(len(self.labels))

    def encode(
        self, split: WordSplit[ParsedSentence], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> EncodedWords:
        """Encode sentences as token ids; see `kselect.tasks.words.encoding.encode_words`."""
        return encode_words(split, tokenizer, max_length, self._arcs)

    def answers(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedWords, indices: NDArray[np.int64]
    ) -> dict[int, Tree]:
        """Return the trees of heads and relation ids `[w, 2]`, by sentence; see `EncodedWords.whole`."""
        return {number: self._joined(pieces) for number, pieces in encoded.whole(predictions, indices).items()}

    def score_rows(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> dict[str, float]:
        """Return UAS and LAS (see `tree_scores`); "score" is LAS."""
        assert isinstance(encoded, EncodedWords)
        found = self.answers(predictions, encoded, indices)
        return _scores(list(found.values()), [encoded.split.sentences[number] for number in found])

    def score_contributions(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return what each sentence contributes to the score, `[n]`."""
        assert isinstance(encoded, EncodedWords)
        found = self.answers(predictions, encoded, indices)
        pairs = [(tree, encoded.split.sentences[number]) for number, tree in found.items()]
        right = [_scores([tree], [gold])["las"] * len(gold) for tree, gold in pairs]
        return ratio_contributions(right, [len(gold) for _, gold in pairs])

    def constant_score(self, split: str = "dev") -> dict[str, float]:
        """Return the scores of the best constant offset and relation; see `ConstantTree`."""
        constant, gold = ConstantTree.of(self.splits["train"].sentences), self.splits[split].sentences
        return _scores([constant.parse(len(sentence)) for sentence in gold], gold)

    def _joined(self, pieces: list[tuple[Piece, NDArray[Any]]]) -> Tree:
        heads: list[int] = []
        relations: list[str] = []
        for piece, arcs in pieces:
            top = heads.index(0) + 1 if heads else 0
            for head, relation in arcs.tolist():
                name = self.labels[relation]
                heads.append(head + piece.first if head else top)
                relations.append(PARATAXIS if top and not head and name == ROOT_RELATION else name)
        return tuple(heads), tuple(relations)

    def _arcs(self, sentence: ParsedSentence, piece: Piece) -> NDArray[np.int64]:
        if not sentence.heads:  # placeholders, to be predicted
            return np.zeros((piece.last - piece.first, 2), dtype=np.int64)
        ids = {relation: i for i, relation in enumerate(self.labels)}
        span = range(piece.first, piece.last)
        relations = np.array([ids.get(sentence.relations[i], IGNORED) for i in span])
        heads = np.array([sentence.heads[i] for i in span])
        beyond = (heads != 0) & ((heads <= piece.first) | (heads > piece.last))
        heads = np.where(heads == 0, 0, heads - piece.first)
        return np.stack([np.where(beyond, IGNORED, heads), np.where(beyond, IGNORED, relations)], 1)


def _scores(predicted: Sequence[Tree], gold: Sequence[ParsedSentence]) -> dict[str, float]:
    scores = tree_scores([heads for heads, _ in predicted], [relations for _, relations in predicted], gold)
    return {**scores, "score": scores["las"]}
