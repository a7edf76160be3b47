"""One run of a collection: a student distilled in a condition, under a seed, by a selection."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from kselect import io
from kselect.agents.stages import Stages
from kselect.collection.conditions import AgentSpec, Condition
from kselect.collection.draws import draw
from kselect.collection.teachers import student_config, teacher_scores, train_teacher
from kselect.config import (
    TEXT_SOURCES,
    AgentConfig,
    DistillSettings,
    KnowledgeConfig,
    PhaseConfig,
    RunConfig,
    TaskConfig,
)
from kselect.distillation.callback import DistillerCallback, TrainingControl
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import predict
from kselect.distillation.facts.measure import measure_facts
from kselect.distillation.overlap import teacher_overlap
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.recipes import recipe_defaults, resolve
from kselect.recipes.policies import PolicySetup, build_policy, build_trainable_agent
from kselect.training.cells import cached_distiller, fill_teacher_cache
from kselect.training.engines import Report
from kselect.training.episode import Episode
from kselect.training.results import constant_metrics
from kselect.training.runner import EpisodeRunner

SOURCE, DATA, SCORES, STUDENT = "made-of.json", "data.json", "teacher-scores.json", "student"
"""In the folder of a condition under a seed: what its data and models are made of, and these."""
MARKS = (0.25, 0.5, 1.0)
"""Shares of a run at which the student is evaluated on the reward split, besides rewards."""


def collect_run(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Compute a run.

    The data of a condition under a seed, its teacher and the teacher's scores are made by the first of its runs, and
    kept in its folder for the others.

    Args:
        settings: `condition` and its `tasks` as plain values, `seed`, `stages` of the selection or the `agent` that
            selects, `knowledge` on offer, `encoder`, `dev_examples`, the `folder` of the condition under this seed, the
            folder of all `teachers`, and the `arrays` file to write.
        report: called after each phase.

    Returns:
        Metrics of the student on the reward split at each of `MARKS`, and on dev at the last; those of the teacher and
        of the constant prediction, the facts of the run (`kselect.distillation.facts`), the numbers of steps and
        examples, and the seconds by part, with those of learning a policy beforehand. The arrays hold the observations
        before and after all decisions, their weights and rewards, and the logits on the reward split at each mark.
    """
    condition, seed = Condition.from_dict(settings["condition"]), settings["seed"]
    folder = Path(settings["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # parallel processes wait for the one that makes the teacher
        distill = _prepare(condition, settings, folder)
        distiller = cached_distiller(distill)
        distiller.reset(seed)  # facts are those of the initial student
        teacher = teacher_scores(distiller, folder / SCORES)
        facts = measure_facts(distiller)
    agent = distill.agent
    if distill.knowledge.skip_unsupported and "stages" in settings:
        agent = AgentConfig("schedule", {"stages": _supported(settings["stages"], distiller.names)})
    fill_teacher_cache(distiller, seed)
    if count := settings.get("agent", {}).get("episodes", 0):
        setup, earlier = _trained(agent, distiller, distill.phases, seed, count)
    else:
        setup, earlier = build_policy(agent, distiller, distill.phases, seed), []
    setup.env.measure_rewards = True
    recorder = _Recorder(setup.env, Path(settings["arrays"]))
    runner = EpisodeRunner(setup.agent, [setup.env], seeds=[seed], learning=setup.learning, callbacks=[recorder])
    setup.env.decide_at(sorted({*setup.agent.boundaries, *MARKS[:-1]}))
    episode = runner.run(lambda record: report(record["step"], runner.total_steps))[0]
    recorder.save()
    return {
        "marks": recorder.marks,
        "teacher": teacher,
        "teacher_overlap": teacher_overlap(distiller.task, distiller.teachers),
        "facts": facts.to_dict(),
        "constant": constant_metrics(distiller.task),
        "steps": runner.total_steps,
        "examples": {split: len(distiller.encoded(split)) for split in ("train", "reward", "dev", *distiller.sources)},
        "initial_losses": distiller.initial_losses,
        "scales": dict(zip(distiller.kinds, distiller.scales.tolist(), strict=True)),
        "seconds": {
            name: sum(each.seconds[name] for each in (*earlier, episode)) for name in episode.seconds if name != "other"
        },
    }


def _prepare(condition: Condition, settings: Mapping[str, Any], folder: Path) -> DistillSettings:
    """Make the data and the models of a condition where they are missing, and return the run's settings."""
    seed, encoder, kept = settings["seed"], settings["encoder"], folder / DATA
    _drop_outdated(condition, settings, folder)
    if kept.is_file():
        data = {name: TaskConfig(**values) for name, values in io.read_json(kept).items()}
    else:
        tasks = {name: TaskConfig(**values) for name, values in settings["tasks"].items()}
        data = draw(condition, tasks, seed, settings["dev_examples"], folder / "data")
    teacher = train_teacher(condition, data["teacher"], encoder, seed, Path(settings["teachers"]))
    student = student_config(condition, data["student"], teacher, encoder, seed, folder / STUDENT)
    if not kept.is_file():
        io.write_json(kept, {name: vars(config) for name, config in data.items()})
    shared: dict[str, Any] = {"model": student, "training": condition.training, "run": RunConfig(seed=seed)}
    offered = KnowledgeConfig(**settings["knowledge"])
    if "agent" in settings:
        spec = AgentSpec(**settings["agent"])
        task = replace(data["student"], augment=spec.augment)
        if not spec.texts:
            task = replace(task, transfer_file=None)
        agent = AgentConfig(spec.agent)
        if spec.knowledge is not None:
            return DistillSettings(task=task, knowledge=KnowledgeConfig(spec.knowledge), agent=agent, **shared)
        return DistillSettings(task=task, knowledge=_offered(agent, offered), agent=agent, **shared)
    return DistillSettings(
        task=data["student"],
        knowledge=offered,
        agent=AgentConfig("schedule", {"stages": settings["stages"]}),
        phases=PhaseConfig(observe_facts=True),
        **shared,
    )


def _trained(
    agent: AgentConfig, distiller: Distiller, phases: PhaseConfig, seed: int, count: int
) -> tuple[PolicySetup, list[Episode]]:
    """Build an agent and let it learn from a number of episodes, which are returned, too."""
    setup = build_trainable_agent(agent, distiller, phases, seed)
    episodes = EpisodeRunner(setup.agent, [setup.env], count, seeds=[seed], learning=True).run()
    return replace(setup, learning=False), episodes


def _supported(stages: Stages, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return stages without weights for kinds of knowledge that the models do not support."""
    found = [{**stage, "weights": {n: w for n, w in stage["weights"].items() if n in names}} for stage in stages]
    for stage in found:
        if not any(weight for name, weight in stage["weights"].items() if name not in TEXT_SOURCES):
            raise KselectError("The models support no knowledge that this selection weights: leave it out here.")
    return found


def _offered(agent: AgentConfig, offered: KnowledgeConfig) -> KnowledgeConfig:
    """Return what is on offer to an agent: what its recipe needs, compared as it says, or else what the suite has."""
    own = recipe_defaults(agent, {})
    if "knowledge" in own:
        return KnowledgeConfig(**own)
    return resolve(agent, **{**offered.changed(), **own})


def _drop_outdated(condition: Condition, settings: Mapping[str, Any], folder: Path) -> None:
    """Remove what was made for the condition where the suite has since changed what it is made of."""
    own = {name: value for name, value in condition.to_dict().items() if name not in ("name", "stratum", "training")}
    made_of = {"condition": own, "tasks": settings["tasks"], "dev_examples": settings["dev_examples"]}
    path = folder / SOURCE
    if path.is_file() and io.read_json(path) != made_of:
        for name in (DATA, SCORES):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / STUDENT, ignore_errors=True)
    io.write_json(path, made_of)


class _Recorder(DistillerCallback):
    """Keeps what happens at each decision, and evaluates the student at each mark."""

    def __init__(self, env: DistillationEnv, path: Path) -> None:
        self.env = env
        self.distiller = env.distiller
        self.path = path
        self.marks: dict[str, dict[str, dict[str, float]]] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        self.observations: list[dict[str, NDArray[Any]]] = []
        self.decisions: list[dict[str, NDArray[Any]]] = []

    def on_phase_begin(self, episode: int, phase: int, control: TrainingControl) -> None:
        """Keep what the environment shows."""
        self.observations.append(self.env.observer.observation())

    def on_phase_end(self, record: dict[str, Any], control: TrainingControl) -> None:
        """Keep the selection and its reward."""
        weights = np.array(list(record["weights"].values()), dtype=np.float32)
        numbers = {"reward": np.asarray(record["reward"]), "step": np.asarray(record["step"])}
        self.decisions.append({"weights": weights, **numbers})
        share = record["step"] / self.distiller.total_steps
        for mark in MARKS:
            if str(mark) not in self.marks and share >= mark - 1e-9:
                self._evaluate(mark)

    def _evaluate(self, mark: float) -> None:
        """Evaluate the student on the reward split and, at the end, on dev."""
        distiller = self.distiller
        encoded, is_of_texts = distiller.encoded("reward"), distiller.student.labels is None
        every = np.arange(len(encoded))
        size, dtype = distiller.training.batch_size, distiller.dtype
        predictions = predict(distiller.student, encoded, every, size, dtype, keep_logits=is_of_texts)
        metrics = distiller.task.score_rows(predictions.answers, encoded, every)
        self.marks[str(mark)] = {"reward": {**metrics, "loss": float(predictions.losses.mean())}}
        if mark == MARKS[-1]:
            result = distiller.evaluate("dev")
            self.marks[str(mark)]["dev"] = {**result.metrics, "loss": result.loss}
        if predictions.logits is not None:
            self.arrays[f"logits-{mark}"] = predictions.logits.numpy().astype(np.float16)
            self.arrays["labels"] = encoded.labels

    def save(self) -> None:
        """Write the arrays."""
        self.observations.append(self.env.observer.observation())
        for rows in (self.observations, self.decisions):
            self.arrays |= {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        with io.replacing(self.path) as (partial,), partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **self.arrays)


def run_settings(
    condition: Condition, tasks: Mapping[str, TaskConfig], seed: int, folder: Path, **shared: Any
) -> dict[str, Any]:
    """Return the plain settings of a run; see `collect_run`."""
    own = {name: tasks[name].changed() for name in (condition.task, condition.texts_of) if name is not None}
    return {"condition": condition.to_dict(), "tasks": own, "seed": seed, "folder": str(folder), **shared}


def steps_of(condition: Condition) -> int:
    """Return the training steps of a run in a condition."""
    return condition.training.total_steps(math.ceil(condition.labelled / condition.training.batch_size))
