"""Which teacher layer each student layer is compared with."""

from __future__ import annotations

from kselect.errors import UserError, unknown
from kselect.models.shrink import uniform_layers

PRESETS = ("uniform", "last")


def parse_layer_map(text: str, student_layers: int, teacher_layers: int) -> tuple[tuple[int, int], ...]:
    """Return pairs (student layer, teacher layer), counted from 1, in rising order.

    Args:
        text: `uniform` spreads the student's layers over the teacher's; `last` pairs the two last layers alone; or
            pairs such as `1:2,2:4,3:6`.
        student_layers: layers the student has.
        teacher_layers: layers the teacher has.

    Raises:
        UserError: an unknown preset, something that is not a pair, a layer out of range, or pairs out of order.

    >>> parse_layer_map("uniform", 3, 6)
    ((1, 2), (2, 4), (3, 6))
    """
    if text == "uniform":
        return tuple(enumerate(uniform_layers(teacher_layers, student_layers), 1))
    if text == "last":
        return ((student_layers, teacher_layers),)
    if ":" not in text:
        raise unknown("layer map", text, [*PRESETS, "pairs such as 1:2,2:4"])
    pairs = tuple(_parse_pair(item, text) for item in text.split(","))
    for student, teacher in pairs:
        if not 1 <= student <= student_layers:
            raise UserError(f"layer_map names student layer {student}: the student has 1 to {student_layers}.")
        if not 1 <= teacher <= teacher_layers:
            raise UserError(f"layer_map names teacher layer {teacher}: the teacher has 1 to {teacher_layers}.")
    if list(pairs) != sorted(pairs) or len({student for student, _ in pairs}) < len(pairs):
        raise UserError(f"layer_map {text} is out of order: name each student layer once, in rising order.")
    return pairs


def _parse_pair(item: str, text: str) -> tuple[int, int]:
    student, _, teacher = item.strip().partition(":")
    if not (student.strip().isdigit() and teacher.strip().isdigit()):
        raise UserError(f"layer_map {text} has '{item}' where a pair such as 1:2 must stand.")
    return int(student), int(teacher)
