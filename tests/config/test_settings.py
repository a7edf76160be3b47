"""Settings as typed groups and as one flat mapping."""

from __future__ import annotations

import pickle
import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from kselect.config import (
    DistillSettings,
    EngineConfig,
    EnvSettings,
    EpisodeConfig,
    ExplainSettings,
    KnowledgeConfig,
    ResourceConfig,
    RunConfig,
    StudentConfig,
    TaskConfig,
    TrainingConfig,
    TrainPolicySettings,
    TrainTeacherSettings,
    commands,
    names_with,
)
from kselect.config.settings import Settings
from kselect.errors import KselectError

EVERY = [kind for kind in vars(commands).values() if isinstance(kind, type) and issubclass(kind, Settings)]
NEEDED = {"teacher": "t", "model": "m", "suite": "s", "repo_id": "me/s", "folder": "f"}


def minimal(kind: type[Settings]) -> Settings:
    return kind.from_dict({name: value for name, value in NEEDED.items() if name in kind.hints()})


@pytest.mark.parametrize("kind", EVERY[1:], ids=lambda kind: kind.__name__)
def test_from_dict_reads_what_to_dict_writes(kind: type[Settings]) -> None:
    settings = minimal(kind)
    assert kind.from_dict(settings.to_dict()) == settings
    assert list(settings.to_dict()) == list(kind.hints())
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize("kind", EVERY[1:], ids=lambda kind: kind.__name__)
def test_hints_have_each_name_once(kind: type[Settings]) -> None:
    names = [member.name for group in kind.groups().values() for member in fields(group)]
    assert len(names) == len(set(names))


def test_replace_changes_settings_by_name_and_checks_them() -> None:
    settings = DistillSettings(model=StudentConfig("t"))
    changed = settings.replace(seed=3, agent="gold:1", layers=[1, 3])
    assert (changed.run.seed, changed.agent.agent, changed.model.kept_layers) == (3, "fixed", [1, 3])
    assert settings.run.seed == 0
    with pytest.raises(KselectError, match="epochs is 0: give a positive number") as caught:
        settings.replace(epochs=0)
    assert caught.value.setting == "epochs"
    with pytest.raises(KselectError, match="Unknown setting 'epoch': did you mean 'epochs'"):
        settings.replace(epoch=1)


def test_from_dict_names_what_is_missing() -> None:
    with pytest.raises(KselectError, match="teacher is missing") as caught:
        EnvSettings.from_dict({"task": "mrpc"})
    assert caught.value.setting == "teacher"


def test_select_gives_the_groups_of_another_class() -> None:
    settings = TrainPolicySettings.from_dict({"teacher": "t", "epochs": 2.0, "episodes": 4})
    assert settings.select(EnvSettings) == EnvSettings.from_dict({"teacher": "t", "epochs": 2.0})


def test_defaults_of_a_command_are_its_own() -> None:
    assert DistillSettings.from_dict({"teacher": "t"}).agent.agent == "auto"
    assert TrainPolicySettings.from_dict({"teacher": "t"}).agent.agent == "actor-critic"


def test_configs_are_frozen_and_take_paths_as_texts() -> None:
    config = TaskConfig(data_dir=Path("data"))  # type: ignore[arg-type]
    assert config.data_dir == "data"
    with pytest.raises(FrozenInstanceError):
        config.data_dir = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (TrainingConfig, {"epochs": "three"}, "epochs is 'three': expected a number."),
        (TrainingConfig, {"batch_size": 1.5}, "batch_size is 1.5: expected a whole number."),
        (TrainingConfig, {"batch_size": None}, "batch_size is None: expected a whole number."),
        (TrainingConfig, {"precision": "fp23"}, "Unknown precision 'fp23': did you mean 'fp32'?"),
        (TrainingConfig, {"epochs": True}, "epochs is True: expected a number."),
        (KnowledgeConfig, {"scales": {"hidden": None}}, "scales is {'hidden': None}: expected name=value pairs"),
        (KnowledgeConfig, {"scales": {1: 2.0}}, "scales is {1: 2.0}: expected name=value pairs"),
        (KnowledgeConfig, {"knowledge": "gold"}, "knowledge is 'gold': expected texts such as one,other."),
        (RunConfig, {"seed": 2**70}, "expected a whole number."),
        (StudentConfig, {"teacher": ["a", 1]}, "teacher is ['a', 1]: expected "),
    ],
)
def test_a_wrong_type_is_refused_before_any_other_check(kind: type, values: dict[str, object], said: str) -> None:
    with pytest.raises(KselectError) as caught:
        kind(**values)
    assert said in str(caught.value)
    assert caught.value.setting == next(iter(values))


def test_names_with_selects_by_facts() -> None:
    free = names_with(DistillSettings, may_differ_on_resume=True)
    of_run = ("runs_dir", "run_name", "fresh", "report_to", "checkpoint_every")
    assert free == ("teacher_cache", "cache_dir", *of_run)
    assert set(free) < set(names_with(DistillSettings, affects_result=False))
    assert names_with(TaskConfig, is_data_source=True) == ("train_file", "dataset")
    assert "seeds" in names_with(ExplainSettings, may_differ_on_extension=True)
    assert names_with(TaskConfig) == tuple(member.name for member in fields(TaskConfig))
    with pytest.raises(AttributeError):
        names_with(TaskConfig, colour="red")


def test_groups_are_checked_against_each_other() -> None:
    with pytest.raises(KselectError, match="head is crf, which is not for task_type text") as caught:
        TrainTeacherSettings.from_dict({"head": "crf"})
    assert caught.value.setting == "head"


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (ResourceConfig, {"engine": "ray", "gpus_per_run": float("inf")}, "gpus_per_run is inf: give a share of one"),
        (ResourceConfig, {"engine": "ray", "gpus_per_run": 1.5}, "gpus_per_run is 1.5: give a share of one GPU"),
        (ResourceConfig, {"engine": "slurm", "gpus_per_run": 0.5}, "gpus_per_run is 0.5: give a whole number of GPUs"),
        (EngineConfig, {"cpus_per_run": 2}, "cpus_per_run is for the engine ray or slurm: leave it out"),
        (EpisodeConfig, {"cpus_per_run": 2}, "cpus_per_run is for the engine ray: leave it out"),
    ],
)
def test_resources_that_no_engine_can_reserve_are_refused(
    kind: type[ResourceConfig], values: dict[str, Any], said: str
) -> None:
    with pytest.raises(KselectError, match=re.escape(said)):
        kind(**values)
    assert kind(**{**values, "engine": "ray", "gpus_per_run": 2.0}).gpus_per_run == 2
