from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from transformers import BertTokenizer

from kselect.config import KnowledgeConfig
from kselect.distillation.callback import DistillerCallback, MicroBatch
from kselect.distillation.distiller import Distiller
from kselect.distillation.divergence import TrainingDivergedError
from kselect.distillation.snapshot import Snapshot
from kselect.errors import KselectError
from kselect.models.shrink import shrink
from kselect.tasks.encoding import encode
from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task

ALL = [1, 1, 1, 1, 1]
GOLD = [1, 0, 0, 0, 0]


def weights(distiller: Distiller) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in distiller.student.model.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_advance_trains_a_student() -> None:
    distiller = tiny_distiller(epochs=30, learning_rate=3e-3)
    distiller.reset(0)
    before = distiller.evaluate("train").loss
    distiller.advance(GOLD, distiller.total_steps)
    assert distiller.evaluate("train").loss < 0.5 * before


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("selection", [GOLD, ALL, [0.2, 0.7, 0, 1, 0.1]])
def test_restore_repeats_a_run_bit_by_bit(precision: str, selection: list[float]) -> None:
    distiller = tiny_distiller(precision=precision, accumulation=2)
    distiller.reset(3)
    distiller.advance(ALL, 5)
    moment = distiller.snapshot()
    first_report = distiller.advance(selection, 9)  # crosses the end of an epoch
    first = weights(distiller)
    distiller.restore(moment)
    assert distiller.advance(selection, 9) == first_report
    assert equal(weights(distiller), first)


def test_snapshot_on_disk_resumes_in_another_distiller(tmp_path: Path) -> None:
    straight = tiny_distiller()
    straight.reset(3)
    straight.advance(ALL, 5)
    straight.snapshot().save(tmp_path / "moment")
    straight.advance(ALL, 6)

    resumed = tiny_distiller()  # a fresh object: nothing but the files is shared
    resumed.reset(99)
    torch.manual_seed(12345)
    np.random.seed(12345)
    resumed.restore(Snapshot.load(tmp_path / "moment"))
    resumed.advance(ALL, 6)
    assert equal(weights(resumed), weights(straight))
    assert resumed.step == straight.step


def test_snapshot_is_a_copy() -> None:
    distiller = tiny_distiller()
    moment = distiller.snapshot()
    before = {name: value.clone() for name, value in moment.tensors.items()}
    distiller.advance(ALL, 3)
    distiller.restore(moment)
    distiller.advance(ALL, 3)
    assert equal(moment.tensors, before)


def test_restore_refuses_another_kind_of_device() -> None:
    distiller = tiny_distiller({"knowledge": ["gold"]})
    snapshot = distiller.snapshot()
    elsewhere = Snapshot({**snapshot.tensors, "random/cuda": torch.zeros(16, dtype=torch.uint8)}, snapshot.facts)
    with pytest.raises(KselectError, match="another kind of device"):
        distiller.restore(elsewhere)


def test_snapshot_load_refuses_damaged_files(tmp_path: Path) -> None:
    moment = tmp_path / "moment"
    tiny_distiller().snapshot().save(moment)
    moment.write_bytes(moment.read_bytes()[:1000])
    for path in (moment, tmp_path / "nowhere"):
        with pytest.raises(KselectError, match=f"{path.name} is damaged .*: start over"):
            Snapshot.load(path)


def test_reset_seed_determines_the_run() -> None:
    distiller = tiny_distiller()
    students = []
    for seed in (1, 1, 2):
        distiller.reset(seed)
        distiller.advance(ALL, 5)
        students.append(weights(distiller))
    assert equal(students[0], students[1])
    assert not equal(students[0], students[2])


class Interruption(DistillerCallback):
    """Ctrl-C at the second part of the third step, when the first has left its gradients."""

    parts = 0

    def on_losses(self, micro_batch: MicroBatch, total: torch.Tensor) -> None:
        self.parts += 1
        if self.parts == 6:
            raise KeyboardInterrupt


@pytest.mark.parametrize("back", ["reset", "restore"])
def test_advance_interrupted_leaves_nothing_behind(back: str) -> None:
    distiller = tiny_distiller(accumulation=2)
    distiller.reset(1)
    start = distiller.snapshot()
    distiller.advance(ALL, 5)
    straight = weights(distiller)
    distiller.reset(1)
    distiller.callbacks.append(Interruption())
    with pytest.raises(KeyboardInterrupt):
        distiller.advance(ALL, 5)
    if back == "reset":
        distiller.reset(1)
    else:
        distiller.restore(start)
    distiller.advance(ALL, 5)
    assert equal(weights(distiller), straight)


def test_advance_ignores_other_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set in a launcher's environment, or by another trainer in the process, is that one's."""
    distiller = tiny_distiller()
    distiller.reset(1)
    alone = distiller.advance(ALL, 3)
    with monkeypatch.context() as patch:
        patch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
        Accelerator()
        again = tiny_distiller()
    again.reset(1)
    assert again.advance(ALL, 3) == alone
    Accelerator(gradient_accumulation_steps=8)
    distiller.reset(1)
    assert distiller.advance(ALL, 3) == alone


def test_advance_ignores_other_random_numbers() -> None:
    quiet, disturbed = tiny_distiller(), tiny_distiller()
    quiet.reset(1)
    disturbed.reset(1)
    for _ in range(4):
        quiet.advance(ALL, 1)
        torch.rand(7)
        state = torch.get_rng_state()
        disturbed.advance(ALL, 1)
        assert torch.equal(torch.get_rng_state(), state)
    assert equal(weights(quiet), weights(disturbed))


@pytest.mark.parametrize("accumulation", [4, 8])
def test_advance_accumulation_gives_the_same_step(accumulation: int) -> None:
    whole, parts = tiny_distiller(dropout=0.0), tiny_distiller(dropout=0.0, accumulation=accumulation)
    for distiller in (whole, parts):
        distiller.reset(1)
        distiller.advance(ALL, 1)
    gradients = [distiller.snapshot().tensors for distiller in (whole, parts)]  # the first moments, after one step
    for name in (name for name in gradients[0] if name.startswith("optimizer/exp_avg/")):
        torch.testing.assert_close(gradients[0][name], gradients[1][name], rtol=1e-3, atol=1e-6)
    reports = [distiller.advance(ALL, 3) for distiller in (whole, parts)]
    assert reports[0].losses == pytest.approx(reports[1].losses, rel=1e-3, abs=1e-8)
    assert reports[0].grad_norm == pytest.approx(reports[1].grad_norm, rel=1e-4)


def test_advance_is_invariant_to_a_factor_of_the_selection() -> None:
    one, half = tiny_distiller(), tiny_distiller()
    one.reset(1)
    half.reset(1)
    one.advance([1, 1, 0, 0, 0], 3)
    half.advance([0.5, 0.5, 0, 0, 0], 3)
    assert equal(weights(one), weights(half))


def test_advance_selecting_nothing_means_gold() -> None:
    nothing, gold = tiny_distiller(), tiny_distiller()
    for distiller, selection in ((nothing, [0] * 5), (gold, GOLD)):
        distiller.reset(1)
        distiller.advance(selection, 3)
    assert equal(weights(nothing), weights(gold))


@contextmanager
def counted(distiller: Distiller) -> Iterator[dict[str, int]]:
    """Count the passes of both models, and the student's explicit attention matrices."""
    assert distiller.teacher is not None
    counts = {"student": 0, "teacher": 0, "attention": 0}

    def count(name: str):
        return lambda *_: counts.__setitem__(name, counts[name] + 1)

    def count_attention(module: torch.nn.Module, inputs: object, output: tuple[object, ...]) -> None:
        counts["attention"] += output[1] is not None

    hooks = [
        distiller.student.model.register_forward_hook(count("student")),
        distiller.teacher.model.register_forward_hook(count("teacher")),
        distiller.student.model.get_submodule("bert.encoder.layer.0.attention.self").register_forward_hook(
            count_attention
        ),
    ]
    yield counts
    for hook in hooks:
        hook.remove()


def test_advance_computes_only_what_is_selected() -> None:
    distiller = tiny_distiller({"teacher_cache": 0})
    distiller.reset(0)
    with counted(distiller) as counts:
        distiller.advance(GOLD, 2)
        assert counts == {"student": 2, "teacher": 0, "attention": 0}
        distiller.advance([1, 1, 1, 0, 1], 2)
        assert counts == {"student": 4, "teacher": 2, "attention": 0}
        distiller.advance([0, 0, 0, 1, 0], 2)
        assert counts == {"student": 6, "teacher": 4, "attention": 2}


def test_cached_teacher_runs_once_and_never_for_gold() -> None:
    distiller = tiny_distiller(epochs=4)
    distiller.reset(0)
    with counted(distiller) as counts:
        distiller.advance(GOLD, 2)
        assert counts["teacher"] == 0
        distiller.advance([1, 1, 1, 0, 1], 2)
        once = counts["teacher"]
        assert once == 2  # 64 examples in canonical batches of 32
        distiller.advance([1, 1, 1, 0, 1], distiller.total_steps)
        distiller.reset(1)
        distiller.advance([1, 1, 1, 0, 1], 5)
        assert counts["teacher"] == once


def test_cached_teacher_agrees_with_live_within_rounding() -> None:
    reports = []
    for memory in (0.0, 1.0):
        distiller = tiny_distiller({"teacher_cache": memory})
        distiller.reset(1)
        reports.append(distiller.advance(ALL, 8))
    assert reports[0].losses == pytest.approx(reports[1].losses, rel=5e-3)


def test_cached_teacher_does_not_depend_on_the_first_run() -> None:
    attention_first, hidden_first = tiny_distiller(), tiny_distiller()
    attention_first.reset(0)
    hidden_first.reset(0)
    attention_first.advance([0, 0, 0, 1, 0], 1)
    hidden_first.advance([0, 1, 1, 0, 0], 1)
    for distiller in (attention_first, hidden_first):
        distiller.reset(5)
        distiller.advance(ALL, 4)
    assert equal(weights(attention_first), weights(hidden_first))


def test_cached_teacher_over_the_limit_stays_live(caplog: pytest.LogCaptureFixture) -> None:
    tokens = encode(tiny_task().splits["train"], synthetic_tokenizer(), 32).lengths.sum()
    three_layers_of_hidden_states = 3 * tokens * 16 * 2  # bytes; attention does not fit beside them
    distiller = tiny_distiller({"teacher_cache": (three_layers_of_hidden_states + 1) / 2**30})
    distiller.reset(0)
    with counted(distiller) as counts:
        distiller.advance([1, 0, 1, 0, 0], 3)
        assert counts["teacher"] == 2
        assert not caplog.records
        distiller.advance([1, 0, 0, 1, 0], 3)
        assert counts["teacher"] == 5
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("The teacher runs in every training step that reads its attentions, which are not cached")


def test_scales_equalise_initial_losses() -> None:
    distiller = tiny_distiller()
    scaled = distiller.scales * np.array([distiller.initial_losses[name] for name in distiller.names])
    assert scaled[2:] == pytest.approx(np.log(2), rel=1e-4)
    assert distiller.scales[:2].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("broken", "named"), [(2, "the loss of hidden"), (None, "the gradient of gold + hidden")])
def test_advance_diverged_keeps_the_last_good_state(
    broken: int | None, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    distiller = tiny_distiller()
    distiller.reset(1)
    distiller.advance([1, 0, 1, 0, 0], 3)
    good = distiller.snapshot()
    if broken is not None:
        distiller.scales[broken] = np.nan
        undefined = torch.full((8,), torch.nan, requires_grad=True)
        monkeypatch.setattr(distiller.knowledge[broken], "loss", lambda *_: undefined)
    else:
        distiller.scales[2] = np.inf
    with pytest.raises(TrainingDivergedError) as error:
        distiller.advance([1, 0, 1, 0, 0], 4)
    assert error.value.step == 4
    assert f"Training diverged at step 4: {named} is not finite." in str(error.value)
    after = distiller.snapshot()
    assert equal(after.tensors, good.tensors)
    assert {**after.facts, "scales": None} == {**good.facts, "scales": None}
    assert distiller.advance([1, 0, 0, 0, 0], 1).steps == 1  # gold alone is sound, and goes on
    assert not equal(distiller.snapshot().tensors, good.tensors)


def test_advance_stops_after_total_steps() -> None:
    distiller = tiny_distiller(epochs=0.5)
    report = distiller.advance(GOLD, 10_000)
    assert report.steps == distiller.total_steps == 4
    with pytest.raises(ValueError, match="The run is over after 4 steps"):
        distiller.advance(GOLD, 1)


def test_distiller_refuses_incompatible_models() -> None:
    acceptability, teacher = tiny_task(), tiny_classifier(tiny_task())
    with pytest.raises(KselectError, match="max_length is 64, the model takes 32 tokens"):
        Distiller(acceptability, teacher, shrink(teacher, 2), max_length=64)
    stranger = shrink(teacher, 2)
    stranger.tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])})
    hidden = KnowledgeConfig(knowledge=["gold", "hidden"])
    with pytest.raises(KselectError, match="this teacher's tokenizer is another than the student's"):
        Distiller(acceptability, teacher, stranger, knowledge=hidden, max_length=32)


def test_distiller_refuses_a_teacher_that_is_the_student() -> None:
    acceptability, teacher = tiny_task(), tiny_classifier(tiny_task())
    for teachers in (teacher, [tiny_classifier(acceptability), replace(teacher)]):
        with pytest.raises(KselectError, match="Teacher and student are one model, which cannot learn from itself"):
            Distiller(acceptability, teachers, teacher, knowledge=KnowledgeConfig(knowledge=["gold", "logits"]))


def test_evaluate_uses_a_fixed_sample() -> None:
    distiller = tiny_distiller()
    sample = distiller.evaluate("reward", 10)
    assert sample.examples == 10
    assert distiller.evaluate("reward", 10) == sample
    assert distiller.evaluate("reward").examples == 16


def test_advance_with_a_selection_for_each_step() -> None:
    selections = [[1, 0, 0.2, 0, 0], [0.5, 0, 0.6, 0, 0], [0.1, 0, 1, 0, 0]]
    whole, parts = tiny_distiller(), tiny_distiller()
    report = whole.advance(selections, 3)
    reports = [parts.advance(selection, 1) for selection in selections]
    assert equal(weights(whole), weights(parts))
    for name, loss in report.losses.items():
        assert loss == pytest.approx(np.mean([one.losses[name] for one in reports]))
    for wrong in (selections, selections[0][:4], [selections]):
        with pytest.raises(ValueError, match="selection"):
            whole.advance(wrong, 2)


def test_advance_computes_everything_selected_at_some_step() -> None:
    distiller = tiny_distiller()
    assert list(distiller.advance([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]], 3).losses) == ["gold", "hidden"]


@pytest.mark.parametrize("selection", [[1, 1], [1, 1, 1, 1, 1.5], [-0.1, 1, 1, 1, 1], [np.nan] * 5])
def test_advance_refuses_invalid_selections(selection: list[float]) -> None:
    with pytest.raises(ValueError, match="A selection is 5 numbers"):
        tiny_distiller().advance(selection, 1)
