from __future__ import annotations

import pytest

from kselect.config import KnowledgeConfig
from kselect.errors import UserError
from kselect.knowledge.layer_map import parse_layer_map
from kselect.knowledge.registry import build_knowledge
from kselect.models.shrink import shrink
from tests.tiny import tiny_classifier, tiny_task


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("uniform", ((1, 2), (2, 4), (3, 6))),
        ("last", ((3, 6),)),
        ("1:1, 3:6", ((1, 1), (3, 6))),
    ],
)
def test_layer_maps(text: str, pairs: tuple[tuple[int, int], ...]) -> None:
    assert parse_layer_map(text, 3, 6) == pairs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unifrom", "Unknown layer map 'unifrom': did you mean 'uniform'?"),
        ("1:2,4:6", "layer_map names student layer 4: the student has 1 to 3."),
        ("1:2,2:7", "layer_map names teacher layer 7: the teacher has 1 to 6."),
        ("1:2,x:3", "layer_map 1:2,x:3 has 'x:3' where a pair such as 1:2 must stand."),
        ("2:4,1:2", "layer_map 2:4,1:2 is out of order: name each student layer once, in rising order."),
    ],
)
def test_wrong_layer_maps_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match="layer") as error:
        parse_layer_map(text, 3, 6)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (KnowledgeConfig(knowledge=["gold", "hiden"]), "Unknown knowledge 'hiden': did you mean 'hidden'?"),
        (KnowledgeConfig(knowledge=["gold"], scales={"hidden": 2}), "scales names hidden, which is not on offer"),
        (KnowledgeConfig(knowledge=["gold"], scales={"hiden": 2}), "Unknown knowledge 'hiden'"),
    ],
)
def test_wrong_settings_are_refused(config: KnowledgeConfig, message: str) -> None:
    teacher = tiny_classifier(tiny_task())
    with pytest.raises(UserError) as error:
        build_knowledge(config, shrink(teacher, 2), [teacher])
    assert str(error.value).startswith(message)


def test_a_teacher_is_asked_for() -> None:
    student = tiny_classifier(tiny_task())
    with pytest.raises(UserError, match="knowledge logits needs a teacher"):
        build_knowledge(KnowledgeConfig(knowledge=["gold", "logits"]), student, [])


def test_a_configured_scale_is_taken() -> None:
    teacher = tiny_classifier(tiny_task())
    knowledge = build_knowledge(KnowledgeConfig(scales={"hidden": 2.5}), shrink(teacher, 2), [teacher])
    scales = {k.name: k.scale for k in knowledge}
    assert scales == {"gold": 1.0, "logits": 1.0, "hidden": 2.5, "attention": None, "relations": None}
