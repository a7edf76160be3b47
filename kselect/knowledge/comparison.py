"""The pair of models that a kind of knowledge is built for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kselect.config import KnowledgeConfig
from kselect.errors import UserError
from kselect.knowledge.layer_map import LayerMap, parse_layer_map
from kselect.knowledge.projection import Projection
from kselect.models.architecture import check_readable
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.models.outputs import projection_width


@dataclass
class Comparison:
    """What the kind of knowledge called `name` may depend on when it is built."""

    name: str
    config: KnowledgeConfig
    student: Classifier
    teacher: Classifier | None
    """The teacher, or the first of several; None where there is none."""

    @property
    def teacher_given(self) -> Classifier:
        """The teacher.

        Raises:
            UserError: there is none.
        """
        if self.teacher is None:
            raise UserError(f"knowledge {self.name} needs a teacher: give one, or offer gold alone.")
        return self.teacher

    @property
    def layer_map(self) -> LayerMap:
        """Pairs (student layer, teacher layer) for this kind.

        Raises:
            UserError: the map that is set does not suit these models.
        """
        text, setting = self.config.layer_map, "layer_map"
        if self.name in self.config.layer_maps:
            text, setting = self.config.layer_maps[self.name], f"layer_maps {self.name}"
        return parse_layer_map(text, self.student.layers, self.teacher_given.layers, setting)

    def relation_heads(self, projection: str) -> int:
        """Return how many heads both models' "queries", "keys" or "values" (`projection`) are cut into.

        By default the most that divide both widths, and are no more than the attention heads of one of the models.

        Raises:
            UserError: the number that is set does not divide both widths; a model does not show that projection.
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
            raise UserError(
                f"relation_heads is {heads}: give a divisor of both widths, {widths[0]} (student) and {widths[1]} "
                f"(teacher)."
            )
        return heads

    def projection(self, layers: Iterable[int]) -> Projection | None:
        """Return learned maps for the student's `layers`, or None where both models are as wide."""
        student, teacher = self.student.width, self.teacher_given.width
        return None if student == teacher else Projection(layers, student, teacher)
