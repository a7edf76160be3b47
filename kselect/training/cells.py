"""The runs that studies are made of: one distillation, or the teachers' own evaluation, from plain settings."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kselect.agents.registry import ONLINE
from kselect.config import AgentConfig, DistillSettings, PhaseConfig, StudentConfig, TaskConfig, names_with
from kselect.distillation.builders import Models, make_models
from kselect.distillation.compatibility import check_compatible, with_other_tokens
from kselect.distillation.distiller import Distiller
from kselect.distillation.overlap import teacher_overlap
from kselect.distillation.snapshot import Snapshot, fitting
from kselect.errors import IncomparableError, KselectError
from kselect.knowledge.registry import build_knowledge
from kselect.logging import get_logger
from kselect.models.classifier import input_length
from kselect.recipes import NAMED, check
from kselect.recipes.compatibility import check_served
from kselect.recipes.policies import build_policy
from kselect.runs.checkpoint import Checkpoint
from kselect.runs.provenance import describe
from kselect.runs.resume import identify
from kselect.training.api import evaluated, evaluated_teachers
from kselect.training.engines import Report
from kselect.training.results import constant_metrics, summarise_run
from kselect.training.runner import EpisodeRunner

OF_AGENT = names_with(AgentConfig, PhaseConfig)
"""Settings that a distiller does not depend on."""
APART = ("task", "agent", "agent_settings", "seed", "teacher", "data_dir")
"""Settings that are fields of a ledger entry themselves, or say where something lies."""


def run_settings(settings: DistillSettings) -> dict[str, Any]:
    """Return the settings that identify a run in a ledger: those that affect its result, but for `APART`."""
    values = settings.to_dict()
    names = names_with(type(settings), affects_result=True)
    return {name: values[name] for name in names if name not in APART}


def check_run(settings: DistillSettings) -> None:
    """Refuse a run whose models do not fit each other, its task, its knowledge or its agent; nothing is trained.

    Only a saved policy needs the run to be built in full; for other agents, texts are not encoded.

    Raises:
        KselectError: as building the run would.
    """
    models = _models(_key_of_models(settings))
    check_compatible(models.student, models.teachers, models.task)
    other_tokens = with_other_tokens(models.student, models.teachers, models.task)
    alike = [teacher for i, teacher in enumerate(models.teachers) if i not in other_tokens]
    for classifier in (models.student, *alike):
        input_length(classifier, settings.task.max_length, models.task.usual_length)
    is_labelled = models.task.is_labelled
    try:
        kinds = build_knowledge(
            settings.knowledge, models.student, models.answering, models.parser, is_labelled, other_tokens
        )
    except IncomparableError:
        check_served(settings.agent, models.student, models.answering, is_labelled, other_tokens)
        raise
    check(settings.agent, replace(settings.knowledge, knowledge=[kind.name for kind in kinds]))
    if settings.agent.agent not in NAMED and settings.agent.agent not in ONLINE:
        build_policy(settings.agent, cached_distiller(settings), settings.phases, settings.run.seed)


def run_cell(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Compute a run of a comparison: a distillation or, where `agent` is None, the evaluation of the teachers."""
    if settings["agent"] is None:
        return evaluate_teachers({name: value for name, value in settings.items() if name != "agent"})
    return run_distillation(settings, report)


def run_distillation(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Distil one student.

    Args:
        settings: Those of `kselect.config.DistillSettings`, and optionally `checkpoint`, a file from which a stopped
            run resumes.
        report: Called after each phase.

    Returns:
        What `summarise_run` returns, with `seconds` by part, the `initial_losses` of all knowledge on offer, and the
        `environment`. The cost of filling the cache of teacher outputs, which all runs share, is left out.
    """
    path = settings.get("checkpoint")
    typed = DistillSettings.from_dict({name: value for name, value in settings.items() if name != "checkpoint"})
    checkpoint = None if path is None else Checkpoint(Path(path), typed.run.checkpoint_every, identify(typed.to_dict()))
    seed = typed.run.seed
    distiller = cached_distiller(typed)
    setup = build_policy(typed.agent, distiller, typed.phases, seed)
    runner = EpisodeRunner(setup.agent, [setup.env], seeds=[seed], learning=setup.learning)
    snapshot = None if checkpoint is None else _load(checkpoint)
    if checkpoint is not None and snapshot is not None:
        with fitting(checkpoint.path):
            runner.restore(snapshot)
    elif distiller.teachers:
        fill_teacher_cache(distiller, seed)

    def on_phase(record: dict[str, Any]) -> None:
        try:
            report(record["step"], runner.total_steps)
        except KeyboardInterrupt:
            if checkpoint is not None:
                runner.save(checkpoint)
            raise
        if checkpoint is not None and checkpoint.due:
            runner.save(checkpoint)

    result = evaluated(runner.run(on_phase)[0], setup.env)
    summary = summarise_run(result, distiller.task, seed=seed, agent=typed.agent.agent)
    if checkpoint is not None:
        checkpoint.drop()
    return {
        **summary,
        "seconds": result.seconds,
        "initial_losses": distiller.initial_losses,
        "teacher_overlap": teacher_overlap(distiller.task, distiller.teachers),
        "teacher": typed.model.teacher,
        "environment": describe(seed),
    }


def _load(checkpoint: Checkpoint) -> Snapshot | None:
    """Return the last saved state; None, with a warning, where no state is usable, since the study must go on."""
    try:
        return checkpoint.load()
    except KselectError as error:
        get_logger().warning("%s This is done.", error)
        return None


def fill_teacher_cache(distiller: Distiller, seed: int) -> None:
    """Compute what is cached of the teachers by a step of a run, which is to start over after it.

    All runs share the cache: without this, the first one would be charged for it.
    """
    distiller.reset(seed)
    distiller.advance(np.ones(len(distiller.names)), 1)


def evaluate_teachers(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of the teachers, in `teacher_metrics` each, and in `metrics` those of the first."""
    typed = DistillSettings.from_dict(settings)
    distiller = cached_distiller(typed)
    teachers = evaluated_teachers(distiller)
    examples = len(distiller.encoded("dev"))
    constant = constant_metrics(distiller.task)
    return {"metrics": teachers[0], "teacher_metrics": teachers, "examples": examples, "constant": constant}


def cached_distiller(settings: DistillSettings) -> Distiller:
    """Return the distiller of these settings; the last one is held for the next agent that reads the same."""
    values = settings.to_dict()
    return _distiller(json.dumps({name: each for name, each in values.items() if name not in OF_AGENT}, sort_keys=True))


@lru_cache(maxsize=1)
def _distiller(key: str) -> Distiller:
    settings = DistillSettings.from_dict(json.loads(key))
    models = _models(_key_of_models(settings))
    models = replace(models, student=copy.deepcopy(models.student))  # training changes it
    return models.distiller(settings.training, settings.knowledge, settings.task.max_length)


def _key_of_models(settings: DistillSettings) -> str:
    own = {"task": asdict(settings.task), "model": asdict(settings.model), "seed": settings.run.seed}
    return json.dumps(own, sort_keys=True)


@lru_cache(maxsize=1)
def _models(key: str) -> Models:
    settings = json.loads(key)
    return make_models(TaskConfig(**settings["task"]), StudentConfig(**settings["model"]), settings["seed"])
