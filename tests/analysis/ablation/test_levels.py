from __future__ import annotations

from typing import Any

import pytest
import torch

from kselect.analysis.ablation.levels import KD, Condition, conditions, count_classes
from kselect.config import AblationConfig
from kselect.errors import KselectError
from kselect.knowledge.target_levels import Confidence, ConfidenceSimilarity, LabelSmoothing, TopK
from kselect.schedule import Schedule
from kselect.tasks.splits import Split
from kselect.tasks.task import TextTask
from tests.tiny import tiny_classifier, tiny_task
from tests.words import tagging_task, task_for, word_classifier

AT_ONE = Schedule(1.0, 1.0)


def named(classes: int, **settings: Any) -> dict[str, Condition]:
    return {condition.name: condition for condition in conditions(AblationConfig(**settings), classes)}


def test_conditions_of_many_classes_are_all_trained() -> None:
    levels = named(17)
    assert list(levels) == [
        *("fine-tune", "label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim"),
        *("kd-top-4", "kd-top-8", "kd"),
    ]
    assert {condition.same_as for condition in levels.values()} == {None}
    assert (levels["kd-top-4"].level, levels["kd-top-4"].top_k) == ("4 of 17 classes", 0.25)


def test_conditions_merge_shares_that_keep_as_many_classes() -> None:
    assert [name for name in named(10, top_k=[0.3, 0.31, 0.5]) if "top" in name] == ["kd-top-3", "kd-top-5"]
    assert [name for name in named(10, top_k=[]) if "top" in name] == []


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_conditions_that_are_identical_have_the_same_target(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    p = torch.softmax(torch.randn(4, 1, classes, generator=generator), -1)
    labels = torch.randint(classes, (4, 1), generator=generator)
    alike = torch.rand(classes, classes, generator=generator)
    possible = torch.ones_like(p, dtype=torch.bool)
    levels = named(classes, top_k=[0.2, 0.5, 0.8, 1.0], label_smoothing=0.0)
    targets = {"label-smoothing": LabelSmoothing(0.0).target(None, labels, possible)}
    targets["kd-pt"] = Confidence(AT_ONE).target(p, labels, possible)
    targets["kd-pt-sim"] = ConfidenceSimilarity(alike, AT_ONE).target(p, labels, possible)
    for name, condition in levels.items():
        if condition.top_k is not None:
            targets[name] = TopK(condition.top_k, AT_ONE).target(p, labels, possible)
    whole = {KD: p, "fine-tune": torch.nn.functional.one_hot(labels, classes).float()}
    for name, target in targets.items():
        same = levels[name].same_as
        alike_to = [other for other, one in whole.items() if torch.allclose(target, one, atol=1e-6)]
        assert alike_to == ([same] if same else []), name


def test_conditions_of_two_classes_take_similarity_for_the_same_label_smoothing() -> None:
    assert named(2)["kd-sim"].same_as == "label-smoothing"
    for given in ({"label_smoothing": 0.1}, {"similarity_mass": 0.3}):
        assert named(2, **given)["kd-sim"].same_as is None
    assert named(3)["kd-sim"].same_as is None


def test_condition_agent_weighs_as_vanilla_kd_unless_another_share_is_given() -> None:
    levels = named(5)
    assert levels["kd"].agent(0.5).agent_settings == {"weights": {"gold": 0.5, "logits": 0.5}}
    assert levels["kd-pt"].agent(0.0).agent_settings == {"weights": {"kd-pt": 1.0}}
    assert levels["fine-tune"].agent(0.25).agent_settings == {"weights": {"gold": 1.0}}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gold_share": 1.0}, "gold_share is 1.0: give a share below 1."),
        ({"top_k": [0.5, 0.0]}, "top_k is 0.0: give a share of the classes, more than 0 and up to 1."),
        ({"measure": "f1"}, "Unknown measure 'f1'"),
        ({"temperature": "warm"}, "temperature is 'warm': give a number"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0: give a share below 1."),
    ],
)
def test_bad_settings(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(KselectError, match=said):
        AblationConfig(**settings)


def test_count_classes_is_the_size_of_the_output_layer() -> None:
    text, words = tiny_classifier(tiny_task()), word_classifier("tagger")
    assert count_classes(tiny_task(), text, text) == 2
    assert count_classes(tagging_task(), words, words) == len(tagging_task().labels) == 9


@pytest.mark.parametrize("head", ["crf", "spans", "parser", "second-order-parser", "tree-tagger"])
def test_count_classes_refuses_a_head_without_levels_by_name(head: str) -> None:
    model = word_classifier(head)
    with pytest.raises(KselectError, match=f"The teacher's head {head} has no levels of knowledge"):
        count_classes(task_for(head), model, model)


def test_count_classes_refuses_a_regression_by_name() -> None:
    scores = TextTask("scored", (), {"train": Split(["a"], None, [0.5])}, ("pearson",))
    model = tiny_classifier(tiny_task())
    with pytest.raises(KselectError, match=r"scored is a regression: .* no levels of knowledge"):
        count_classes(scores, model, model)
