"""The pair of models that a kind of knowledge is built for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from kselect.config import KnowledgeConfig
from kselect.errors import IncomparableError, KselectError
from kselect.knowledge.hidden_states import Projection
from kselect.knowledge.layer_map import LayerMap, parse_layer_map
from kselect.knowledge.target_levels import class_similarities
from kselect.models.architecture import check_readable
from kselect.models.classifier import Classifier
from kselect.models.heads import Classes, Score
from kselect.models.heads.registry import CHOICES
from kselect.models.needs import Needs
from kselect.models.output_layer import output_layer
from kselect.models.outputs import projection_width


@dataclass
class Comparison:
    """What the kind of knowledge called `name` may depend on when it is built."""

    name: str
    config: KnowledgeConfig
    student: Classifier
    teacher: Classifier | None
    """The teacher, or the first of several; None where there is none."""
    parser: Classifier | None = None
    """Parses the sentences of the texts; None where there is none."""

    @property
    def teacher_given(self) -> Classifier:
        """The teacher.

        Raises:
            KselectError: there is none.
        """
        if self.teacher is None:
            raise KselectError(f"knowledge {self.name} needs a teacher: give one, or offer gold alone.")
        return self.teacher

    @property
    def layer_map(self) -> LayerMap:
        """Pairs (student layer, teacher layer) for this kind.

        Raises:
            KselectError: the map that is set does not suit these models.
        """
        text, setting = self.config.layer_map, "layer_map"
        if self.name in self.config.layer_maps:
            text, setting = self.config.layer_maps[self.name], f"layer_maps {self.name}"
        return parse_layer_map(text, self.student.layers, self.teacher_given.layers, setting)

    @property
    def heads(self) -> tuple[str, str]:
        """Names of the teacher's and the student's head.

        Raises:
            KselectError: this kind compares words' labels, and texts are classified as a whole.
        """
        names = self.teacher_given.head.name, self.student.head.name
        if self.student.head.name in (Classes.name, Score.name):
            raise KselectError(
                f"knowledge {self.name} is of words that are labelled, not of whole texts: leave it out."
            )
        return names

    def check_alike(self) -> None:
        """Refuse to compare scores of unlike things.

        Raises:
            IncomparableError: the heads choose among different classes.
        """
        ours, theirs = (CHOICES.get(one.head.name) for one in (self.student, self.teacher_given))
        if ours != theirs:
            raise IncomparableError(
                f"knowledge {self.name} cannot compare {theirs} (teacher) with {ours} (student)", "offer marginals."
            )

    def check_logits(self) -> None:
        """Refuse to compare the logits of heads that read none.

        Raises:
            KselectError: a head of spans or arcs, whose scores substructures compares.
        """
        self.check_alike()
        if CHOICES.get(self.student.head.name) in ("spans", "arcs"):
            raise KselectError(
                f"knowledge {self.name} is of logits, which {self.student.head.name} has none of: offer substructures."
            )

    def check_parsed(self) -> None:
        """Refuse to read a parser where there is none, or no texts for it.

        Raises:
            KselectError: no parser; words that are labelled, not whole texts.
        """
        if self.student.labels is not None:
            raise KselectError(
                f"knowledge {self.name} is of whole texts, not of words that are labelled: leave it out."
            )
        if self.parser is None:
            raise KselectError(f"knowledge {self.name} needs a parser: give its folder as --parser, or leave it out.")

    def check_classes(self, model: Classifier) -> None:
        """Refuse a model that does not choose among classes that its own output layer tells apart.

        Raises:
            KselectError: it gives a score, or its head is of spans or arcs.
        """
        if CHOICES.get(model.head.name) not in ("classes", "tags", "arc tags"):
            raise KselectError(
                f"knowledge {self.name} is of classes, which the head {model.head.name} has none of: leave it out."
            )

    @property
    def class_similarities(self) -> Tensor:
        """How alike the teacher's output weights of any two classes are, `[K, K]`: see `knowledge.target_levels`.

        Raises:
            KselectError: models without classes; a temperature so low that nothing is left for any class but the gold one.
        """
        for model in (self.student, self.teacher_given):
            self.check_classes(model)
        self.check_alike()
        weight = output_layer(self.teacher_given.model).weight
        found = class_similarities(weight, self.config.similarity_temperature)
        if not found.clone().fill_diagonal_(0).sum(-1).all():
            raise KselectError(
                f"similarity_temperature is {self.config.similarity_temperature:g}, at which {self.name} leaves some "
                f"class without any that is like it: give a higher one."
            )
        return found

    def relation_heads(self, projection: str) -> int:
        """Return how many heads both models' "queries", "keys" or "values" (`projection`) are cut into.

        By default the most that divide both widths, and are no more than the attention heads of one of the models.

        Raises:
            KselectError: the number that is set does not divide both widths; a model does not show that projection.
        """
        needs = Needs(**{projection: frozenset({1})})
        for one in (self.student, self.teacher_given):
            check_readable(one.model, needs, f"knowledge {self.name}")
        widths = [projection_width(one.model, projection) for one in (self.student, self.teacher_given)]
        heads = self.config.relation_heads
        if heads is None:
            most = max(self.student.heads, self.teacher_given.heads)
            return max(count for count in range(1, most + 1) if all(width % count == 0 for width in widths))
        if any(width % heads for width in widths):
            raise KselectError(
                f"relation_heads is {heads}: give a divisor of both widths, {widths[0]} (student) and {widths[1]} "
                f"(teacher)."
            )
        return heads

    def projection(self, layers: Iterable[int]) -> Projection | None:
        """Return learned maps for the student's `layers`, or None where both models are as wide."""
        student, teacher = self.student.width, self.teacher_given.width
        return None if student == teacher else Projection(layers, student, teacher)
