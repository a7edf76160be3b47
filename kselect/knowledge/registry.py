"""Knowledge by name."""

from __future__ import annotations

from collections.abc import Callable

from kselect.config import KNOWLEDGE_NAMES, KnowledgeConfig
from kselect.errors import UserError, unknown
from kselect.knowledge.attention import Attention
from kselect.knowledge.base import Knowledge
from kselect.knowledge.gold import Gold
from kselect.knowledge.hidden import Hidden
from kselect.knowledge.layer_map import parse_layer_map
from kselect.knowledge.logits import Logits
from kselect.knowledge.relations import Relations
from kselect.models.classifier import Classifier

LayerMap = tuple[tuple[int, int], ...]

BUILDERS: dict[str, Callable[[KnowledgeConfig, LayerMap], Knowledge]] = {
    "gold": lambda config, layer_map: Gold(),
    "logits": lambda config, layer_map: Logits(config.temperature),
    "hidden": lambda config, layer_map: Hidden(layer_map),
    "attention": lambda config, layer_map: Attention(layer_map),
    "relations": lambda config, layer_map: Relations(layer_map),
}
assert tuple(BUILDERS) == KNOWLEDGE_NAMES


def build_knowledge(config: KnowledgeConfig, student: Classifier, teacher: Classifier | None) -> tuple[Knowledge, ...]:
    """Make the kinds of knowledge that `config` names, in its order.

    Raises:
        UserError: an unknown kind; a kind that needs a teacher where there is none; models that cannot be compared
            in it (widths or heads differ).
    """
    for name in [*config.kinds, *config.scales]:
        if name not in BUILDERS:
            raise unknown("knowledge", name, BUILDERS)
    for name in config.scales:
        if name not in config.kinds:
            raise UserError(f"scales names {name}, which is not on offer: add it to knowledge, or drop its scale.")
    if teacher is None:
        layer_map: LayerMap = ()
    else:
        layer_map = parse_layer_map(config.layer_map, student.layers, teacher.layers)
    chosen = tuple(BUILDERS[name](config, layer_map) for name in config.kinds)
    for knowledge in chosen:
        if knowledge.teacher_needs is not None:
            _check_comparable(knowledge, student, teacher)
        if knowledge.name in config.scales:
            knowledge.scale = config.scales[knowledge.name]
    return chosen


def _check_comparable(knowledge: Knowledge, student: Classifier, teacher: Classifier | None) -> None:
    if teacher is None:
        raise UserError(f"knowledge {knowledge.name} needs a teacher: give one, or offer gold alone.")
    needs = knowledge.student_needs
    for needed, attribute in (
        (needs.hidden_states, "hidden_size"),
        (needs.attentions, "num_attention_heads"),
    ):
        here, there = getattr(student.model.config, attribute), getattr(teacher.model.config, attribute)
        if needed and here != there:
            raise UserError(
                f"knowledge {knowledge.name} cannot compare {attribute} {here} (student) with {there} (teacher): "
                f"offer other knowledge, or shrink the student from its teacher."
            )
