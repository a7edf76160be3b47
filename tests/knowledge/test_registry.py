from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from kselect.config import (
    DEFAULT_KNOWLEDGE,
    KNOWLEDGE_NAMES,
    LEVELS,
    PARSER_KNOWLEDGE,
    TEXT_KNOWLEDGE,
    WORD_KNOWLEDGE,
    KnowledgeConfig,
)
from kselect.errors import KselectError
from kselect.knowledge.base import Knowledge
from kselect.knowledge.layer_map import parse_layer_map
from kselect.knowledge.logits import Logits
from kselect.knowledge.registry import BUILDERS, build_knowledge, register
from kselect.knowledge.relations import HeadRelations
from kselect.knowledge.target_levels import ConfidenceSimilarity
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from tests.architectures import classifier, tiny_regression
from tests.tiny import tiny_classifier, tiny_task
from tests.words import word_classifier

INSIDE_ATTENTION = (
    "attention",
    "attention-scores",
    "query-relations",
    "key-relations",
    "value-relations",
    "latent-trees",
)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("uniform", ((1, 2), (2, 4), (3, 6))),
        ("last", ((3, 6),)),
        ("skip", ((1, 2), (2, 4))),
        ("first", ((1, 1), (2, 2), (3, 3))),
        ("1:1, 3:6", ((1, 1), (3, 6))),
    ],
)
def test_parse_layer_map_presets_and_pairs(text: str, pairs: tuple[tuple[int, int], ...]) -> None:
    assert parse_layer_map(text, 3, 6) == pairs


def test_build_knowledge_refuses_a_vanishing_similarity_temperature() -> None:
    teacher = tiny_classifier(tiny_task("synthetic-topics", 120))
    student = shrink(teacher, 2)
    (kept,) = build_knowledge(KnowledgeConfig(["kd-pt-sim"], similarity_temperature=0.02), student, [teacher])
    assert isinstance(kept, ConfidenceSimilarity)
    target = kept.target(torch.full((1, 1, 12), 1 / 12), torch.tensor([[3]]), torch.ones(1, 1, 12, dtype=torch.bool))
    assert target.sum() == pytest.approx(1)
    for kind in ("kd-sim", "kd-pt-sim"):
        with pytest.raises(KselectError, match=f"similarity_temperature 1e-05 is so low .* for {kind}"):
            build_knowledge(KnowledgeConfig([kind], similarity_temperature=1e-5), student, [teacher])


def test_parse_layer_map_skip_is_that_of_pkd() -> None:
    assert [teacher for _, teacher in parse_layer_map("skip", 6, 12)] == [2, 4, 6, 8, 10]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unifrom", "Unknown layer map 'unifrom': did you mean 'uniform'?"),
        ("1:2,4:6", "layer_map names student layer 4: the student has 1 to 3."),
        ("1:2,2:7", "layer_map names teacher layer 7: the teacher has 1 to 6."),
        ("1:2,x:3", "layer_map 1:2,x:3: 'x:3' is not a pair such as 1:2."),
        ("2:4,1:2", "layer_map 2:4,1:2 is out of order: name each student layer once, in ascending order."),
    ],
)
def test_parse_layer_map_refuses_bad_maps(text: str, message: str) -> None:
    with pytest.raises(KselectError, match="layer") as error:
        parse_layer_map(text, 3, 6)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("preset", ["uniform", "first", "skip"])
def test_parse_layer_map_refuses_presets_for_a_deeper_student(preset: str) -> None:
    with pytest.raises(
        KselectError, match=rf"layer_map {preset} pairs each of the student's 6 layers .* teacher has 4"
    ):
        parse_layer_map(preset, 6, 4)
    assert parse_layer_map("last", 6, 4) == ((6, 4),)


def test_parse_layer_map_skip_needs_two_layers() -> None:
    with pytest.raises(KselectError, match=r"the student has only one: use another map, such as last\.$") as error:
        parse_layer_map("skip", 1, 4)
    assert error.value.setting == "layer_map"
    with pytest.raises(KselectError, match=r"such as hidden-cls=last\.$") as error:
        parse_layer_map("skip", 1, 4, "layer_maps hidden-cls")
    assert error.value.setting == "layer_maps"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"knowledge": ["gold", "hiden"]}, "Unknown knowledge 'hiden': did you mean 'hidden'?"),
        ({"knowledge": ["gold"], "scales": {"hidden": 2}}, "scales names hidden, which is not on offer"),
        ({"knowledge": ["gold"], "scales": {"hiden": 2}}, "Unknown knowledge 'hiden'"),
        ({"knowledge": ["gold"], "layer_maps": {"hidden": "last"}}, "layer_maps names hidden, which is not on offer"),
        ({"layer_maps": {"logits": "last"}}, "layer_maps names logits, which does not use a layer map"),
        (
            {"knowledge": ["embeddings"], "layer_maps": {"embeddings": "last"}},
            "layer_maps names embeddings, which does not use a layer map",
        ),
        ({"layer_maps": {"hidden": "1:9"}}, "layer_maps hidden names teacher layer 9: the teacher has 1 to 4."),
        ({"knowledge": ["gold", "logits"], "layer_map": "nonsense"}, "Unknown layer map 'nonsense'"),
        ({"layer_map": "1:9"}, "layer_map names teacher layer 9: the teacher has 1 to 4."),
        ({"knowledge": ["gold@1"]}, "knowledge gold@1 names a teacher, and gold reads none: give it as gold."),
        ({"knowledge": ["logits@2"]}, "knowledge logits@2 reads teacher 2 of 1: give a number up to 1, or more"),
        ({"knowledge": ["logit@1"]}, "Unknown knowledge 'logit': did you mean 'logits'?"),
        ({"knowledge": ["logits@1"], "scales": {"logits@2": 1}}, "scales names logits@2, which is not on offer"),
        ({"knowledge": ["hidden"], "layer_maps": {"hidden@1": "last"}}, "layer_maps names hidden@1, which is not on"),
        ({"knowledge": ["logits@1"], "layer_maps": {"logits": "last"}}, "layer_maps names logits, which does not use"),
        (
            {"knowledge": ["key-relations"], "relation_heads": 3},
            "relation_heads is 3: give a divisor of both widths, 16 (student) and 16 (teacher).",
        ),
    ],
)
def test_build_knowledge_refuses_wrong_settings(settings: dict[str, Any], message: str) -> None:
    teacher = tiny_classifier(tiny_task())
    with pytest.raises(KselectError) as error:
        build_knowledge(KnowledgeConfig(**settings), shrink(teacher, 2), [teacher])
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": "warm"}, "temperature is 'warm': give a number, or a schedule over the run such as 4->1."),
        ({"knowledge": ["logits@0"]}, "logits@0 does not number a teacher: count from 1, as in logits@1."),
        ({"knowledge": ["logits@"]}, "logits@ does not number a teacher: count from 1, as in logits@1."),
        ({"scales": {"hidden@01": 1.0}}, "hidden@01 does not number a teacher: count from 1, as in hidden@1."),
        ({"temperature": "4->0"}, "temperature is 4->0: give a positive number, or a schedule between two."),
        ({"scales": {"hidden": -1.0}}, "scales gives hidden -1.0: give a positive number, or measured."),
        (
            {"scales": {"hidden": "big"}},
            "scales is {'hidden': 'big'}: expected name=value pairs with numbers or measured, such as "
            "hidden=10,attention=2.",
        ),
        ({"relation_heads": 0}, "relation_heads is 0: give a positive number."),
    ],
)
def test_knowledge_config_refuses_meaningless_values(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(KselectError) as error:
        KnowledgeConfig(**settings)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "name", [name for name in KNOWLEDGE_NAMES if name not in ("gold", "label-smoothing", *PARSER_KNOWLEDGE)]
)
def test_build_knowledge_requires_a_teacher(name: str) -> None:
    student = tiny_classifier(tiny_task())
    config = KnowledgeConfig(knowledge=["gold", name])
    with pytest.raises(KselectError, match=f"knowledge {name} needs a teacher: give one, or offer only gold"):
        build_knowledge(config, student, [])


def by_default(student: Classifier, teacher: Classifier, **settings: Any) -> list[str]:
    return [knowledge.name for knowledge in build_knowledge(KnowledgeConfig(**settings), student, [teacher])]


def test_build_knowledge_default_kinds() -> None:
    assert DEFAULT_KNOWLEDGE == ("gold", "logits", "hidden", "attention", "relations")
    teacher = tiny_classifier(tiny_task())
    assert by_default(shrink(teacher, 2), teacher) == list(DEFAULT_KNOWLEDGE)


def test_build_knowledge_default_leaves_out_unsupported_kinds() -> None:
    task = tiny_task()
    shy = classifier("deberta-v2", task)
    assert by_default(shrink(shy, 2), shy) == ["gold", "logits", "hidden", "relations"]
    few, many = classifier("bert", task, layers=2), classifier("bert", task, heads=4)
    assert by_default(few, many) == ["gold", "logits", "hidden", "relations"]
    with pytest.raises(KselectError, match="layer_maps names attention, which is not on offer"):
        by_default(few, many, layer_maps={"attention": "last"})


SHARED = ("hidden", "attention", "relations")
"""What any two encoders of one architecture have in common."""


@pytest.mark.parametrize(
    ("teacher", "student", "further"),
    [
        ("crf", "crf", ("logits", *SHARED, "marginals", "substructures")),
        ("crf", "tagger", ("logits", *SHARED, "marginals", "substructures")),
        ("tagger", "crf", ("logits", *SHARED, "marginals", "substructures")),
        ("spans", "tagger", (*SHARED, "marginals")),
        ("crf", "spans", SHARED),
        ("spans", "spans", ("logits", *SHARED, "marginals", "substructures")),
        ("parser", "tree-tagger", (*SHARED, "marginals")),
        ("second-order-parser", "tree-tagger", (*SHARED, "marginals")),
        ("second-order-parser", "parser", ("logits", *SHARED, "marginals", "substructures")),
        ("parser", "second-order-parser", ("logits", *SHARED, "substructures")),
        ("tree-tagger", "parser", SHARED),
        ("tree-tagger", "tree-tagger", ("logits", *SHARED, "marginals", "substructures")),
    ],
)
def test_build_knowledge_default_for_words(teacher: str, student: str, further: tuple[str, ...]) -> None:
    one = word_classifier(teacher)
    other = word_classifier(student, layers=1)
    assert by_default(other, one) == ["gold", *further]
    refused = {"logits", "marginals", "substructures"} - {*further}
    for name in refused:
        with pytest.raises(KselectError, match=f"knowledge {name} "):
            by_default(other, one, knowledge=["gold", name])


def test_build_knowledge_default_still_refuses_bad_settings() -> None:
    chain = word_classifier("crf")
    with pytest.raises(KselectError, match="softening local flattens each marginal separately"):
        by_default(word_classifier("crf", layers=1), chain, softening="local")
    with pytest.raises(KselectError, match="transitions are scored only by the crf head"):
        by_default(word_classifier("tagger", layers=1), chain, transitions=True)


def test_knowledge_default_scales() -> None:
    teacher = tiny_classifier(tiny_task())
    config = KnowledgeConfig(knowledge=list(TEXT_KNOWLEDGE))
    scales = {k.name: k.scale for k in build_knowledge(config, shrink(teacher, 2), [teacher])}
    assert scales == {
        name: 1.0 if name in ("gold", "logits", "reverse-kl", "jsd", *LEVELS) else None for name in TEXT_KNOWLEDGE
    }


@pytest.mark.parametrize("name", WORD_KNOWLEDGE)
def test_build_knowledge_refuses_word_kinds_for_texts(name: str) -> None:
    teacher = tiny_classifier(tiny_task())
    with pytest.raises(KselectError, match=f"knowledge {name} is for labelled words, not for whole texts"):
        build_knowledge(KnowledgeConfig(knowledge=[name]), shrink(teacher, 2), [teacher])


@pytest.mark.parametrize("name", LEVELS)
def test_build_knowledge_refuses_class_levels_for_a_regression(name: str) -> None:
    teacher = classifier("bert", tiny_regression())
    with pytest.raises(KselectError, match=f"knowledge {name} compares classes, which the head score does not have"):
        build_knowledge(KnowledgeConfig(knowledge=[name]), shrink(teacher, 2), [teacher])


def test_build_knowledge_scales() -> None:
    teacher = tiny_classifier(tiny_task())
    config = KnowledgeConfig(scales={"hidden": 2.5, "logits": "measured"})
    scales = {k.name: k.scale for k in build_knowledge(config, shrink(teacher, 2), [teacher])}
    assert scales == {"gold": 1.0, "logits": None, "hidden": 2.5, "attention": None, "relations": None}


def test_build_knowledge_layer_maps_per_kind() -> None:
    teacher = tiny_classifier(tiny_task())
    config = KnowledgeConfig(
        knowledge=["hidden", "hidden-cls", "hidden-cosine"], layer_maps={"hidden-cls": "skip", "hidden-cosine": "last"}
    )
    needs = [k.teacher_needs for k in build_knowledge(config, shrink(teacher, 2), [teacher])]
    maps = [need.hidden_states for need in needs if need is not None]
    assert maps == [{2, 4}, {2}, {4}]


def test_build_knowledge_temperature_schedule() -> None:
    teacher = tiny_classifier(tiny_task())
    config = KnowledgeConfig(knowledge=["logits"], temperature="4->1")
    (logits,) = build_knowledge(config, shrink(teacher, 2), [teacher])
    assert isinstance(logits, Logits)
    assert logits.temperature(0.5) == 2.5


@pytest.mark.parametrize(
    ("student", "teacher", "heads"), [((16, 2), (16, 2), 2), ((16, 2), (24, 3), 2), ((12, 4), (24, 6), 6)]
)
def test_model_pair_relation_heads_divide_both_widths(
    student: tuple[int, int], teacher: tuple[int, int], heads: int
) -> None:
    (small, few), (wide, many) = student, teacher
    config = KnowledgeConfig(knowledge=["key-relations"])
    models = [
        classifier("bert", tiny_task(), width=width, heads=count) for width, count in ((small, few), (wide, many))
    ]
    (relations,) = build_knowledge(config, shrink(models[0], 2), models[1:])
    assert isinstance(relations, HeadRelations)
    assert relations.relation_heads == heads


def test_model_pair_projection_only_across_widths() -> None:
    task = tiny_task()
    narrow, wide = classifier("bert", task, layers=2), classifier("bert", task, width=24)
    kinds = [name for name in TEXT_KNOWLEDGE if name not in ("attention", "attention-scores")]
    across = build_knowledge(KnowledgeConfig(knowledge=kinds), narrow, [wide])
    assert {k.name for k in across if k.modules is not None} == {
        "hidden",
        "hidden-cls",
        "hidden-cosine",
        "embeddings",
        "relations",
    }
    alike = build_knowledge(KnowledgeConfig(knowledge=kinds), narrow, [classifier("bert", task)])
    assert all(k.modules is None for k in alike)


def test_projection_initialisation_is_reproducible() -> None:
    task = tiny_task()
    models = classifier("bert", task, layers=2), [classifier("bert", task, width=24)]
    before = torch.get_rng_state()
    one, other = (build_knowledge(KnowledgeConfig(knowledge=["hidden"]), *models)[0].modules for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert one is not None
    assert other is not None
    weights = one.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in other.state_dict().items())


@pytest.mark.parametrize("name", ["attention", "attention-scores"])
def test_build_knowledge_refuses_attention_across_head_counts(name: str) -> None:
    task = tiny_task()
    with pytest.raises(KselectError, match=r"2 attention heads \(student\) with 4 \(teacher\): offer query-relations"):
        build_knowledge(
            KnowledgeConfig(knowledge=[name]),
            classifier("bert", task, layers=2),
            [classifier("bert", task, heads=4)],
        )


def test_build_knowledge_refuses_full_against_windowed_attention() -> None:
    teacher = classifier("modernbert", tiny_task())
    config = KnowledgeConfig(knowledge=["attention"], layer_map="1:1")
    with pytest.raises(KselectError, match=r"compare sliding_attention \(student layer 1\) with full_attention"):
        build_knowledge(config, shrink(teacher, [2, 4]), [teacher])
    build_knowledge(config, shrink(teacher, [1, 4]), [teacher])


@pytest.mark.parametrize("architecture", ["deberta-v2", "mpnet"])
@pytest.mark.parametrize("name", INSIDE_ATTENTION)
def test_build_knowledge_refuses_unreadable_architectures(architecture: str, name: str) -> None:
    teacher = classifier(architecture, tiny_task())
    with pytest.raises(KselectError) as error:
        build_knowledge(KnowledgeConfig(knowledge=[name]), shrink(teacher, 2), [teacher])
    assert str(error.value) == (
        f"knowledge {name} reads inside the attention, which {architecture} does not return before dropout: "
        f"offer kinds that read logits or hidden states."
    )


def test_build_knowledge_of_several_teachers_needs_logits() -> None:
    task = tiny_task()
    teachers = [classifier("bert", task), classifier("bert", task, seed=1)]
    student = shrink(teachers[0], 2)
    from_logits = ["gold", "logits", "logits-mse", "reverse-kl", "jsd", "label-smoothing", "kd-pt", "kd-top-k"]
    build_knowledge(KnowledgeConfig(knowledge=from_logits), student, teachers)
    for name in set(TEXT_KNOWLEDGE) - set(from_logits):
        with pytest.raises(KselectError) as error:
            build_knowledge(KnowledgeConfig(knowledge=[*from_logits, name]), student, teachers)
        assert str(error.value).startswith(
            f"knowledge {name} reads inner layers of its teachers, which cannot be averaged over several: offer kinds "
            f"that read logits, one teacher's as in {name}@1, or give one teacher."
        )
        build_knowledge(KnowledgeConfig(knowledge=[f"{name}@2", *from_logits]), student, teachers)
    by_default = build_knowledge(KnowledgeConfig(), student, teachers)
    assert [kind.name for kind in by_default] == ["gold", "logits"]


def test_build_knowledge_settings_of_one_teacher_and_of_all() -> None:
    task = tiny_task()
    teachers = [classifier("bert", task, layers=layers, seed=layers) for layers in (4, 3)]
    names = ["hidden@1", "hidden@2", "relations@2"]
    config = KnowledgeConfig(
        knowledge=names,
        scales={"hidden": 2.0, "hidden@2": "measured"},
        layer_maps={"hidden": "last", "hidden@1": "skip"},
    )
    built = {kind.name: kind for kind in build_knowledge(config, shrink(teachers[0], 2), teachers)}
    assert list(built) == names
    assert {name: kind.scale for name, kind in built.items()} == {
        "hidden@1": 2.0,
        "hidden@2": None,
        "relations@2": None,
    }
    maps = {name: kind.layer_map for name, kind in built.items()}
    assert maps == {"hidden@1": ((1, 2),), "hidden@2": ((2, 3),), "relations@2": ((1, 1), (2, 3))}
    assert [kind.teachers for kind in built.values()] == [(0,), (1,), (1,)]


def test_model_pair_relation_heads_use_inner_widths() -> None:
    """MobileBERT's layers are narrower inside than its hidden states."""
    teacher = classifier("mobilebert", tiny_task())
    student = classifier("bert", tiny_task(), layers=2, width=12)
    (relations,) = build_knowledge(KnowledgeConfig(knowledge=["key-relations"]), student, [teacher])
    assert isinstance(relations, HeadRelations)
    assert relations.relation_heads == 2
    with pytest.raises(
        KselectError, match=r"relation_heads is 6: give a divisor of both widths, 12 .* and 8 \(teacher\)"
    ):
        build_knowledge(KnowledgeConfig(knowledge=["key-relations"], relation_heads=6), student, [teacher])


class Nothing(Knowledge):
    """No distance at all."""

    name: ClassVar[str] = "nothing"

    def loss(self, student, teacher, batch):
        """Return zeros `[B]`."""
        return 0 * student.logits.sum(-1)


def test_register_adds_a_custom_kind() -> None:
    register(Nothing)
    try:
        teacher = tiny_classifier(tiny_task())
        config = KnowledgeConfig(knowledge=["gold", "nothing"], scales={"nothing": 3}, relation_heads=2)
        assert build_knowledge(config, shrink(teacher, 2), [teacher])[1].scale == 3
    finally:
        del BUILDERS["nothing"]
    with pytest.raises(ValueError, match="'logits' is a built-in kind of knowledge: give Logits another name"):
        register(Logits)
