"""Checks of tasks, files and models in settings, and the data of a command, before slow libraries are imported."""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import singledispatch
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from kselect.agents.serialization import DESCRIPTION
from kselect.analysis.inspection.study_runs import read_study
from kselect.analysis.plotting import can_draw, check_drawable
from kselect.cli.compared_tasks import naming_run, settings_of_run, tasks_of
from kselect.cli.parser import unreadable_paths
from kselect.collection.ablations import ablated
from kselect.collection.suite import Suite, matching, read_suite
from kselect.config import (
    EXPORT_PACKAGES,
    KNOWLEDGE_NAMES,
    TRACKERS,
    AgentConfig,
    BenchmarkConfig,
    BenchModelSettings,
    CollectConfig,
    CollectSettings,
    CompareSettings,
    Config,
    DistillSettings,
    DoctorSettings,
    EncoderConfig,
    EngineConfig,
    EvaluateSettings,
    EvaluationConfig,
    ExplainSettings,
    ExportConfig,
    ExportSettings,
    FolderConfig,
    InspectSettings,
    KnowledgeConfig,
    PredictSettings,
    PushConfig,
    RecordingConfig,
    RunConfig,
    Settings,
    StudentConfig,
    StudyConfig,
    TaskConfig,
    TrainPolicySettings,
    TrainTeacherSettings,
)
from kselect.config.knowledge import kind_of
from kselect.errors import KselectError, unknown
from kselect.models.paths import check_location
from kselect.plugins import plugin_names
from kselect.recipes import check, check_decider, check_learner
from kselect.runs.artifacts import find_model, find_policy
from kselect.runs.history import is_run, read_run
from kselect.runs.resume import ensure_available
from kselect.runs.run_log import RUNS
from kselect.tasks.paths import find_file
from kselect.tasks.registry import canonical, custom_name, load_test, make_task, task_name, text_files, word_source
from kselect.tasks.synthetic.tasks import check_generated
from kselect.tasks.task import Task


def prepare(settings: Settings) -> Any:
    """Check the tasks, files and models in a command's settings, and return the data that it runs on."""
    with unreadable_paths():
        for group in vars(settings).values():
            check_exists(group)
        return load_data(settings)


@singledispatch
def check_exists(config: Config) -> None:
    """Check that the files and models in a group of settings exist."""


@check_exists.register
def _(config: TaskConfig) -> None:
    if config.augment_model is not None:
        check_location(config.augment_model)
    if config.task is None or config.own:
        return
    path = Path("configs", f"{config.task}.yaml")
    try:
        canonical(config.task)
    except KselectError as error:
        instead = f"--config {path}, which lies here, or --train_file" if path.is_file() else "--train_file"
        raise KselectError(
            f"{error} A custom dataset may have any name: give {instead}, and of words --task_type tags or trees."
        ) from None


@check_exists.register
def _(config: KnowledgeConfig) -> None:
    registry = sys.modules.get("kselect.knowledge.registry")  # without the import, nothing is registered
    builtin: Collection[str] = (*KNOWLEDGE_NAMES, *plugin_names("kselect.knowledge"))
    known = builtin if registry is None else registry.BUILDERS
    for name in (*(config.knowledge or ()), *config.scales, *config.layer_maps):
        if kind_of(name) not in known:
            raise unknown("knowledge", kind_of(name), known)


@check_exists.register
def _(config: RecordingConfig) -> None:
    if config.record_plots:
        check_drawable()


@check_exists.register(FolderConfig)
@check_exists.register(StudyConfig)
def _(config: FolderConfig | StudyConfig) -> None:
    if config.run_name is not None and not config.fresh:
        ensure_available(Path(config.runs_dir, config.run_name))


@check_exists.register
def _(config: RunConfig) -> None:
    check_exists.dispatch(FolderConfig)(config)
    for name in config.report_to:
        if find_spec(TRACKERS[name]) is None:
            package = TRACKERS[name].replace("_", "-")
            raise KselectError(
                f"The tracker {name} is not installed: pip install {package}, or leave it out.",
                setting="report_to",
            )


@check_exists.register
def _(config: StudentConfig) -> None:
    for path in (*config.teachers, config.student, config.parser):
        if path is not None:
            check_location(path)


@check_exists.register
def _(config: EncoderConfig) -> None:
    if config.encoder is not None:
        check_location(config.encoder)


@check_exists.register
def _(config: EvaluationConfig) -> None:
    if find_policy(config.model) is None:
        check_location(find_model(config.model))


@check_exists.register
def _(config: PushConfig) -> None:
    if find_policy(config.model) is None:
        check_location(find_model(config.model))
        if not Path(config.model).is_dir():
            raise KselectError(f"{config.model} is not a folder: give that of a run, a model or a policy.")


@check_exists.register
def _(config: ExportConfig) -> None:
    check_location(find_model(config.model))
    packages = EXPORT_PACKAGES[config.format]
    if any(find_spec(name) is None for name in packages):
        raise KselectError(
            f"format {config.format} needs {', '.join(packages)}, which are not all installed: pip install "
            f"'kselect[{config.format}]'.",
            setting="format",
        )


@check_exists.register
def _(config: BenchmarkConfig) -> None:
    check_location(find_model(config.model))
    if find_spec("onnxruntime") is None:
        raise KselectError("A benchmark needs onnxruntime, which is not installed: pip install 'kselect[onnx]'.")
    if config.static and find_spec("model2vec") is None:
        raise KselectError(
            "static needs model2vec, which is not installed: pip install 'kselect[static]', or leave static out.",
            setting="static",
        )
    if config.plot is not None and not can_draw():
        raise KselectError("plot needs matplotlib: pip install 'kselect[plots]', or leave it out.", setting="plot")


@check_exists.register
def _(config: CollectConfig) -> None:
    check_location(config.encoder)
    if config.minari is not None and find_spec("minari") is None:
        raise KselectError(
            "minari needs Minari, which is not installed: pip install 'kselect[collect]', or leave minari out.",
            setting="minari",
        )


@check_exists.register
def _(config: EngineConfig) -> None:
    if config.engine == "ray" and find_spec("ray") is None:
        raise KselectError(
            "engine is ray, which is not installed: pip install 'kselect[ray]', or leave engine out.", setting="engine"
        )


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


@load_data.register
def _(settings: DoctorSettings) -> Task:
    return make_task(settings.task)


@load_data.register
def _(settings: InspectSettings) -> Any:
    config, folder = settings.inspection, Path(settings.inspection.folder)
    if config.html is not None and not Path(config.html).absolute().parent.is_dir():
        raise KselectError(
            f"html is {config.html}, whose folder does not exist: make it, or give another.", setting="html"
        )
    if (folder / RUNS).is_file():
        return read_study(folder)
    if (folder / DESCRIPTION).is_file():
        return None
    if is_run(folder):
        return read_run(folder)
    raise KselectError(
        f"{folder} is not the folder of a run, a policy or a comparison: give one with metrics.jsonl, agent.json or "
        "runs.jsonl.",
        setting="folder",
    )


@load_data.register
def _(settings: ExplainSettings) -> Task:
    earlier = settings.ladder.earlier
    if earlier is not None and not Path(earlier, RUNS).exists():
        raise KselectError(
            f"earlier is {earlier}, which holds no runs of an ablation: give a folder of `explain`.", setting="earlier"
        )
    return make_task(settings.task)


@load_data.register
def _(settings: ExportSettings) -> Task:
    return make_task(settings.task)


@load_data.register
def _(settings: BenchModelSettings) -> Task:
    return make_task(settings.task)


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
    if config.plot is not None and not can_draw():
        raise KselectError("plot needs matplotlib: pip install 'kselect[plots]', or leave it out.", setting="plot")
    matching("selection", suite.selections, config.selections)
    matching("agent", suite.agents, config.agents)
    return suite


@load_data.register
def _(settings: EvaluateSettings) -> Task | None:
    path = settings.report.report_file
    if path is not None and not Path(path).absolute().parent.is_dir():
        raise KselectError(
            f"report_file is {path}, whose folder does not exist: make it, or give another.", setting="report_file"
        )
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
    for name in ("output", "plot"):
        path = getattr(settings.comparison, name)
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise KselectError(
                f"{name} is {path}, whose folder does not exist: make it, or give another.", setting=name
            )
    if settings.comparison.plot is not None and not can_draw():
        raise KselectError("plot needs matplotlib: pip install 'kselect[plots]', or leave it out.", setting="plot")
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
