"""The data that a command runs on, checked and loaded before slow libraries are imported."""

from __future__ import annotations

from functools import singledispatch
from itertools import chain
from pathlib import Path
from typing import Any

from kselect.agents.serialization import DESCRIPTION
from kselect.analysis.inspection.study_runs import read_study
from kselect.cli.compared_tasks import naming_run, settings_of_run, tasks_of
from kselect.cli.console import notice
from kselect.cli.parser import unreadable_paths
from kselect.cli.preflight import check_exists
from kselect.collection.ablations import ablated
from kselect.collection.suite import Suite, matching, read_suite
from kselect.config import (
    AgentConfig,
    BenchModelSettings,
    CollectSettings,
    CompareSettings,
    DistillSettings,
    DoctorSettings,
    EvaluateSettings,
    ExplainSettings,
    ExportSettings,
    InspectSettings,
    PredictSettings,
    Settings,
    TrainPolicySettings,
    TrainTeacherSettings,
)
from kselect.errors import KselectError
from kselect.recipes import check, check_decider, check_learner
from kselect.recipes.shipped import SHIPPED, policy_folder
from kselect.runs.artifacts import find_policy
from kselect.runs.history import is_run, read_run
from kselect.runs.run_log import RUNS
from kselect.tasks.description import describe_data
from kselect.tasks.paths import find_file
from kselect.tasks.registry import canonical, custom_name, load_test, make_task, task_name, text_files, word_source
from kselect.tasks.synthetic.tasks import check_generated
from kselect.tasks.task import Task

TRAINING = (
    TrainTeacherSettings,
    TrainPolicySettings,
    DistillSettings,
    CompareSettings,
    DoctorSettings,
    ExplainSettings,
)


def prepare(settings: Settings) -> Any:
    """Check the tasks, files and models in a command's settings, and return the data that it runs on."""
    with unreadable_paths():
        for group in vars(settings).values():
            check_exists(group)
        return load_data(settings)


def describe(settings: Settings, data: Any) -> None:
    """Print a line about the data of each task that a command trains on or examines."""
    if isinstance(settings, TRAINING):
        for task in data if isinstance(data, list) else [data]:
            notice(describe_data(task))


@singledispatch
def load_data(settings: Settings) -> Any:
    """Return the data that a command runs on: its task; test examples to predict; a suite. Else None."""


@load_data.register
def _(settings: TrainTeacherSettings) -> Task:
    task = settings.task
    if settings.model.encoder is None:
        check_generated(task_name(task) if task.own else canonical(task_name(task)))
    return make_task(task)


@load_data.register
def _(settings: DistillSettings) -> Task:
    check_decider(settings.agent.agent)
    check(settings.agent, settings.knowledge)
    return make_task(settings.task)


@load_data.register
def _(settings: TrainPolicySettings) -> Task:
    check_learner(settings.agent.agent)
    return make_task(settings.task)


@load_data.register(DoctorSettings)
@load_data.register(ExplainSettings)
@load_data.register(ExportSettings)
@load_data.register(BenchModelSettings)
def _(settings: DoctorSettings | ExplainSettings | ExportSettings | BenchModelSettings) -> Task:
    return make_task(settings.task)


@load_data.register
def _(settings: InspectSettings) -> Any:
    folder = policy_folder(settings.inspection.folder) or Path(settings.inspection.folder)
    if (folder / RUNS).is_file():
        return read_study(folder)
    if (folder / DESCRIPTION).is_file():
        return folder
    if is_run(folder):
        return read_run(folder)
    raise KselectError(
        f"{folder} is not the folder of a run, a policy or a comparison: give one with metrics.jsonl, agent.json or "
        f"runs.jsonl, or {' or '.join(SHIPPED)}, which comes with kselect.",
        setting="folder",
    )


@load_data.register
def _(settings: CollectSettings) -> Suite:
    config = settings.collection
    suite = read_suite(config.suite)
    check_exists(suite.knowledge)
    for task in suite.tasks.values():
        if not task.own:
            canonical(task_name(task))
        for path in (task.train_file, task.dev_file):
            if path is not None:
                find_file(path, task.data_dir)
    matching("condition", suite.conditions, config.conditions)
    if config.ablate:
        suite = ablated(suite)
    matching("selection", suite.selections, config.selections)
    matching("agent", suite.agents, config.agents)
    return suite


@load_data.register
def _(settings: EvaluateSettings) -> Task | None:
    return make_task(settings.task) if find_policy(settings.model.model) is None else None


@load_data.register
def _(settings: PredictSettings) -> Any:
    task = settings.task
    if task.test_file is not None:
        find_file(task.test_file, task.data_dir)
    if task.task_type != "text":
        if settings.predictions.probabilities:
            raise KselectError(
                "Probabilities are written for texts, and task_type is not text: leave them out, or call predict_proba "
                "of a model that kselect.load returns.",
                setting="probabilities",
            )
        return word_source(task)
    files = text_files(task)
    if files is None:
        return {name: [test] for name, test in load_test(task_name(task), task.data_dir).items()}
    tests = files.stream_unlabelled()
    first = next(tests)  # so that columns which the file does not have are reported before a model is loaded
    return {custom_name(task_name(task)): chain([first], tests)}


@load_data.register
def _(settings: CompareSettings) -> list[Task]:
    every = tasks_of(settings)
    agents = {label: AgentConfig(agent) for label, agent in settings.comparison.labelled.items()}
    for agent in agents.values():
        check_decider(agent.agent)
    for each in every:
        for group in vars(each).values():
            check_exists(group)
        for label, agent in agents.items():
            with naming_run(label, task_name(each.task)):
                settings_of_run(each, agent, settings.run.seeds[0])
    return [make_task(each.task) for each in every]
