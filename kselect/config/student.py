"""The teacher, and the student."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.checks import require
from kselect.config.heads import HeadName


@dataclass
class StudentConfig:
    """Model: the teacher, and the student cut out of it or loaded."""

    teacher: str | list[str]
    """Folder or hub id of a fine-tuned classifier, such as `kselect train-teacher` makes; of several, their mean."""
    layers: int | list[int] | None = None
    """How many of the teacher's layers the student keeps, or which ones, such as 1,3,5 (first: 1); 3 by default."""
    student: str | None = None
    """Folder or hub id of a smaller encoder or classifier to start from, instead of the teacher's own layers."""
    parser: str | None = None
    """Folder of a parser, such as `kselect train-teacher --task_type trees` makes, that reads the same texts word by
    word for parser-trees."""
    head: HeadName | None = None
    """What answers for words: tags by the first three, trees by the others; by default the teacher's, or student's."""

    def __post_init__(self) -> None:
        require(
            len(self.teachers) > 0 and all(self.teachers),
            "teacher is empty: give the folder of a fine-tuned classifier.",
        )
        require(len(set(self.teachers)) == len(self.teachers), f"teacher names one twice: {', '.join(self.teachers)}.")
        require(self.parser != "", "parser is empty: give the folder of a parser, or leave it out.")
        if self.student is not None:
            require(bool(self.student), "student is empty: give the folder of an encoder, or layers instead.")
            require(
                self.layers is None,
                f"layers is {self.layers}, but {self.student} is the student as it is: give layers or student.",
            )
            return
        layers = list(self.kept_layers) if isinstance(self.kept_layers, list | tuple) else [self.kept_layers]
        require(
            len(layers) > 0 and all(isinstance(layer, int) and layer > 0 for layer in layers),
            f"layers is {self.layers}: give how many to keep, or which ones, counted from 1.",
        )
        require(len(set(layers)) == len(layers), f"layers names one twice: {self.layers}.")

    @property
    def kept_layers(self) -> int | list[int] | None:
        """What `layers` says, or its default; None where the student is loaded."""
        return 3 if self.layers is None and self.student is None else self.layers

    @property
    def teachers(self) -> list[str]:
        """All teachers, one or several."""
        return [self.teacher] if isinstance(self.teacher, str) else list(self.teacher)
