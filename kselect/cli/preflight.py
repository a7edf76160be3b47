"""Checks of the files, models and packages that settings name, before slow libraries are imported."""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import singledispatch
from importlib.util import find_spec
from pathlib import Path

from kselect.analysis.plotting import check_drawable
from kselect.config import (
    KNOWLEDGE_NAMES,
    TRACKERS,
    AblationConfig,
    BenchmarkConfig,
    CollectConfig,
    CompareConfig,
    Config,
    DoctorConfig,
    EncoderConfig,
    EvaluationConfig,
    ExportConfig,
    FolderConfig,
    InspectConfig,
    KnowledgeConfig,
    PushConfig,
    RecordingConfig,
    ReportConfig,
    ResourceConfig,
    RunConfig,
    StudentConfig,
    StudyConfig,
    TaskConfig,
)
from kselect.config.knowledge import kind_of
from kselect.errors import KselectError, unknown
from kselect.export.formats import FORMATS, find_exports, formats_in
from kselect.models.paths import check_location
from kselect.plugins import plugin_names
from kselect.recipes.shipped import policy_folder
from kselect.runs.artifacts import find_model, find_policy
from kselect.runs.resume import ensure_available
from kselect.runs.run_log import RUNS
from kselect.tasks.registry import canonical

ENGINE_PACKAGES = {"ray": "ray", "slurm": "submitit"}
"""The package that each engine needs."""


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
        check_drawable("record_plots")


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
    packages = FORMATS[config.format].packages
    if any(find_spec(name) is None for name in packages):
        raise KselectError(
            f"format {config.format} needs {', '.join(packages)}, which are not all installed: pip install "
            f"'kselect[{config.format}]'.",
            setting="format",
        )


@check_exists.register
def _(config: BenchmarkConfig) -> None:
    check_location(find_model(config.model))
    for folder in find_exports(config.model) if config.export is None else [Path(config.export)]:
        for form in formats_in(folder):
            if find_spec(form.runtime) is None:
                raise KselectError(
                    f"{folder} needs {form.runtime}, which is not installed: pip install 'kselect[{form.name}]', or "
                    "give another export.",
                    setting="export",
                )
    if config.static and find_spec("model2vec") is None:
        raise KselectError(
            "static needs model2vec, which is not installed: pip install 'kselect[static]', or leave static out.",
            setting="static",
        )
    if config.plot is not None:
        check_drawable("plot", config.plot)


@check_exists.register
def _(config: CompareConfig) -> None:
    _check_folder_of("output", config.output)
    _check_folder_of("plot", config.plot)
    if config.plot is not None:
        check_drawable("plot", config.plot)


@check_exists.register
def _(config: InspectConfig) -> None:
    _check_folder_of("html", config.html)


@check_exists.register
def _(config: ReportConfig) -> None:
    _check_folder_of("report_file", config.report_file)


@check_exists.register
def _(config: AblationConfig) -> None:
    if config.earlier is not None and not Path(config.earlier, RUNS).exists():
        raise KselectError(
            f"earlier is {config.earlier}, which holds no runs of an ablation: give a folder of `explain`.",
            setting="earlier",
        )


@check_exists.register
def _(config: DoctorConfig) -> None:
    if config.policy is not None and policy_folder(config.policy) is None:
        raise KselectError(f"policy is {config.policy}, which is no policy: give the folder of one.", setting="policy")


@check_exists.register
def _(config: CollectConfig) -> None:
    if config.plot is not None:
        check_drawable("plot", config.plot)
    check_location(config.encoder)
    if config.minari is not None and find_spec("minari") is None:
        raise KselectError(
            "minari needs Minari, which is not installed: pip install 'kselect[collect]', or leave minari out.",
            setting="minari",
        )


@check_exists.register
def _(config: ResourceConfig) -> None:
    package = ENGINE_PACKAGES.get(config.engine)
    if package is not None and find_spec(package) is None:
        raise KselectError(
            f"engine is {config.engine}, which needs {package}, and that is not installed: pip install "
            f"'kselect[{config.engine}]', or leave engine out.",
            setting="engine",
        )


def _check_folder_of(setting: str, path: str | None) -> None:
    """Refuse a file to be written, if any, whose folder does not exist."""
    if path is not None and not Path(path).absolute().parent.is_dir():
        raise KselectError(
            f"{setting} is {path}, whose folder does not exist: make it, or give another.", setting=setting
        )
