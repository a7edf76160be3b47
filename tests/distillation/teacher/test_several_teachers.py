"""Several teachers, each with knowledge of its own: against the teacher alone, and against what it returns."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.callback import DistillerCallback, MicroBatch
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.facts import KIND_FACTS, kind_facts
from kselect.distillation.snapshot import Snapshot
from kselect.distillation.teacher.cache import CacheFolder
from kselect.envs.observation import name_code
from kselect.errors import KselectError
from kselect.knowledge.hidden_states import Hidden
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from tests.tiny import tiny_classifier, tiny_task
from tests.words import tagging_task, word_classifier

TWO = ["gold", "logits@1", "logits@2", "hidden@1", "hidden@2"]


def teachers() -> list[Classifier]:
    """Two that differ in weights, depth and width."""
    task = tiny_task()
    return [tiny_classifier(task), tiny_classifier(task, layers=3, seed=1, hidden_size=24)]


def distiller_of(given: Sequence[Classifier], knowledge: list[str], student: Classifier, **offered: Any) -> Distiller:
    training = TrainingConfig(batch_size=8, epochs=2, learning_rate=1e-3, precision="fp32")
    config = KnowledgeConfig(knowledge=knowledge, **offered)
    return Distiller(tiny_task(), given, copy.deepcopy(student), training, config, max_length=32)


def weights(distiller: Distiller) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in distiller.student.model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Passes:
    """How many examples each teacher reads."""

    def __init__(self, given: Sequence[Classifier]) -> None:
        self.examples = [0] * len(given)
        for i, teacher in enumerate(given):
            teacher.model.register_forward_hook(lambda *read, i=i: self.count(i, read[-1]))

    def count(self, teacher: int, outputs: Any) -> None:
        self.examples[teacher] += len(outputs.logits)


class Seen(DistillerCallback):
    """The micro-batches of a run."""

    def __init__(self) -> None:
        self.parts: list[MicroBatch] = []

    def on_losses(self, micro_batch: MicroBatch, total: Tensor) -> None:
        self.parts.append(micro_batch)


@pytest.mark.parametrize("cache", [0.0, 1.0], ids=["live", "cached"])
def test_knowledge_of_each_teacher_equals_that_of_the_teacher_alone(cache: float) -> None:
    one = tiny_classifier(tiny_task())
    student, twin = shrink(one, 2), copy.deepcopy(one)
    alone = distiller_of([one], ["gold", "logits", "hidden"], student, teacher_cache=cache)
    runs = [alone, distiller_of([one], ["gold", "logits@1", "hidden@1"], student, teacher_cache=cache)]
    runs += [
        distiller_of([one, twin], ["gold", f"logits@{i}", f"hidden@{3 - i}"], student, teacher_cache=cache)
        for i in (1, 2)
    ]
    reports = []
    for run in runs:
        run.reset(1)
        reports.append(run.advance([0.5, 1, 0.3], 4))
    for run, report in zip(runs[1:], reports[1:], strict=True):
        assert run.scales.tolist() == alone.scales.tolist()
        assert list(report.losses.values()) == list(reports[0].losses.values())
        assert report.signals == reports[0].signals
        assert same(weights(run), weights(alone))


def test_mean_of_a_teacher_and_its_twin_equals_each() -> None:
    one = tiny_classifier(tiny_task())
    run = distiller_of([one, copy.deepcopy(one)], ["logits", "logits@1", "logits@2"], shrink(one, 2))
    losses = run.advance([1, 1, 1], 3).losses
    assert losses["logits"] == losses["logits@1"] == losses["logits@2"]


def test_losses_equal_those_against_each_teacher_directly() -> None:
    given = teachers()
    student = shrink(given[0], 2)
    scales: dict[str, Any] = {"hidden": 3, "hidden@2": "measured"}
    run = distiller_of(given, [*TWO, "logits"], student, scales=scales, layer_maps={"hidden@2": "1:3,2:1"})
    batch = run.encoded("train").batch(run._probe_sample())
    inputs = {name: value for name, value in batch.items() if name in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.no_grad():
        ours, *theirs = (
            each.model.eval()(**inputs, output_hidden_states=True) for each in (run.student, *run.teachers)
        )
        projection = run.knowledge[4].modules
        assert projection is not None
        assert run.knowledge[3].modules is None  # of equal widths
        expected = {"gold": torch.nn.functional.cross_entropy(ours.logits, batch["labels"])}
        answers = {"logits@1": theirs[0].logits, "logits@2": theirs[1].logits}
        answers["logits"] = (theirs[0].logits + theirs[1].logits) / 2
        for name, logits in answers.items():
            p, q = torch.softmax(logits / 2, -1), torch.softmax(ours.logits / 2, -1)
            expected[name] = 4 * (p * (p / q).log()).sum(-1).mean()
        mask = batch["attention_mask"]
        for name, theirs_of, layers in (("hidden@1", 0, ((1, 2), (2, 4))), ("hidden@2", 1, ((1, 3), (2, 1)))):
            distances = []
            for s, t in layers:
                state = ours.hidden_states[s] if theirs_of == 0 else projection(ours.hidden_states[s], s)
                square = (state - theirs[theirs_of].hidden_states[t]).square().mean(-1)
                distances.append(((square * mask).sum(-1) / mask.sum(-1)).mean())
            expected[name] = torch.stack(distances).mean()
    assert run.initial_losses == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-4)
    assert run.knowledge[3].scale == 3
    assert run.scales[4] == pytest.approx(run.task.uninformed_loss / run.initial_losses["hidden@2"])


@pytest.mark.parametrize("cache", [0.0, 1.0], ids=["live", "cached"])
def test_only_teachers_that_selected_knowledge_reads_are_run(cache: float) -> None:
    given = teachers()
    run = distiller_of(given, [*TWO, "logits"], shrink(given[0], 2), teacher_cache=cache)
    run.reset(0)
    passes = Passes(given)
    run.advance([1, 0, 0, 0, 0, 0], 2)
    assert passes.examples == [0, 0]
    run.advance([1, 0, 1, 0, 0, 0], 2)
    of_second = 16 if cache == 0 else len(run.encoded("train"))
    assert passes.examples == [0, of_second]
    assert len(CacheFolder().entries()) == (cache > 0)
    run.advance([1, 1, 0, 0, 0, 0], 2)
    assert passes.examples == [of_second, of_second]


def test_unselected_teachers_change_no_bit() -> None:
    given = teachers()
    student = shrink(given[0], 2)
    fixed: dict[str, Any] = {"hidden": 2.0}  # what is measured depends in its last bit on how many rows there are
    both = distiller_of(given, TWO, student, scales=fixed)
    first = distiller_of(given[:1], ["gold", "logits", "hidden"], student, scales=fixed)
    for run in (both, first):
        run.reset(3)
    of_both, of_first = both.advance([1, 1, 0, 0.5, 0], 4), first.advance([1, 1, 0.5], 4)
    assert list(of_both.losses.values()) == list(of_first.losses.values())
    assert same(weights(both), weights(first))


def test_outputs_of_each_teacher_are_cached_for_every_run_under_it() -> None:
    given = teachers()
    student = shrink(given[0], 2)
    runs = [distiller_of(given, TWO, student, teacher_cache=cache) for cache in (0.0, 1.0, 1.0)]
    reports = []
    for run in runs:
        run.reset(1)
        reports.append(run.advance([1] * 5, 4))
    live, cached, again = reports
    assert cached == again
    assert same(weights(runs[1]), weights(runs[2]))
    assert cached.losses == pytest.approx(live.losses, rel=1e-2)
    assert len(CacheFolder().entries()) == 2
    alone = distiller_of(given[1:], ["gold", "logits", "hidden"], student)
    alone.reset(1)
    passes = Passes(given)
    alone.advance([1, 1, 1], 2)
    assert passes.examples == [0, 0]
    mean = distiller_of(given, ["gold", "logits"], student)
    mean.advance([1, 1], 1)
    assert len(CacheFolder().entries()) == 3


def test_teachers_share_the_size_limit() -> None:
    given = teachers()
    two, one = (distiller_of(given, names, shrink(given[0], 2)) for names in (TWO, TWO[:2]))
    limits = [getattr(source, "limit_bytes", 0) for source in two._teacher_outputs.sources.values()]
    assert limits == [2 * 2**30, 2 * 2**30]
    assert [getattr(source, "limit_bytes", 0) for source in one._teacher_outputs.sources.values()] == [4 * 2**30]


def test_restore_includes_the_projections_of_each_teacher(tmp_path: Path) -> None:
    given = teachers()
    given[0] = tiny_classifier(tiny_task(), hidden_size=32)
    student = tiny_classifier(tiny_task(), layers=2)
    run = distiller_of(given, TWO, student)
    run.reset(0)
    run.advance([1] * 5, 2)
    run.snapshot().save(tmp_path / "moment")
    run.advance([1] * 5, 3)
    resumed = distiller_of(given, TWO, student)
    resumed.restore(Snapshot.load(tmp_path / "moment"))
    resumed.advance([1] * 5, 3)
    assert same(weights(resumed), weights(run))
    for ours, theirs in zip(run.knowledge[3:], resumed.knowledge[3:], strict=True):
        assert ours.modules is not None
        assert theirs.modules is not None
        assert same(ours.modules.state_dict(), theirs.modules.state_dict())


def test_names_and_facts_of_each_row() -> None:
    given = teachers()
    run = distiller_of(given, [*TWO, "logits"], shrink(given[0], 2))
    assert run.names == (*TWO, "logits")
    assert kind_facts(run.knowledge)[:, KIND_FACTS.index("teacher_index")].tolist() == [0, 0, 1, 0, 1, 0]
    assert Hidden.name == "hidden"
    codes = {name_code(name).tobytes() for name in run.names}
    assert len(codes) == len(run.names)


def test_signals_are_those_of_the_first_teacher_that_is_read() -> None:
    given = teachers()
    run, seen = distiller_of(given, ["logits@2", "logits", "gold", "logits@1"], shrink(given[0], 2)), Seen()
    run.callbacks.append(seen)
    for selection in ([1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]):
        run.advance(selection, 1)
    assert [list(part.teachers) for part in seen.parts] == [[(0,), (0, 1), (1,)], [(0, 1), (1,)], [(1,)], []]
    for part in seen.parts[:-1]:
        assert part.teacher is next(iter(part.teachers.values()))
    assert seen.parts[-1].teacher is None
    batch, _, teacher = run.model_outputs(run._probe_sample())
    assert teacher is not None
    with torch.no_grad():
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        torch.testing.assert_close(teacher.logits, given[0].model.eval()(**inputs).logits)


def test_teachers_of_words_that_cannot_be_averaged_have_rows_of_their_own() -> None:
    one, other = word_classifier("tagger"), word_classifier("crf", seed=1)
    student = shrink(one, 1)
    names = ["gold", "marginals@1", "marginals@2", "substructures@2"]
    training = TrainingConfig(batch_size=8, epochs=1, precision="fp32")
    run = Distiller(tagging_task(), [one, other], student, training, KnowledgeConfig(knowledge=names))
    for i, teacher in enumerate((one, other), 1):
        knowledge = KnowledgeConfig(knowledge=["marginals"])
        alone = Distiller(tagging_task(), teacher, copy.deepcopy(student), training, knowledge)
        assert run.initial_losses[f"marginals@{i}"] == pytest.approx(alone.initial_losses["marginals"], rel=1e-5)
    assert run.advance([1, 1, 1, 1], 1).steps == 1
    with pytest.raises(KselectError, match="Only the logits of taggers can be averaged"):
        Distiller(tagging_task(), [one, other], student, training, KnowledgeConfig(knowledge=["marginals"]))


def test_number_beyond_the_teachers_is_refused() -> None:
    given = teachers()
    student = shrink(given[0], 2)
    with pytest.raises(KselectError) as error:
        distiller_of(given, ["gold", "logits@3"], student)
    assert str(error.value) == ("knowledge logits@3 reads teacher 3 of 2: give a number up to 2, or more teachers.")
    with pytest.raises(KselectError, match=r"knowledge hidden reads inner layers of its teachers"):
        distiller_of(given, ["gold", "hidden", "hidden@1"], student)
