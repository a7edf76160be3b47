"""The teacher, the student, the encoder that becomes a teacher, and their heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kselect.config.validation import Config, require, setting

HEADS: dict[str, tuple[str, ...]] = {
    "text": (),
    "tags": ("tagger", "crf", "spans"),
    "trees": ("parser", "second-order-parser", "tree-tagger"),
}
"""Heads that can be chosen for each task_type, the default first."""
HeadName = Literal["tagger", "crf", "spans", "parser", "second-order-parser", "tree-tagger"]


def check_head_of(task_type: str, head: str | None) -> None:
    """Refuse a head that does not answer tasks of this type."""
    known = HEADS[task_type]
    remedy = f"give {', '.join(known[:-1])} or {known[-1]}" if known else "leave it out"
    require(head is None or head in known, f"head is {head}, which is not for task_type {task_type}: {remedy}.", "head")


@dataclass(frozen=True)
class EncoderConfig(Config):
    """Model: the encoder that becomes a teacher."""

    encoder: str | None = None
    """Folder or hub id of a pretrained encoder to fine-tune; without it, a small one from scratch, for generated tasks
    (synthetic-...) only."""
    head: HeadName | None = None
    """Head for words: the first three predict tags, the others trees; by default tagger, or parser."""
    hidden_size: int = 128
    """Width of an encoder from scratch."""
    encoder_layers: int = 4
    """Layers of an encoder from scratch."""
    heads: int = 4
    """Attention heads of an encoder from scratch."""

    def validate(self) -> None:
        """Refuse sizes of an encoder that is loaded, and sizes that do not fit."""
        for name in ("hidden_size", "encoder_layers", "heads"):
            value = getattr(self, name)
            require(
                self.encoder is None or value == getattr(EncoderConfig, name),
                f"{name} is {value}, but {self.encoder} has its own: leave it out.",
                name,
            )
        self.require("encoder_layers", self.encoder_layers > 0, "give a positive number")
        self.require(
            "hidden_size",
            self.heads > 0 and self.hidden_size > 0 and self.hidden_size % self.heads == 0,
            f"give a positive multiple of heads ({self.heads})",
        )


@dataclass(frozen=True)
class StudentConfig(Config):
    """Model: the teacher, and the student, which is cut out of it or loaded."""

    teacher: str | list[str] | None = None
    """Folder or hub id of a fine-tuned classifier, such as `kselect train-teacher` makes; of several, the mean of their
    logits or, as in logits@2, each one. With teacher_columns none is needed; if there is one, it comes first."""
    layers: int | list[int] | None = None
    """Number of the teacher's layers that the student keeps, or which ones, such as 1,3,5 (first: 1); 3 by default."""
    student: str | None = None
    """Folder or hub id of a smaller encoder or classifier to start from, instead of the teacher's own layers."""
    parser: str | None = setting(None, set_by_agent=True)
    """Folder of a parser, such as `kselect train-teacher --task_type trees` makes, that reads the same texts word by
    word for parser-trees."""
    head: HeadName | None = None
    """Head for words: the first three predict tags, the others trees; by default that of the teacher, or student."""
    allow_overlap: bool = setting(False, affects_result=False)
    """Accept teachers that were trained on texts of the reward split or of dev (see docs/reward.md)."""

    def validate(self) -> None:
        """Refuse no teacher, and a student that is both loaded and cut out."""
        teachers = self.teachers
        require(
            self.teacher is None or (len(teachers) > 0 and all(teachers)),
            "teacher is empty: give the folder of a fine-tuned classifier.",
            "teacher",
        )
        require(len(set(teachers)) == len(teachers), f"teacher names one twice: {', '.join(teachers)}.", "teacher")
        require(self.parser != "", "parser is empty: give the folder of a parser, or leave it out.", "parser")
        if self.student is not None:
            require(
                bool(self.student), "student is empty: give the folder of an encoder, or layers instead.", "student"
            )
            require(
                self.layers is None,
                f"layers is {self.layers}, but {self.student} has its own layers: give layers or student.",
                "layers",
            )
            return
        layers = list(self.kept_layers) if isinstance(self.kept_layers, list | tuple) else [self.kept_layers]
        positive = len(layers) > 0 and all(layer is not None and layer > 0 for layer in layers)
        self.require("layers", positive, "give how many to keep, or which ones, counted from 1")
        require(len(set(layers)) == len(layers), f"layers names one twice: {self.layers}.", "layers")

    @property
    def kept_layers(self) -> int | list[int] | None:
        """The value of `layers`, or its default; None where the student is loaded."""
        return 3 if self.layers is None and self.student is None else self.layers

    @property
    def teachers(self) -> list[str]:
        """All teachers that are models: one or several, or none."""
        return [self.teacher] if isinstance(self.teacher, str) else list(self.teacher or ())

    def check_teacher(self, columns: list[str] | None) -> None:
        """Refuse no teacher, neither a model nor `columns` of the data, and layers of none."""
        require(
            bool(self.teachers or columns),
            "teacher is missing: give the folder or hub id of a fine-tuned classifier, or name the columns of a "
            "teacher's answers in the data as teacher_columns.",
            "teacher",
        )
        require(
            bool(self.teachers) or self.student is not None,
            "student is missing: with teacher_columns alone there is no model to take layers of, so give the folder of "
            "an encoder.",
            "student",
        )
