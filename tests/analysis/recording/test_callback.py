"""A recorder sees every example, changes no bit, adds no synchronisation, and costs nothing unless attached."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kselect.analysis.recording.callback import ExampleRecorder
from kselect.analysis.recording.table import DTYPES, ExampleTable
from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.config.knowledge import WEIGHTINGS
from kselect.distillation.callback import DistillerCallback, MicroBatch
from kselect.distillation.distiller import Distiller
from kselect.distillation.divergence import TrainingDivergedError
from kselect.errors import KselectError
from kselect.models.shrink import shrink
from kselect.models.word_classifier import with_head
from tests.distillation.test_nothing_unselected import NothingWaitsForTheDevice, Operations, Readings
from tests.tiny import tiny_distiller
from tests.words import task_for, word_classifier

ALL = [1, 1, 1, 1, 1]
GOLD = [1, 0, 0, 0, 0]
BOTH = [1, 1, 0, 0, 0]


def words_distiller(teacher: str, student: str, kinds: list[str], **settings: Any) -> Distiller:
    made = word_classifier(teacher)
    small = shrink(made, 1)
    learner = small if student == teacher else with_head(small, task_for(student), student)
    training = TrainingConfig(**{"batch_size": 8, "epochs": 3, "learning_rate": 3e-3, "precision": "fp32", **settings})
    return Distiller(task_for(student), made, learner, training, KnowledgeConfig(knowledge=kinds))


def weights(distiller: Distiller) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in distiller.student.model.state_dict().items()}


def same(one: ExampleTable, other: ExampleTable) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in DTYPES)


def test_recorder_sees_every_example_once_an_epoch_with_its_label() -> None:
    distiller = tiny_distiller(epochs=2, accumulation=2)
    recorder = ExampleRecorder(distiller)
    distiller.reset(0)
    for steps in (3, 4, 100):
        distiller.advance(BOTH, steps)
    rows, train = recorder.rows, distiller.task.splits["train"]
    assert [len(phase) for phase in recorder.phases] == [24, 32, 72]
    assert rows.step.tolist() == sorted(rows.step.tolist())
    assert set(rows.step.tolist()) == set(range(1, distiller.total_steps + 1))
    for epoch in (rows.where(rows.step <= 8), rows.where(rows.step > 8)):
        assert sorted(epoch.example.tolist()) == list(range(len(train)))
    assert rows.label.tolist() == [train.labels[i] for i in rows.example]
    assert not rows.word.any()
    assert {name: column.dtype for name, column in rows.columns().items()} == DTYPES
    for confidence in (rows.teacher_confidence, rows.student_confidence):
        assert ((confidence > 0) & (confidence < 1)).all()


def test_recorder_teacher_confidence_is_its_probability_of_the_label() -> None:
    distiller = tiny_distiller()
    recorder = ExampleRecorder(distiller)
    distiller.reset(0)
    distiller.advance(BOTH, 8)
    rows = recorder.rows
    _, _, teacher = distiller.model_outputs(rows.example.astype(np.int64))
    assert teacher is not None
    expected = torch.softmax(teacher.logits, -1)[torch.arange(len(rows)), torch.from_numpy(rows.label).long()]
    np.testing.assert_allclose(rows.teacher_confidence, expected.numpy(), rtol=1e-4)


class Autograd(DistillerCallback):
    """The factor of every position with a known label, as a ratio of two derivatives."""

    def __init__(self) -> None:
        self.found: list[Tensor] = []

    def on_losses(self, part: MicroBatch, total: Tensor) -> None:
        gold = part.student.gold_loss(part.batch.labels).sum()
        own, plain = (
            torch.autograd.grad(loss, part.output, retain_graph=True, allow_unused=True)[0]
            for loss in (total.sum(), gold)
        )
        own = torch.zeros_like(plain) if own is None else own
        right = part.student.right_choices(part.batch.labels)
        shape, at = part.student.choices.scores.shape, right.clamp(min=0)[..., None]
        ratio = own.reshape(shape).gather(-1, at) / plain.reshape(shape).gather(-1, at)
        self.found.append(ratio.squeeze(-1)[(right >= 0) & part.student.choices.mask])


CASES = [
    (weighting, lambda weighting=weighting: tiny_distiller({"weighting": weighting}), [0.5, 1, 0.25, 1, 0])
    for weighting in WEIGHTINGS
] + [
    ("levels", lambda: tiny_distiller({"knowledge": ["label-smoothing", "kd-pt", "kd-top-k"]}), [1, 0.5, 1]),
    ("logits-mse", lambda: tiny_distiller({"knowledge": ["gold", "logits-mse"]}, accumulation=2), [1, 1]),
    ("tagger", lambda: words_distiller("tagger", "tagger", ["gold", "logits", "posterior", "hidden"]), [1, 1, 0.5, 1]),
    ("crf", lambda: words_distiller("crf", "tagger", ["gold", "logits", "marginals", "best-sequences"]), [1, 1, 1, 0]),
    ("arcs", lambda: words_distiller("tree-tagger", "tree-tagger", ["gold", "logits", "kd-pt-sim"]), [1, 1, 1]),
    ("parser", lambda: words_distiller("parser", "tree-tagger", ["gold", "marginals"]), [1, 1]),
]


@pytest.mark.parametrize(("make", "selection"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_recorder_factor_is_the_ratio_of_gradients_in_every_run(make: Any, selection: list[float]) -> None:
    distiller = make()
    check = Autograd()
    recorder = ExampleRecorder(distiller)
    distiller.callbacks.append(check)
    distiller.reset(0)
    distiller.advance(selection, 3)
    distiller.advance(selection, 3)
    expected, factor = torch.cat(check.found).numpy(), recorder.rows.factor
    assert len(expected) == len(factor) > 0
    finite = np.isfinite(expected)  # an arc tag that is the only possible one is pulled by nothing
    np.testing.assert_allclose(factor[finite], expected[finite], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(factor[~finite], 1 / np.count_nonzero(selection), rtol=1e-6)
    assert np.ptp(expected[finite]) > 1e-3


def test_recorder_factor_of_gold_is_its_weight_and_reads_no_teacher() -> None:
    distiller = tiny_distiller({"teacher_cache": 0})
    assert distiller.teacher is not None
    passes = []
    distiller.teacher.model.register_forward_hook(lambda *_: passes.append(1))
    recorder = ExampleRecorder(distiller)
    distiller.reset(0)
    distiller.advance(GOLD, 3)
    assert not passes
    assert set(recorder.rows.factor.tolist()) == {1.0}
    assert np.isnan(recorder.rows.teacher_confidence).all()
    assert len(recorder.rows.with_teacher) == 0
    distiller.advance([1, 0, 1, 0, 0], 2)
    assert len(passes) == 2
    assert set(recorder.phases[-1].factor.tolist()) == {0.5}
    assert len(recorder.rows.with_teacher) == 16


@pytest.mark.parametrize("teacher", ["tagger", "crf"])
def test_recorder_has_a_row_for_each_word(teacher: str) -> None:
    distiller = words_distiller(teacher, "tagger", ["gold", "logits"])
    recorder = ExampleRecorder(distiller)
    distiller.reset(0)
    distiller.advance([1, 1], 3)  # an epoch
    rows, sentences = recorder.rows, distiller.task.splits["train"].sentences
    found = dict(zip(zip(rows.example.tolist(), rows.word.tolist(), strict=True), rows.label.tolist(), strict=True))
    ids = {tag: i for i, tag in enumerate(distiller.task.labels)}
    assert found == {(i, w): ids[tag] for i, one in enumerate(sentences) for w, tag in enumerate(one.tags)}
    assert len(rows) == len(found)


def test_recorder_numbers_the_words_of_a_sentence_in_pieces() -> None:
    made = word_classifier("tagger")
    training = TrainingConfig(batch_size=8, epochs=3, precision="fp32")
    knowledge = KnowledgeConfig(knowledge=["gold"])
    distiller = Distiller(task_for("tagger"), made, shrink(made, 1), training, knowledge, max_length=8)
    assert distiller.in_pieces["train"]
    recorder = ExampleRecorder(distiller)
    distiller.reset(0)
    distiller.advance([1], distiller.total_steps // 3)
    rows, sentences = recorder.rows, distiller.task.splits["train"].sentences
    found = set(zip(rows.example.tolist(), rows.word.tolist(), strict=True))
    assert found == {(i, w) for i, one in enumerate(sentences) for w in range(len(one))}


def test_recorder_has_no_confidence_of_a_teacher_with_other_choices() -> None:
    distiller = words_distiller("parser", "tree-tagger", ["gold", "marginals"])
    recorder = ExampleRecorder(distiller)
    distiller.advance([1, 1], 3)
    assert np.isnan(recorder.rows.teacher_confidence).all()
    assert np.isfinite(recorder.rows.factor).all()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_recorder_changes_no_bit_of_the_student(weighting: str, precision: str) -> None:
    students, reports = [], []
    for recorded in (True, False):
        distiller = tiny_distiller({"weighting": weighting}, accumulation=2, precision=precision)
        if recorded:
            ExampleRecorder(distiller)
        distiller.reset(1)
        reports.append([distiller.advance(ALL, 5), distiller.advance(BOTH, 6)])
        students.append(weights(distiller))
    assert reports[0] == reports[1]
    assert all(torch.equal(students[0][name], students[1][name]) for name in students[0])


@pytest.mark.parametrize("head", ["tagger", "tree-tagger"])
def test_recorder_changes_no_bit_of_a_word_classifier(head: str) -> None:
    students = []
    for recorded in (True, False):
        distiller = words_distiller(head, head, ["gold", "logits", "marginals"])
        if recorded:
            ExampleRecorder(distiller)
        distiller.reset(1)
        distiller.advance([1, 1, 1], 5)
        students.append(weights(distiller))
    assert all(torch.equal(students[0][name], students[1][name]) for name in students[0])


def operations(distiller: Distiller, selection: list[float]) -> Counter[str]:
    distiller.reset(0)
    with Operations() as counted:
        distiller.advance(selection, 2)
    return Counter(counted.seen)


@pytest.mark.parametrize("selection", [GOLD, BOTH, ALL], ids=["gold", "logits", "all"])
def test_without_a_recorder_nothing_is_computed(selection: list[float]) -> None:
    plain = operations(tiny_distiller({"teacher_cache": 0}), selection)
    distiller = tiny_distiller({"teacher_cache": 0})
    recorder = ExampleRecorder(distiller)
    recorded = operations(distiller, selection)
    assert not plain - recorded
    added = recorded - plain
    assert added
    heavy = ("mm.", "bmm", "attention", "convolution", "native_layer_norm")
    assert not [name for name in added if any(part in name for part in heavy)]
    recorder.close()
    assert operations(distiller, selection) == plain


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("memory", [0.0, 1.0], ids=["live", "cached"])
def test_recorder_waits_for_the_device_once_a_phase(weighting: str, memory: float) -> None:
    distiller = tiny_distiller({"weighting": weighting, "teacher_cache": memory}, accumulation=2, epochs=20)
    ExampleRecorder(distiller)
    distiller.reset(0)
    distiller.advance(ALL, 1)  # the canonical pass, which fills the cache, may wait
    with NothingWaitsForTheDevice(), Readings() as readings:
        distiller.advance(ALL, 3)
    assert readings.calls == 2  # losses and signals, as ever; and the rows


@pytest.mark.parametrize("kinds", [["gold", "logits", "kd-pt-sim"], ["gold", "marginals", "posterior"]])
def test_recorder_waits_for_the_device_once_a_phase_of_words(kinds: list[str]) -> None:
    distiller = words_distiller("tagger", "tagger", kinds)
    distiller.reset(0)
    distiller.advance([1, 1, 1], 1)
    ExampleRecorder(distiller)
    with NothingWaitsForTheDevice(), Readings() as readings:
        distiller.advance([1, 1, 1], 3)
    assert readings.calls == 2


def test_recorder_rewinds_with_the_run() -> None:
    distiller = tiny_distiller()
    recorder = ExampleRecorder(distiller)
    distiller.reset(0)
    distiller.advance(BOTH, 5)
    moment = distiller.snapshot()
    distiller.advance(BOTH, 4)
    straight = recorder.rows
    distiller.restore(moment)
    assert same(recorder.rows, straight.where(straight.step <= 5))
    distiller.advance(GOLD, 3)  # another branch
    distiller.restore(moment)
    distiller.advance(BOTH, 4)
    assert same(recorder.rows, straight)
    distiller.reset(1)
    assert len(recorder.rows) == 0


def test_recorder_retains_the_good_steps_of_a_phase_that_diverges() -> None:
    distiller = tiny_distiller()
    recorder = ExampleRecorder(distiller)
    distiller.reset(1)
    distiller.advance(BOTH, 3)
    distiller.scales[2] = np.inf
    with pytest.raises(TrainingDivergedError):
        distiller.advance([1, 0, 1, 0, 0], 4)
    assert set(recorder.rows.step.tolist()) == {1, 2, 3}
    distiller.advance(GOLD, 1)
    assert recorder.rows.step.max() == 4


def test_example_table_load_returns_what_was_saved(tmp_path: Path) -> None:
    distiller = tiny_distiller()
    recorder = ExampleRecorder(distiller)
    distiller.advance(GOLD, 2)
    distiller.advance(BOTH, 3)
    path = tmp_path / "below" / "rows.parquet"
    recorder.rows.save(path)
    assert same(ExampleTable.load(path), recorder.rows)
    assert [file.name for file in path.parent.iterdir()] == ["rows.parquet"]
    path.write_bytes(path.read_bytes()[:100])
    for damaged in (path, tmp_path / "nowhere"):
        with pytest.raises(KselectError, match=f"The recording {damaged} cannot be read"):
            ExampleTable.load(damaged)
    (tmp_path / "file").touch()
    with pytest.raises(KselectError, match="cannot be written"):
        recorder.rows.save(tmp_path / "file" / "rows.parquet")


def test_recorder_refuses_a_student_without_a_factor() -> None:
    with pytest.raises(KselectError, match="The head crf has no softmax over classes at each position"):
        ExampleRecorder(words_distiller("crf", "crf", ["gold"]))


def test_two_recorders_see_the_same() -> None:
    distiller = tiny_distiller()
    recorders = [ExampleRecorder(distiller), ExampleRecorder(distiller)]
    distiller.advance(BOTH, 2)
    assert same(recorders[0].rows, recorders[1].rows)
    recorders[0].close()
    assert distiller.callbacks == [recorders[1]]
