from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertTokenizer

from kselect.config import TEXT_KNOWLEDGE, KnowledgeConfig, TrainingConfig
from kselect.distillation.compatibility import check_common_tokens, with_other_tokens
from kselect.distillation.distiller import Distiller
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.sources import CachedTeacher, LiveTeacher
from kselect.errors import KselectError
from kselect.models.needs import KINDS, Needs
from kselect.models.outputs import ModelOutputs
from kselect.models.shrink import shrink
from kselect.tasks.encoding import EncodedSplit, encode
from kselect.tasks.splits import Split
from kselect.tasks.task import build_task
from tests.architectures import VOCABULARY, classifier, tiny_regression, tokenizer
from tests.tiny import tiny_classifier, tiny_task

EVERYTHING = Needs(*[frozenset({1, 3})] * len(KINDS))
INDICES = np.array([40, 3, 17, 8])
SOME = [name for name in TEXT_KNOWLEDGE if not name.startswith("attention")]


@pytest.fixture(scope="module")
def examples() -> EncodedSplit:
    return encode(tiny_task("synthetic-entailment").splits["train"], tokenizer(), 32)


def live(*architectures: str) -> LiveTeacher:
    task = tiny_task("synthetic-entailment")
    models = [classifier(name, task, seed=seed).model for seed, name in enumerate(architectures)]
    return LiveTeacher(models, torch.float32)


def cached(examples: EncodedSplit, limit: float = 1e9) -> CachedTeacher:
    return CachedTeacher(live("bert"), examples, EVERYTHING, CacheFolder(), limit)


def assert_alike(one: ModelOutputs, other: ModelOutputs, mask: torch.Tensor) -> None:
    """Equal within half precision wherever tokens are real."""
    torch.testing.assert_close(one.logits, other.logits)
    real, pairs = mask.bool(), (mask[:, :, None] * mask[:, None, :]).bool()
    for kind in KINDS:
        assert one.layers(kind).keys() == other.layers(kind).keys()
        for layer, value in one.layers(kind).items():
            keep = real[..., None] if kind == "hidden_states" else real[:, None, :, None]
            keep = pairs[:, None] if kind in ("attentions", "attention_scores") else keep
            torch.testing.assert_close(value * keep, other.layers(kind)[layer] * keep, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_cached_teacher_equals_live_teacher(kind: str, examples: EncodedSplit) -> None:
    needs = EVERYTHING if kind == "all" else EVERYTHING.only([kind])
    teacher = cached(examples)
    batch = examples.batch(INDICES)
    from_cache = teacher.outputs_for(INDICES, batch, needs)
    assert_alike(from_cache, teacher.live.outputs_for(INDICES, batch, needs), batch["attention_mask"])
    again = teacher.outputs_for(INDICES, batch, needs)
    assert all(
        torch.equal(value, again.layers(kind)[layer])
        for kind in KINDS
        for layer, value in from_cache.layers(kind).items()
    )


def test_cached_teacher_does_not_depend_on_the_order_of_kinds(examples: EncodedSplit) -> None:
    orders = [list(KINDS), list(reversed(KINDS)), ["keys", "attentions", "hidden_states", "queries"]]
    batch, read = examples.batch(INDICES), []
    for order in orders:
        teacher = cached(examples)
        for kind in order:
            teacher.outputs_for(INDICES, batch, EVERYTHING.only([kind]))
        read.append(teacher.outputs_for(INDICES, batch, EVERYTHING))
    for other in read[1:]:
        assert torch.equal(read[0].logits, other.logits)
        for kind in KINDS:
            for layer, value in read[0].layers(kind).items():
                assert torch.equal(value, other.layers(kind)[layer])


def test_cacheable_respects_the_limit(examples: EncodedSplit) -> None:
    hidden_bytes = 2 * int(examples.lengths.sum()) * 16 * 2
    assert cached(examples, 0).cacheable == Needs()
    assert cached(examples, hidden_bytes).cacheable == EVERYTHING.only(["hidden_states"])
    assert cached(examples, 2 * hidden_bytes).cacheable.queries == {
        1,
        3,
    }  # as wide as hidden states, and after attention
    assert cached(examples).cacheable == EVERYTHING
    batch = examples.batch(INDICES)
    outputs = cached(examples, hidden_bytes).outputs_for(INDICES, batch, EVERYTHING)
    assert_alike(outputs, live("bert").outputs_for(INDICES, batch, EVERYTHING), batch["attention_mask"])


def test_live_teacher_averages_logits(examples: EncodedSplit) -> None:
    batch = examples.batch(INDICES)
    teachers = live("bert", "electra")
    apart = [LiveTeacher([model], torch.float32).outputs_for(INDICES, batch, Needs()) for model in teachers.models]
    mean = (apart[0].logits + apart[1].logits) / 2
    for source in (teachers, CachedTeacher(teachers, examples, Needs(), CacheFolder(), 1e9)):
        torch.testing.assert_close(source.outputs_for(INDICES, batch, Needs()).logits, mean)


def test_cached_teacher_measures_shapes(examples: EncodedSplit) -> None:
    teacher = CachedTeacher(live("mobilebert"), examples, EVERYTHING, CacheFolder(), 1e9)
    assert teacher.cacheable == EVERYTHING
    batch = examples.batch(INDICES)
    needs = EVERYTHING.only(["hidden_states", "attentions", "values"])
    real = batch["attention_mask"]
    assert_alike(teacher.outputs_for(INDICES, batch, needs), teacher.live.outputs_for(INDICES, batch, needs), real)


@pytest.mark.parametrize("first", [["hidden_states"], ["queries"], ["hidden_states", "queries"]])
def test_cached_teacher_computes_overflowing_outputs_live(first: list[str], examples: EncodedSplit) -> None:
    loud = live("bert")
    with torch.no_grad():
        loud.models[0].bert.encoder.layer[0].output.LayerNorm.weight[3] = 1e6
    teacher = CachedTeacher(
        loud, examples, EVERYTHING.only(["hidden_states", "attentions", "queries"]), CacheFolder(), 1e9
    )
    batch = examples.batch(INDICES)
    teacher.outputs_for(INDICES, batch, EVERYTHING.only(first))
    hidden = EVERYTHING.only(["hidden_states", "attentions"])
    ours, theirs = teacher.outputs_for(INDICES, batch, hidden), loud.outputs_for(INDICES, batch, hidden)
    assert ours.hidden_states[1].abs().max() > 65504
    assert torch.equal(ours.hidden_states[1], theirs.hidden_states[1])
    assert torch.equal(ours.attentions[3], theirs.attentions[3])
    assert not teacher.cacheable.hidden_states
    assert teacher.cacheable.attentions == {1, 3}


def test_distiller_with_two_teachers_of_other_shapes() -> None:
    task = tiny_task()
    teachers = [classifier("bert", task), classifier("roberta", task, width=24, layers=3)]
    settings = TrainingConfig(batch_size=64, epochs=5, learning_rate=3e-3, precision="fp32")
    offered = KnowledgeConfig(knowledge=["logits"])
    distiller = Distiller(task, teachers, shrink(teachers[0], 2), settings, offered)
    assert distiller.teachers == tuple(teachers)
    assert distiller.teacher is teachers[0]
    assert distiller.max_length == 38  # the lesser of both
    losses = [distiller.advance([1], 1).losses["logits"] for _ in range(5)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("architecture", ["bert", "albert", "modernbert"])
def test_advance_in_bf16_gives_finite_losses(architecture: str) -> None:
    task = tiny_task()
    teacher = classifier(architecture, task)
    offered = KnowledgeConfig(knowledge=list(TEXT_KNOWLEDGE))
    training = TrainingConfig(batch_size=8, epochs=1, precision="bf16")
    distiller = Distiller(task, teacher, shrink(teacher, 2), training, offered)
    report = distiller.advance([1] * len(TEXT_KNOWLEDGE), 2)
    assert set(report.losses) == set(TEXT_KNOWLEDGE)
    assert np.isfinite(list(report.losses.values())).all()


def across_widths(**training: Any) -> Distiller:
    task = tiny_task()
    teacher, student = classifier("bert", task, width=24), classifier("bert", task, layers=2, seed=1)
    settings = TrainingConfig(**{"batch_size": 8, "epochs": 2, "precision": "fp32", **training})
    return Distiller(task, teacher, student, settings, KnowledgeConfig(knowledge=SOME))


def projections(distiller: Distiller) -> dict[str, torch.Tensor]:
    return {
        f"{knowledge.name}.{name}": value.clone()
        for knowledge in distiller.knowledge
        if knowledge.modules is not None
        for name, value in knowledge.modules.state_dict().items()
    }


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_projections_are_trained_and_reset() -> None:
    distiller = across_widths()
    drawn = projections(distiller)
    assert {name.partition(".")[0] for name in drawn} == {
        "hidden",
        "hidden-cls",
        "hidden-cosine",
        "embeddings",
        "relations",
    }
    distiller.reset(0)
    distiller.advance([1] * len(SOME), 3)
    learned = projections(distiller)
    assert not any(torch.equal(learned[name], drawn[name]) for name in drawn if name.endswith("weight"))
    distiller.reset(1)
    assert same(projections(distiller), drawn)


def test_projections_are_part_of_a_snapshot() -> None:
    distiller = across_widths()
    distiller.reset(0)
    everything = [1] * len(SOME)
    distiller.advance(everything, 2)
    moment = distiller.snapshot()
    distiller.advance(everything, 3)
    after = projections(distiller)
    distiller.restore(moment)
    distiller.advance(everything, 3)
    assert same(projections(distiller), after)
    assert not any("maps" in name for name in distiller.student.model.state_dict())


def test_scales_of_negligible_initial_losses() -> None:
    task = tiny_task()
    teacher = classifier("bert", task)
    offered = KnowledgeConfig(knowledge=["gold", "embeddings", "hidden-cosine"], layer_map="1:1")
    distiller = Distiller(task, teacher, shrink(teacher, [1, 2]), TrainingConfig(precision="fp32"), offered)
    assert distiller.scales.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("first", "second"), [("bert", "distilbert"), ("distilbert", "bert")])
def test_shared_tokenizer_has_token_types(first: str, second: str) -> None:
    task = tiny_task("synthetic-entailment")
    teacher, student = classifier(first, task), classifier(second, task, layers=2)
    for one in (teacher, student):
        if one.model.config.model_type == "distilbert":
            one.tokenizer.model_input_names = ["input_ids", "attention_mask"]
    config = KnowledgeConfig(knowledge=["gold", "logits"], teacher_cache=0)
    distiller = Distiller(task, teacher, student, TrainingConfig(precision="fp32"), config)
    segments = distiller.encoded("train").token_type_ids
    assert segments is not None
    assert max(ids.max() for ids in segments) == 1


def test_student_is_saved_with_the_shared_tokenizer() -> None:
    task = tiny_task("synthetic-entailment")
    teacher, student = classifier("bert", task), classifier("electra", task, layers=2)
    student.tokenizer.model_input_names = ["input_ids", "attention_mask"]
    Distiller(task, teacher, student, TrainingConfig(precision="fp32"), KnowledgeConfig(knowledge=["gold"]))
    assert "token_type_ids" in student.tokenizer.model_input_names


def test_other_vocabularies_have_no_tokens_in_common() -> None:
    task = tiny_task()
    teacher = tiny_classifier(task)  # its special tokens stand in another order
    student = classifier("bert", task, layers=2)
    assert with_other_tokens(student, [student, teacher], task) == {1}
    with pytest.raises(KselectError, match=r"The doctor compares .* and they have different vocabularies"):
        check_common_tokens(student, [teacher], task, "The doctor")


def test_other_tokenisation_has_no_tokens_in_common() -> None:
    words = {"The": len(VOCABULARY), "Dog": len(VOCABULARY) + 1}
    texts = ["the dog runs", *("The Dog runs" + " runs" * i for i in range(39))]
    task = build_task("x", ["a", "b"], {"train": Split(texts, None, [i % 2 for i in range(40)])}, ["accuracy"])
    cased, uncased = classifier("bert", task), classifier("bert", task, layers=2)
    for model, lower in ((cased, False), (uncased, True)):
        model.tokenizer = BertTokenizer(vocab=VOCABULARY | words, do_lower_case=lower)
    assert with_other_tokens(uncased, [cased], task) == {0}


def test_check_compatible_refuses_other_labels() -> None:
    regression, task = tiny_regression(), tiny_task()
    with pytest.raises(KselectError, match="has 1 labels, but synthetic-acceptability has 2"):
        Distiller(task, classifier("bert", regression), classifier("bert", task, layers=2))
    with pytest.raises(KselectError, match="has 2 labels, but length has 1"):
        Distiller(regression, classifier("bert", task), classifier("bert", regression, layers=2))
