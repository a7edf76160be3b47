"""A task's splits as a teacher with another tokenizer reads them, so that its answers fit a student's examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kselect.distillation.encoded_splits import EncodedSplits
from kselect.errors import KselectError
from kselect.models.architecture import positions
from kselect.models.classifier import Classifier, input_length
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task
from kselect.tasks.words.encoding import EncodedWords, encode_words, no_labels
from kselect.tasks.words.sentence import Origin, TaggedSentence, WordSplit


class OtherTokens(EncodedSplits):
    """Splits in a teacher's own tokens, example by example as its student reads them.

    Texts are cut to the student's number of tokens, or what the teacher takes if less. Of a sentence of words the
    teacher reads what the student does, all of it or a piece, so that both answer for the same words.
    """

    def __init__(self, task: Task[Any], teacher: Classifier, student_splits: EncodedSplits) -> None:
        """Encode nothing yet."""
        self._teacher = teacher
        self._student_splits = student_splits
        longest = student_splits.max_length
        super().__init__(
            task, teacher.tokenizer, min(longest, positions(teacher.model) or longest), encode_at_once=False
        )

    def _encode(self, name: str) -> EncodedSplit:
        read_by_student = self._student_splits[name]
        if isinstance(read_by_student, EncodedWords):
            return self._aligned(read_by_student)
        return super()._encode(name)

    def _aligned(self, read_by_student: EncodedWords) -> EncodedWords:
        """Encode the words of each of a student's examples."""
        origin = Origin("train")
        sentences = [
            TaggedSentence(read_by_student.split.sentences[piece.sentence].words[piece.first : piece.last], (), origin)
            for piece in read_by_student.pieces
        ]
        length = input_length(self._teacher, None, None)
        encoded = encode_words(WordSplit(sentences), self.tokenizer, length, no_labels)
        if encoded.in_pieces:
            raise KselectError(
                f"{encoded.in_pieces} sentences have more tokens than the input of a teacher with another tokenizer "
                f"({length}): lower max_length, by which they are read in pieces, or give another teacher.",
                setting="max_length",
            )
        return replace(
            encoded, labels=read_by_student.labels, pieces=read_by_student.pieces, split=read_by_student.split
        )
