from __future__ import annotations

import numpy as np
import pytest
import torch

from kselect.distillation.sampler import BucketSampler, sorted_batches
from kselect.tasks.encoding import encode
from tests.tiny import tiny_distiller

LENGTHS = np.random.default_rng(0).integers(5, 100, 1000).astype(np.int32)


def test_bucket_sampler_yields_every_example_once_per_epoch() -> None:
    batches = BucketSampler(LENGTHS, 32, seed=1)
    epochs = [[batches.next_batch() for _ in range(batches.batches_per_epoch)] for _ in range(2)]
    for epoch in epochs:
        assert sorted(np.concatenate(epoch)) == list(range(1000))
    assert not np.array_equal(np.concatenate(epochs[0]), np.concatenate(epochs[1]))


def test_bucket_sampler_batches_similar_lengths() -> None:
    batches = BucketSampler(LENGTHS, 32, seed=1)
    epoch = [batches.next_batch() for _ in range(batches.batches_per_epoch)]
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in epoch)
    assert padded / LENGTHS.sum() < 1.06
    assert all(np.all(np.diff(LENGTHS[batch]) <= 0) for batch in epoch)


def test_bucket_sampler_position_resumes() -> None:
    batches = BucketSampler(LENGTHS, 32, seed=1)
    for _ in range(40):
        batches.next_batch()
    position = batches.position
    following = [batches.next_batch() for _ in range(40)]
    elsewhere = BucketSampler(LENGTHS, 32, seed=9)
    elsewhere.position = position
    assert all(np.array_equal(elsewhere.next_batch(), batch) for batch in following)


def test_sorted_batches_cover_everything_longest_first() -> None:
    batches = sorted_batches(LENGTHS, 64)
    order = np.concatenate(batches)
    assert sorted(order) == list(range(1000))
    assert np.all(np.diff(LENGTHS[order]) <= 0)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_distiller_padding_is_the_share_of_padding(accumulation: int) -> None:
    distiller = tiny_distiller({"knowledge": ["gold"]}, accumulation=accumulation)
    distiller.reset(5)
    widths: list[torch.Size] = []
    record = distiller.student.model.register_forward_pre_hook(
        lambda _, args, inputs: widths.append(inputs["input_ids"].shape), with_kwargs=True
    )
    distiller.advance([1], distiller.total_steps // 2)  # one epoch
    record.remove()
    real = int(encode(distiller.task.splits["train"], distiller.student.tokenizer, 32).lengths.sum())
    assert distiller.padding == pytest.approx(1 - real / sum(shape.numel() for shape in widths))
    assert 0 < distiller.padding < 0.5
