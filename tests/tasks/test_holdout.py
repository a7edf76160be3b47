from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from kselect.tasks import Split
from kselect.tasks.splits import hold_out, make_splits, spread_sample, stratified_sample, subsample

LABELS = [0] * 70 + [1] * 20 + [2] * 10


def split_of(labels: list[int]) -> Split:
    return Split([f"text {i}" for i in range(len(labels))], None, labels)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (10, {0: 7, 1: 2, 2: 1}),
        (50, {0: 35, 1: 10, 2: 5}),
        # 10.5, 3, 1.5: the first of the two equal remainders takes the spare one.
        (15, {0: 11, 1: 3, 2: 1}),
        # 2.1, 0.6, 0.3: the largest remainder takes it.
        (3, {0: 2, 1: 1}),
        (100, {0: 70, 1: 20, 2: 10}),
        (0, {}),
    ],
)
def test_shares_by_largest_remainder(count: int, expected: dict[int, int]) -> None:
    sample = stratified_sample(LABELS, count, seed=3)
    assert Counter(LABELS[i] for i in sample) == expected
    assert sample == sorted(set(sample))


def test_same_seed_same_sample() -> None:
    assert stratified_sample(LABELS, 20, 1) == stratified_sample(LABELS, 20, 1)
    assert stratified_sample(LABELS, 20, 1) != stratified_sample(LABELS, 20, 2)


def test_more_than_there_is() -> None:
    with pytest.raises(ValueError, match="Cannot draw 101 of 100"):
        stratified_sample(LABELS, 101, 0)


def test_scores_give_one_of_each_quantile() -> None:
    scores = [float(i) for i in range(100)][::-1]
    sample = spread_sample(scores, 10, seed=3)
    assert sample == sorted(sample) == spread_sample(scores, 10, seed=3) != spread_sample(scores, 10, seed=4)
    assert [int(scores[i]) // 10 for i in sample] == list(range(9, -1, -1))


def test_every_example_may_be_drawn() -> None:
    drawn = {index for seed in range(60) for index in spread_sample([1.0, 1.0, 2.0, 3.0, 5.0], 2, seed)}
    assert drawn == set(range(5))
    assert spread_sample([1.0, 2.0], 0, 0) == []
    assert spread_sample([1.0, 2.0], 2, 0) == [0, 1]
    with pytest.raises(ValueError, match="Cannot draw 3 of 2"):
        spread_sample([1.0, 2.0], 3, 0)


def test_hold_out_divides_into_disjoint_stratified_splits() -> None:
    whole = split_of(LABELS)
    train, reward = hold_out(whole, 0.2, seed=0)
    assert Counter(reward.labels) == {0: 14, 1: 4, 2: 2}
    assert Counter(train.labels) == {0: 56, 1: 16, 2: 8}
    assert not set(train.text_a) & set(reward.text_a)
    assert set(train.text_a) | set(reward.text_a) == set(whole.text_a)
    for part in (train, reward):
        places = [whole.text_a.index(text) for text in part.text_a]
        assert places == sorted(places)
        assert [whole.labels[place] for place in places] == part.labels


def test_subsample_is_stratified() -> None:
    whole = split_of(LABELS)
    assert subsample(whole, 100, 0) is whole
    assert Counter(subsample(whole, 10, 0).labels) == {0: 7, 1: 2, 2: 1}


def test_hold_out_refuses_to_leave_nothing(message_of: Callable[..., str]) -> None:
    assert message_of(hold_out, split_of([0, 1]), 0.9, 0) == (
        "A reward split of 2 out of 2 training examples leaves none to train on: "
        "give more examples or a smaller reward_fraction."
    )
    assert message_of(hold_out, split_of(LABELS), 1.0, 0) == (
        "reward_fraction is 1.0: give a share of train between 0 and 1."
    )


def test_hold_out_keeps_duplicates_together() -> None:
    texts = [f"text {i // 5}" for i in range(200)]
    sizes = []
    for seed in range(30):
        train, reward = hold_out(Split(texts, None, [i % 2 for i in range(200)]), 0.2, seed)
        assert not set(train.text_a) & set(reward.text_a)
        assert len(train) + len(reward) == 200
        sizes.append(len(reward))
    assert np.mean(sizes) == pytest.approx(40, abs=8)  # each example is held out as often as without duplicates
    assert min(sizes) > 0


def test_hold_out_of_one_text_only_is_refused(message_of: Callable[..., str]) -> None:
    same = Split(["same"] * 20, None, [0, 1] * 10)
    assert "leaves none to train on" in message_of(hold_out, same, 0.1, 0)


def test_make_splits_takes_slices_last() -> None:
    whole = split_of(LABELS * 4)
    splits = {"train": whole}
    full = make_splits(splits, reward_fraction=0.2, seed=1)
    small = make_splits(splits, reward_fraction=0.2, seed=1, train_limit=20)
    assert small["reward"] == full["reward"]  # a teacher of all of train never read it, nor one of a slice
    assert len(small["train"]) == len(small["dev"]) == 20
    assert set(small["train"].text_a) < set(full["train"].text_a)
    assert set(small["dev"].text_a) < set(full["dev"].text_a)


def test_make_splits_warns_of_dev_in_train(caplog: pytest.LogCaptureFixture) -> None:
    train = split_of(LABELS)
    make_splits({"train": train, "dev": Split(["new 1", "new 2"], None, [0, 1])})
    assert caplog.text == ""
    make_splits({"train": train, "dev": Split(["new 1", "text 7", "new 2", "new 3"], None, [0, 1, 0, 1])})
    assert "1 of 4 examples of dev (25 %) are in train" in caplog.text
