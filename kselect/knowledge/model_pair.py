"""The student and teacher that a kind of knowledge is built for, and checks that it can compare them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from kselect.config import ANSWER_KNOWLEDGE, PARSER_KNOWLEDGE, WORD_KNOWLEDGE, KnowledgeConfig
from kselect.config.knowledge import key_of
from kselect.errors import IncomparableError, KselectError
from kselect.knowledge.hidden_states import Projection
from kselect.knowledge.layer_map import LayerMap, parse_layer_map
from kselect.knowledge.target_levels import class_similarities
from kselect.models.architecture import check_readable
from kselect.models.classifier import Classifier
from kselect.models.column_teacher import ColumnTeacher
from kselect.models.heads import Classes, Labels, Score
from kselect.models.heads.registry import CHOICES
from kselect.models.needs import Needs
from kselect.models.output_layer import output_layer
from kselect.models.outputs import projection_width

OF_WEIGHTS = ("kd-sim", "kd-pt-sim")
"""Kinds that compare answers with a target made of the weights of a teacher's output layer."""


@dataclass
class ModelPair:
    """Everything that a kind of knowledge may depend on when it is built.

    Attributes:
        name: its name, such as logits, or logits@2 for the second teacher.
        teachers: the teachers that it reads, possibly none; of several, the mean of their logits.
        parser: parses the sentences of the texts; None if there is none.
        have_common_tokens: whether all of these teachers tokenise as the student does.
    """

    name: str
    config: KnowledgeConfig
    student: Classifier
    teachers: Sequence[Classifier | ColumnTeacher]
    parser: Classifier | None = None
    have_common_tokens: bool = True

    @property
    def teacher(self) -> Classifier | ColumnTeacher | None:
        """The first teacher; None if there is none."""
        return next(iter(self.teachers), None)

    @property
    def required_teacher(self) -> Classifier:
        """The first teacher, which is a model; see `answering_teacher`."""
        teacher = self.answering_teacher
        if isinstance(teacher, ColumnTeacher):
            raise self.only_answers()
        return teacher

    def only_answers(self) -> IncomparableError:
        """Return the error for knowledge of which teachers without common tokens, or without a model, have nothing."""
        of_columns = any(isinstance(teacher, ColumnTeacher) for teacher in self.teachers)
        obstacle = "reads inside a teacher, and this one is columns of the data"
        if not of_columns:
            obstacle = "compares the models token by token, and this teacher's tokenizer is another than the student's"
        of_words = self.student.labels is not None
        kinds = [
            name
            for name in ANSWER_KNOWLEDGE
            if (of_words or name not in WORD_KNOWLEDGE)
            and (self.parser is not None or name not in PARSER_KNOWLEDGE)
            and not (of_columns and name in OF_WEIGHTS)
        ]
        return IncomparableError(
            f"knowledge {self.name} {obstacle}",
            f"offer kinds that read answers: {', '.join(kinds)}.",
            setting="knowledge",
        )

    @property
    def answering_teacher(self) -> Classifier | ColumnTeacher:
        """The first teacher, whose answers, where there are several, can be averaged with those of the others."""
        if self.teacher is None:
            raise KselectError(
                f"knowledge {self.name} needs a teacher: give one, or offer only gold.", setting="teacher"
            )
        of_words = self.student.labels is not None
        if of_words and len(self.teachers) > 1 and any(teacher.head.name != "tagger" for teacher in self.teachers):
            raise KselectError(
                f"Only the logits of taggers can be averaged: give one teacher, several with the head tagger, or offer "
                f"each one's knowledge, as in {self.name}@1.",
                setting="teacher",
            )
        return self.teacher

    @property
    def layer_map(self) -> LayerMap:
        """Pairs (student layer, teacher layer) for this kind of knowledge."""
        text, setting = self.config.layer_map, "layer_map"
        key = key_of(self.name, self.config.layer_maps)
        if key is not None:
            text, setting = self.config.layer_maps[key], f"layer_maps {key}"
        return parse_layer_map(text, self.student.layers, self.required_teacher.layers, setting)

    @property
    def heads(self) -> tuple[str, str]:
        """Names of the teacher's and the student's head."""
        names = self.required_teacher.head.name, self.student.head.name
        if self.student.head.name in (Classes.name, Labels.name, Score.name):
            raise IncomparableError(
                f"knowledge {self.name} is for labelled words, not for whole texts",
                "leave it out.",
                setting="knowledge",
            )
        return names

    def check_same_choices(self) -> None:
        """Check that both heads choose among the same classes."""
        student, teacher = (CHOICES.get(model.head.name) for model in (self.student, self.answering_teacher))
        if student != teacher:
            raise IncomparableError(
                f"knowledge {self.name} cannot compare {teacher} (teacher) with {student} (student)", "offer marginals."
            )

    def check_no_score(self) -> None:
        """Check that there are distributions to compare, which a regression does not have."""
        if self.student.head.name == Score.name:
            raise KselectError(
                f"knowledge {self.name} compares distributions, which a regression does not have: offer logits.",
                setting="knowledge",
            )

    def check_logits(self) -> None:
        """Check that both heads have logits."""
        self.check_same_choices()
        if CHOICES.get(self.student.head.name) in ("spans", "arcs"):
            raise IncomparableError(
                f"knowledge {self.name} compares logits, which the head {self.student.head.name} does not have",
                "offer substructures.",
                setting="knowledge",
            )

    def check_parser(self) -> None:
        """Check that there are whole texts and a parser to read them."""
        if self.student.labels is not None:
            raise IncomparableError(
                f"knowledge {self.name} is for whole texts, not for labelled words",
                "leave it out.",
                setting="knowledge",
            )
        if self.parser is None:
            raise KselectError(
                f"knowledge {self.name} needs a parser: give its folder as parser, or leave it out.", setting="parser"
            )

    def check_classes(self, model: Classifier) -> None:
        """Check that a model has an output layer over classes."""
        if CHOICES.get(model.head.name) not in ("classes", "tags", "arc tags"):
            raise IncomparableError(
                f"knowledge {self.name} compares classes, which the head {model.head.name} does not have",
                "leave it out.",
                setting="knowledge",
            )

    @property
    def class_similarities(self) -> Tensor:
        """Similarities of the teacher's output weights for any two classes, `[K, K]`, see `class_similarities`."""
        for model in (self.student, self.required_teacher):
            self.check_classes(model)
        self.check_same_choices()
        weight = output_layer(self.required_teacher.model).weight
        similarities = class_similarities(weight, self.config.similarity_temperature)
        if not similarities.clone().fill_diagonal_(0).sum(-1).all():
            raise KselectError(
                f"similarity_temperature {self.config.similarity_temperature:g} is so low that some class has no "
                f"similar ones for {self.name}: give a higher one.",
                setting="similarity_temperature",
            )
        return similarities

    def relation_heads(self, projection: str) -> int:
        """Return the number of relation heads that "queries", "keys" or "values" (`projection`) are split into.

        The default is the largest number that divides both widths and does not exceed the larger number of attention
        heads.
        """
        needs = Needs(**{projection: frozenset({1})})
        models = (self.student.model, self.required_teacher.model)
        for model in models:
            check_readable(model, needs, f"knowledge {self.name}")
        widths = [projection_width(model, projection) for model in models]
        heads = self.config.relation_heads
        if heads is None:
            most = max(self.student.heads, self.required_teacher.heads)
            return max(count for count in range(1, most + 1) if all(width % count == 0 for width in widths))
        if any(width % heads for width in widths):
            raise KselectError(
                f"relation_heads is {heads}: give a divisor of both widths, {widths[0]} (student) and {widths[1]} "
                f"(teacher).",
                setting="relation_heads",
            )
        return heads

    def projection(self, layers: Iterable[int]) -> Projection | None:
        """Return learned maps from the student's width to the teacher's for `layers`; None if the widths are equal."""
        student, teacher = self.student.width, self.required_teacher.width
        return None if student == teacher else Projection(layers, student, teacher)
