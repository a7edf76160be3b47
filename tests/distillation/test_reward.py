from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import linregress, ttest_rel

from kselect.config import REWARDS, PhaseConfig, TrainingConfig
from kselect.distillation.calibration import Positions, calibrated_losses
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import predict
from kselect.distillation.reward import Measurement, gain, measures
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.models.heads import ClassAnswer
from kselect.tasks import Split, build_task
from kselect.tasks.words.sentence import WordSplit
from tests.tiny import tiny_distiller, tiny_task
from tests.words import ORIGIN, WORDS, task_for, word_classifier


def predictions(distiller: Distiller, split: str = "reward") -> Any:
    encoded = distiller.encoded(split)
    return predict(distiller.student, encoded, np.arange(len(encoded)), 8, distiller.dtype)


def regression() -> Distiller:
    rng = np.random.default_rng(0)
    scores = rng.random(60) * 5
    texts = [" ".join(rng.choice(["the", "dog", "sees", "cats"], size=1 + i % 8)) for i in range(60)]
    train = Split(texts, None, scores.tolist())
    return tiny_distiller(task=build_task("scores", [], {"train": train}, ["pearson"], reward_fraction=0.4))


def words(head: str) -> Distiller:
    training = TrainingConfig(batch_size=8, epochs=3, learning_rate=1e-2, precision="fp32")
    return Distiller(task_for(head), None, word_classifier(head), training)


@pytest.mark.parametrize("make", [tiny_distiller, regression, lambda: words("tagger")])
def test_one_pass_gives_every_measure_as_evaluation_does(make: Any) -> None:
    distiller = make()
    split = "reward" if "reward" in distiller.task.splits else "train"
    found, evaluation = measures(distiller, split), distiller.evaluate(split)
    assert tuple(found) == REWARDS
    assert found["loss"].value == evaluation.loss
    assert found["metric"].value == evaluation.metrics["score"]
    assert found["calibrated-loss"].value <= found["loss"].value + 1e-6
    for measured in found.values():
        assert measured.contributions.shape == (evaluation.examples,)
        assert measured.contributions.mean() == pytest.approx(measured.value, abs=1e-6)
    alone = measures(distiller, split, names=["metric"])
    assert alone["metric"].contributions.tolist() == found["metric"].contributions.tolist()


def test_the_error_of_a_gain_is_that_of_a_paired_t_test() -> None:
    distiller = tiny_distiller()
    before = measures(distiller), predictions(distiller)
    distiller.advance([1, 0, 0, 0, 0], 6)
    after = measures(distiller), predictions(distiller)
    test = ttest_rel(before[1].losses.astype(float), after[1].losses.astype(float))
    found = gain(before[0]["loss"], after[0]["loss"])
    assert found.se is not None
    assert found.value / found.se == pytest.approx(test.statistic, rel=1e-4)
    hits = [
        np.array(each.answers) == np.array(distiller.task.splits["reward"].labels) for each in (before[1], after[1])
    ]
    difference = hits[1].astype(float) - hits[0]
    found = gain(before[0]["metric"], after[0]["metric"])
    if distiller.task.metrics == ("accuracy",):
        assert found.value == pytest.approx(difference.mean())
        assert found.se == pytest.approx(difference.std(ddof=1) / math.sqrt(len(difference)))


def test_the_temperature_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    gold = torch.tensor(rng.integers(3, size=400))
    scores = torch.tensor(rng.normal(size=(400, 3)), dtype=torch.float32)
    scores[torch.arange(400), gold] += 1.0
    overconfident = ClassAnswer(5 * scores)
    rows = np.arange(400)
    found = calibrated_losses([Positions.of(overconfident, gold, rows)], 400)
    grid = [torch.nn.functional.cross_entropy(5 * scores / t, gold).item() for t in np.exp(np.linspace(-3, 3, 2001))]
    assert found.mean() == pytest.approx(min(grid), abs=1e-5)
    plain = calibrated_losses([Positions.of(ClassAnswer(scores), gold, rows)], 400)
    np.testing.assert_allclose(found, plain, atol=1e-3)  # how confident a model was makes no difference


def test_a_regression_is_rescaled_by_its_least_squares_line() -> None:
    distiller = regression()
    scores, gold = np.array(predictions(distiller).answers), np.array(distiller.task.splits["reward"].labels)
    line = linregress(scores, gold)
    found = measures(distiller)["calibrated-loss"]
    assert found.value == pytest.approx(float(np.var(gold)) * (1 - line.rvalue**2), rel=1e-4)


@pytest.mark.parametrize("head", ["crf", "spans", "parser", "tree-tagger"])
def test_heads_without_one_temperature_have_the_other_measures(head: str) -> None:
    distiller = words(head)
    found, evaluation = measures(distiller, "train"), distiller.evaluate("train")
    assert set(found) == {"loss", "metric"}
    assert found["metric"].contributions.mean() == pytest.approx(evaluation.metrics["score"])
    with pytest.raises(KselectError, match=f"and the student's is {head}: give loss or metric") as error:
        measures(distiller, "train", names=["calibrated-loss"])
    assert error.value.setting == "reward"


def test_pieces_of_a_sentence_are_one_example() -> None:
    task = task_for("tagger")
    long = type(task.splits["train"].sentences[0])(WORDS * 4, tuple(task.labels[:1]) * 4 * len(WORDS), ORIGIN)
    split = WordSplit([*task.splits["train"].sentences[:5], long])
    distiller = Distiller(
        type(task)(**{**vars(task), "splits": {**task.splits, "reward": split}}),
        None,
        word_classifier("tagger"),
        TrainingConfig(batch_size=8, precision="fp32"),
    )
    assert len(distiller.encoded("reward")) > 6
    for measured in measures(distiller).values():
        assert measured.contributions.shape == (6,)
        assert measured.contributions.mean() == pytest.approx(measured.value, abs=1e-6)


def test_only_measurements_of_the_same_examples_have_a_difference() -> None:
    one, other = Measurement("loss", 0.0, np.zeros(2)), Measurement("loss", 0.0, np.zeros(3))
    with pytest.raises(ValueError, match="on different examples"):
        gain(one, other)
    assert gain(Measurement("loss", 1.0, np.ones(1)), Measurement("loss", 0.5, np.ones(1) / 2)) == (0.5, None)


def play(env: DistillationEnv) -> list[tuple[float, dict[str, Any]]]:
    env.reset(seed=0)
    found = []
    terminated = False
    while not terminated:
        _, reward, terminated, _, info = env.step(np.array([1, 1, 0, 0, 0]))
        found.append((reward, info))
    return found


@pytest.mark.parametrize(("measure", "unit"), [(name, "score" if name == "metric" else "nats") for name in REWARDS])
def test_an_episode_is_rewarded_by_the_measure_of_choice(measure: Any, unit: str) -> None:
    distiller = tiny_distiller(task=tiny_task(train_limit=200))
    env = DistillationEnv(distiller, phases=PhaseConfig("constant", 4, reward=measure))
    before = measures(distiller, "reward", env.reward_examples)[measure]
    steps = play(env)
    after = measures(distiller, "reward", env.reward_examples)[measure]
    whole = gain(before, after)
    last = steps[-1][1]
    assert sum(reward for reward, _ in steps) == pytest.approx(whole.value, abs=1e-6)
    assert (last["return"], last["return_se"]) == pytest.approx(whole)
    assert {(info["reward_measure"], info["reward_unit"]) for _, info in steps} == {(measure, unit)}
    assert last["reward_value"] == after.value
    assert env.reward_unit == (1.0 if measure == "metric" else math.log(2))
    assert all(info["reward_se"] > 0 for _, info in steps if measure != "metric")


def test_the_state_of_the_meter_survives_json() -> None:
    env, other = (DistillationEnv(tiny_distiller(), phases=PhaseConfig("constant", 4)) for _ in range(2))
    env.reset(seed=0)
    env.step(np.ones(5))
    state, snapshot = json.loads(json.dumps(env.state())), env.distiller.snapshot()
    other.reset(seed=1)
    other.distiller.restore(snapshot)
    other.restore(state)
    expected, found = env.step(np.ones(5)), other.step(np.ones(5))
    assert found[1] == expected[1]
    assert {name: found[4][name] for name in ("reward_se", "return_se")} == {
        name: expected[4][name] for name in ("reward_se", "return_se")
    }
