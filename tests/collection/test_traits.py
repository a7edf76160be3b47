"""The traits of selections."""

from __future__ import annotations

import numpy as np
import pytest

from kselect.agents.stages import Stages
from kselect.collection.traits import TRAITS, traits_of
from kselect.config.knowledge import KNOWLEDGE_NAMES, LABEL_KNOWLEDGE


def test_they_are_those_of_both_halves() -> None:
    stages: Stages = [{"until": 0.25, "weights": {"gold": 1}}, {"weights": {"logits": 1, "hidden": 1, "transfer": 0.5}}]
    early = np.array([0.5, 0.5, 0.5, 0.5])
    late = np.array([0.0, 1.0, 1.0, 1.0])
    assert traits_of(stages) == pytest.approx([*(early + late) / 2, *late - early])
    assert len(traits_of(stages)) == len(TRAITS)


def test_weights_that_move_are_there_from_the_beginning() -> None:
    assert traits_of([{"weights": {"logits": 1}, "to": {"gold": 1}}]) == (1, 1, 0, 0, 0, 0, 0, 0)


def test_every_kind_is_labels_outputs_or_inner_states_on_purpose() -> None:
    inner = {
        *("hidden", "hidden-cls", "hidden-cosine", "embeddings", "attention", "attention-scores"),
        *("relations", "query-relations", "key-relations", "value-relations", "latent-trees", "parser-trees"),
    }
    assert {name for name in KNOWLEDGE_NAMES if traits_of([{"weights": {name: 1}}])[2]} == inner
    assert {name for name in KNOWLEDGE_NAMES if traits_of([{"weights": {name: 1}}])[0]} == {*LABEL_KNOWLEDGE}


def test_a_kind_of_a_certain_teacher_is_that_kind() -> None:
    assert traits_of([{"weights": {"logits@2": 1, "query-relations": 1}}]) == (0, 1, 1, 0, 0, 0, 0, 0)
