"""Which teacher layer each student layer is compared with."""

from __future__ import annotations

from kselect.errors import KselectError, unknown
from kselect.models.shrink import uniform_layers

LayerMap = tuple[tuple[int, int], ...]
PRESETS = ("uniform", "last", "skip", "first")


def parse_layer_map(text: str, student_layers: int, teacher_layers: int, setting: str = "layer_map") -> LayerMap:
    """Return pairs (student layer, teacher layer), counted from 1, in rising order.

    Args:
        text: `uniform` spreads the student's layers over the teacher's; `skip` pairs the student's layers but the last
            with every k-th of the teacher's (Sun et al., 2019); `first` pairs the i-th with the i-th; `last` the two
            last layers alone; or pairs such as `1:2,2:4,3:6`.
        student_layers: layers the student has.
        teacher_layers: layers the teacher has.
        setting: what messages call the map.

    Raises:
        KselectError: an unknown preset, or one that these models have not the layers for; something that is not a pair,
            a layer out of range, or pairs out of order.

    >>> parse_layer_map("uniform", 3, 6), parse_layer_map("skip", 3, 6)
    (((1, 2), (2, 4), (3, 6)), ((1, 2), (2, 4)))
    """
    if text in PRESETS:
        return _preset(text, student_layers, teacher_layers, setting)
    if ":" not in text:
        raise unknown("layer map", text, [*PRESETS, "pairs such as 1:2,2:4"])
    pairs = tuple(_parse_pair(item, f"{setting} {text}") for item in text.split(","))
    for student, teacher in pairs:
        if not 1 <= student <= student_layers:
            raise KselectError(f"{setting} names student layer {student}: the student has 1 to {student_layers}.")
        if not 1 <= teacher <= teacher_layers:
            raise KselectError(f"{setting} names teacher layer {teacher}: the teacher has 1 to {teacher_layers}.")
    if list(pairs) != sorted(pairs) or len({student for student, _ in pairs}) < len(pairs):
        raise KselectError(f"{setting} {text} is out of order: name each student layer once, in rising order.")
    return pairs


def _preset(name: str, student_layers: int, teacher_layers: int, setting: str) -> LayerMap:
    if name == "last":
        return ((student_layers, teacher_layers),)
    if student_layers > teacher_layers:
        raise KselectError(
            f"{setting} {name} pairs each of the student's {student_layers} layers with one of its own, the teacher "
            f"has {teacher_layers}: give last, or pairs such as 1:1,2:2."
        )
    if name == "uniform":
        return tuple(enumerate(uniform_layers(teacher_layers, student_layers), 1))
    if name == "first":
        return tuple((layer, layer) for layer in range(1, student_layers + 1))
    if student_layers == 1:
        setting, _, kind = setting.partition(" ")
        raise KselectError(
            f"{setting} skip leaves the last layer out, and the student has but one: give another map, such as "
            f"--{setting} {kind}{'=' * bool(kind)}last."
        )
    every = teacher_layers // student_layers
    return tuple((layer, layer * every) for layer in range(1, student_layers))


def _parse_pair(item: str, where: str) -> tuple[int, int]:
    student, _, teacher = item.strip().partition(":")
    if not (student.strip().isdigit() and teacher.strip().isdigit()):
        raise KselectError(f"{where} has '{item}' where a pair such as 1:2 must stand.")
    return int(student), int(teacher)
