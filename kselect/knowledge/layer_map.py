"""Layer maps: which teacher layer each student layer is compared with."""

from __future__ import annotations

from kselect.errors import KselectError, unknown
from kselect.models.shrink import uniform_layers

LayerMap = tuple[tuple[int, int], ...]
PRESETS = ("uniform", "last", "skip", "first")


def parse_layer_map(text: str, student_layers: int, teacher_layers: int, setting: str = "layer_map") -> LayerMap:
    """Return pairs (student layer, teacher layer), counted from 1, in ascending order.

    Args:
        text: `uniform` spreads the student's layers evenly over the teacher's; `skip` pairs the student's layers except
            the last with every k-th of the teacher's (Sun et al., 2019); `first` pairs the i-th with the i-th; `last`
            pairs only the two last layers; or pairs such as `1:2,2:4,3:6`.
        student_layers: number of layers of the student.
        teacher_layers: number of layers of the teacher.
        setting: the setting that gave the map, for messages: `layer_map`, or `layer_maps` and a kind of knowledge.

    Raises:
        KselectError: an unknown preset, or one that needs other numbers of layers; an item that is not a pair, a layer
            out of range, or pairs out of order.

    >>> parse_layer_map("uniform", 3, 6), parse_layer_map("skip", 3, 6)
    (((1, 2), (2, 4), (3, 6)), ((1, 2), (2, 4)))
    """
    name = setting.partition(" ")[0]
    if text in PRESETS:
        return _preset(text, student_layers, teacher_layers, setting)
    if ":" not in text:
        raise unknown("layer map", text, [*PRESETS, "pairs such as 1:2,2:4"])
    pairs = tuple(_parse_pair(item, f"{setting} {text}", name) for item in text.split(","))
    for student, teacher in pairs:
        if not 1 <= student <= student_layers:
            raise KselectError(
                f"{setting} names student layer {student}: the student has 1 to {student_layers}.", setting=name
            )
        if not 1 <= teacher <= teacher_layers:
            raise KselectError(
                f"{setting} names teacher layer {teacher}: the teacher has 1 to {teacher_layers}.", setting=name
            )
    if list(pairs) != sorted(pairs) or len({student for student, _ in pairs}) < len(pairs):
        raise KselectError(
            f"{setting} {text} is out of order: name each student layer once, in ascending order.", setting=name
        )
    return pairs


def _preset(name: str, student_layers: int, teacher_layers: int, setting: str) -> LayerMap:
    if name == "last":
        return ((student_layers, teacher_layers),)
    if student_layers > teacher_layers:
        raise KselectError(
            f"{setting} {name} pairs each of the student's {student_layers} layers with a different teacher layer, but "
            f"the teacher has {teacher_layers}: use last, or pairs such as 1:1,2:2.",
            setting=setting.partition(" ")[0],
        )
    if name == "uniform":
        return tuple(enumerate(uniform_layers(teacher_layers, student_layers), 1))
    if name == "first":
        return tuple((layer, layer) for layer in range(1, student_layers + 1))
    if student_layers == 1:
        setting, _, kind = setting.partition(" ")
        raise KselectError(
            f"{setting} skip leaves out the last layer, and the student has only one: use another map, such as "
            f"{kind}{'=' * bool(kind)}last.",
            setting=setting,
        )
    every = teacher_layers // student_layers
    return tuple((layer, layer * every) for layer in range(1, student_layers))


def _parse_pair(item: str, where: str, setting: str) -> tuple[int, int]:
    student, _, teacher = item.strip().partition(":")
    if not (student.strip().isdigit() and teacher.strip().isdigit()):
        raise KselectError(f"{where}: '{item}' is not a pair such as 1:2.", setting=setting)
    return int(student), int(teacher)
