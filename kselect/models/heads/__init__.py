"""Heads: they turn the output of a transformer into answers."""

from kselect.models.heads.answer import IMPOSSIBLE, Answer, Choices, Head
from kselect.models.heads.classes import ClassAnswer, Classes, Score, ScoreAnswer
from kselect.models.heads.labels import Labels, LabelsAnswer

__all__ = [
    "IMPOSSIBLE",
    "Answer",
    "Choices",
    "ClassAnswer",
    "Classes",
    "Head",
    "Labels",
    "LabelsAnswer",
    "Score",
    "ScoreAnswer",
]
