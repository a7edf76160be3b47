"""Further texts without labels: how often they are read, and what is learned from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kselect.config import AgentConfig, PhaseConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.sampler import BucketSampler
from kselect.distillation.source_sampler import SourceSampler
from kselect.distillation.weighting import selection_weights
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.recipes.policies import build_policy
from kselect.tasks.splits import Split, subsample
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS
from kselect.tasks.task import Task
from kselect.tasks.transfer import with_transfer
from tests.tiny import tiny_distiller, tiny_task

LENGTHS = np.random.default_rng(0).integers(5, 100, 1000).astype(np.int32)
KINDS = ["gold", "logits", "hidden"]


def task_with_texts(count: int = 160) -> Task:
    texts, _ = SYNTHETIC_TASKS["synthetic-acceptability"].generate(1)
    return with_transfer(tiny_task(), subsample(texts, count, 0).unlabelled())


def distiller_with_texts(**settings: float) -> Distiller:
    return tiny_distiller({"knowledge": KINDS, **settings}, task=task_with_texts())


def weights(distiller: Distiller) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in distiller.student.model.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def sources_of(sampler: SourceSampler, selection: list[float], count: int) -> list[int]:
    return [int(sampler.next_batch(selection)[0].min() >= 200) for _ in range(count)]


@pytest.mark.parametrize(("weight", "share"), [(1.0, 0.8), (0.5, 2 / 3), (0.25, 0.5), (0.0, 0.0)])
def test_a_source_has_its_weights_share_of_the_batches(weight: float, share: float) -> None:
    sampler = SourceSampler(LENGTHS, [200, 800], 16, seed=1)
    drawn = sources_of(sampler, [weight], 60)
    assert abs(sum(drawn) - 60 * share) < 1
    for first in (10, 30):
        assert abs(sum(drawn[:first]) - first * share) <= 1


def test_a_source_is_read_once_in_an_epoch_of_its_own() -> None:
    sampler = SourceSampler(LENGTHS, [200, 800], 16)
    batches = [sampler.next_batch([1.0])[0] for _ in range(62)]
    further = np.concatenate([batch for batch in batches if batch.min() >= 200])
    assert len(set(further.tolist())) == len(further)
    assert all((batch >= 200).all() or (batch < 200).all() for batch in batches)


def test_without_weight_the_batches_are_those_of_labelled_examples_alone() -> None:
    sampler, alone = SourceSampler(LENGTHS, [200, 800], 16, seed=3), BucketSampler(LENGTHS[:200], 16, seed=3)
    for _ in range(30):
        indices, is_labelled = sampler.next_batch([0.0])
        assert is_labelled
        assert np.array_equal(indices, alone.next_batch())


def test_position_of_all_sources_resumes() -> None:
    sampler = SourceSampler(LENGTHS, [200, 300, 500], 16, seed=1)
    for _ in range(33):
        sampler.next_batch([0.5, 1.0])
    position = sampler.position
    following = [sampler.next_batch([0.5, 0.3])[0] for _ in range(50)]
    elsewhere = SourceSampler(LENGTHS, [200, 300, 500], 16, seed=9)
    elsewhere.position = position
    assert all(np.array_equal(elsewhere.next_batch([0.5, 0.3])[0], batch) for batch in following)


def test_weights_of_texts_are_not_part_of_the_sum() -> None:
    found = selection_weights(np.array([[1, 1, 0.5], [0, 0, 1]]), ["gold", "logits", "transfer"])
    assert found.tolist() == [[0.5, 0.5, 0.5], [1, 0, 1]]


def test_texts_of_held_out_splits_are_left_out() -> None:
    task = tiny_task()
    texts = task.splits["train"].joined([task.splits["reward"], task.splits["dev"]]).unlabelled()
    assert len(with_transfer(task, texts).splits["transfer"]) <= len(task.splits["train"])
    with pytest.raises(KselectError, match="Every text of transfer_file"):
        with_transfer(task, task.splits["dev"].unlabelled())


def test_texts_without_weight_change_nothing() -> None:
    # Live: a cached output depends, in its last bits, on the batch in which it was computed.
    plain = tiny_distiller({"knowledge": KINDS, "teacher_cache": 0.0})
    further = distiller_with_texts(teacher_cache=0.0)
    assert further.names == (*KINDS, "transfer")
    assert further.initial_losses == plain.initial_losses
    assert further.total_steps == plain.total_steps
    for distiller, selection in ((plain, [1, 1, 1]), (further, [1, 1, 1, 0])):
        distiller.reset(4)
        distiller.advance(selection, distiller.total_steps)
    assert equal(weights(plain), weights(further))


def test_gold_is_learned_from_labelled_texts_only() -> None:
    distiller = distiller_with_texts()
    distiller.reset(4)
    report = distiller.advance([1, 1, 0, 1], distiller.total_steps)
    assert set(report.losses) == {"gold", "logits"}
    assert all(np.isfinite(value) for value in report.losses.values())
    assert 0 <= report.signals["student_accuracy"] <= 1

    distiller.reset(4)
    distiller.advance([1, 0, 0, 1], distiller.total_steps)  # nothing that these texts could teach
    gold = weights(distiller)
    distiller.reset(4)
    distiller.advance([1, 0, 0, 0], distiller.total_steps)
    assert equal(gold, weights(distiller))


def test_a_phase_on_texts_alone_has_no_gold_loss() -> None:
    distiller = distiller_with_texts()
    distiller.reset(0)
    reports = [distiller.advance([1, 1, 0, 1], 1) for _ in range(9)]
    drawn = ["gold" in report.losses for report in reports]
    assert {True, False} == set(drawn)
    assert all(
        ("student_accuracy" in report.signals) == labelled for report, labelled in zip(reports, drawn, strict=True)
    )


@pytest.mark.parametrize("selection", [[1, 1, 0, 1], [0.2, 0, 1, 0.4], [0, 1, 0, 1]])
def test_restore_repeats_a_run_bit_by_bit(selection: list[float]) -> None:
    distiller = distiller_with_texts()
    distiller.reset(3)
    distiller.advance([1, 1, 1, 1], 5)
    moment = distiller.snapshot()
    distiller.advance(selection, 9)
    first = weights(distiller)
    distiller.restore(moment)
    distiller.advance(selection, 9)
    assert equal(weights(distiller), first)


def test_outputs_on_further_texts_are_cached() -> None:
    cached, live = distiller_with_texts(), distiller_with_texts(teacher_cache=0.0)
    losses = []
    for distiller in (cached, live):
        distiller.reset(2)
        losses.append(distiller.advance([0, 1, 1, 1], 10).losses)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_agents_read_further_texts_unless_they_say_otherwise() -> None:
    distiller = distiller_with_texts()
    for settings, expected in (({"gold": 1, "logits": 1}, 1), ({"logits": 1, "transfer": 0.5}, 0.5)):
        setup = build_policy(AgentConfig("fixed", {"weights": settings}), distiller, PhaseConfig(), 0)
        assert setup.agent.act(setup.env.reset(seed=0)[0])[-1] == expected
    setup = build_policy(AgentConfig("vanilla-kd"), distiller, PhaseConfig(), 0)
    assert setup.agent.act(setup.env.reset(seed=0)[0]).tolist() == [1, 1, 0, 1]
    plain = tiny_distiller({"knowledge": KINDS})
    with pytest.raises(KselectError, match="no such texts: give transfer_file"):
        build_policy(AgentConfig("fixed", {"weights": {"gold": 1, "transfer": 1}}), plain, PhaseConfig(), 0)


def test_the_environment_shows_a_row_of_texts() -> None:
    env = DistillationEnv(distiller_with_texts(), "soft", PhaseConfig(phases="constant", phase_steps=4))
    observation, _ = env.reset(seed=0)
    assert observation["knowledge"][-1, :4].tolist() == [0, 0, 0, 0]
    observation, _, _, _, info = env.step(np.array([1, 1, 0, 0.5], dtype=np.float32))
    assert info["weights"] == {"gold": 0.5, "logits": 0.5, "hidden": 0.0, "transfer": 0.5}
    assert observation["knowledge"][-1, :4].tolist() == [0, 0, 0, 0.5]
    observation, *_ = env.step(np.array([1, 1, 0, 0], dtype=np.float32))
    assert observation["knowledge"][-1, 2] == pytest.approx(4 / env.total_steps)


def test_pairs_are_joined_with_pairs() -> None:
    one, other = Split(["a"], ["b"], [0]), Split(["c"], ["d"], [1])
    assert one.joined([other]) == Split(["a", "c"], ["b", "d"], [0, 1])


def test_text_files_of_tasks(tmp_path: Path) -> None:
    from kselect.config import TaskConfig
    from kselect.tasks.registry import make_task

    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "".join(f"text {i}\t{i % 2}\n" for i in range(40)))
    (tmp_path / "more.jsonl").write_text("".join(f'{{"sentence": "more {i}", "other": "x"}}\n' for i in range(9)))
    config = TaskConfig(
        train_file=str(tmp_path / "train.tsv"), text_columns=["text"], transfer_file=str(tmp_path / "more.jsonl")
    )
    with pytest.raises(KselectError, match=r"more\.jsonl has no column 'text'") as lacking:
        make_task(config)
    assert lacking.value.setting == "transfer_columns"
    task = make_task(replace(config, transfer_columns=["sentence"], transfer_limit=5))
    assert len(task.splits["transfer"]) == 5
    assert not task.splits["transfer"].is_labelled
    with pytest.raises(KselectError, match="reads single texts: name one column"):
        make_task(replace(config, transfer_columns=["sentence", "other"]))
    with pytest.raises(KselectError, match="transfer_limit describes the texts of transfer_file"):
        TaskConfig(transfer_limit=5)
