"""Train a selection policy over repeated distillations.

Every episode distils one student from the start while the agent learns when to transfer which knowledge.
The result is a policy for `kselect distill --agent`. Several tasks alternate; several episodes may run
in parallel.

Examples:
  kselect train-policy --task mrpc --teacher runs/teacher/model --layers 3 --episodes 8
  kselect train-policy --config configs/mrpc.yaml --agent deterministic-actor-critic
  kselect train-policy --config configs/mrpc.yaml --also configs/rte.yaml --episodes 8 --parallel 2
  RAY_ADDRESS=HEAD:6379 kselect train-policy --config configs/mrpc.yaml --episodes 16 --parallel 8 --engine ray
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kselect.analysis.inspection.tables import quarters
from kselect.cli.commands import COMMANDS
from kselect.cli.console import print_section
from kselect.cli.further_tasks import settings_of_tasks
from kselect.cli.training_run import build_distiller, open_folder, recorded, resolve
from kselect.config import EnvSettings, TrainPolicySettings
from kselect.distillation.distiller import Distiller
from kselect.distillation.overlap import teacher_overlap
from kselect.distillation.reward import default_measure, unit_of
from kselect.envs.distillation import DistillationEnv
from kselect.recipes import save_comparison
from kselect.recipes.policies import PolicySetup, build_trainable_agent
from kselect.runs.history import read_episode
from kselect.tasks.task import Task
from kselect.training.api import make_runner
from kselect.training.compatibility import check_same_spaces
from kselect.training.episode import Episode
from kselect.training.results import summarise_policy
from kselect.training.vector import VectorEnv
from kselect.training.workers import EnvSpec, parallel_envs


def run(settings: TrainPolicySettings, task: Task) -> Path:
    """Train a selection policy and save it in a run folder, whose path is returned."""
    every = settings_of_tasks(settings, settings.policy.also, COMMANDS["train-policy"])
    distillers = [build_distiller(settings, task), *(build_distiller(further) for further in every[1:])]
    names = " + ".join(distiller.task.name for distiller in distillers)
    agent, seed, policy = settings.agent.agent, settings.run.seed, settings.policy
    setup = build_trainable_agent(settings.agent, distillers[0], settings.phases, seed)
    with make_envs(setup, every, distillers) as envs:
        runner = make_runner(setup.agent, envs, policy.episodes, seed=seed)
        # As texts, which unlike files do not change: config.yaml alone repeats the run.
        also = [
            json.dumps(_env_settings(one, distiller).to_dict())
            for one, distiller in zip(every[1:], distillers[1:], strict=True)
        ]
        folder = open_folder(settings.replace(also=also), distillers[0], f"policy-{agent}", "train-policy", task=names)

        tasks = [distiller.task for distiller in distillers]
        with recorded(folder, runner, f"Training a policy on {names}", tasks) as (on_phase, on_episode):

            def save(episode: Episode) -> None:
                """Save the policy after every episode, so that a stopped run leaves what it has learned."""
                save_comparison(folder.path / "policy", distillers[0].offered)
                setup.agent.save(folder.path / "policy")
                on_episode(episode)

            episodes = runner.run(on_phase, save)
            results = summarise_policy(episodes, agent, seed, policy.parallel)
            if runner.facts:
                results["facts"] = {task: facts.to_dict() for task, facts in runner.facts.items()}
            results["teacher_overlap"] = {
                each.task.name: teacher_overlap(each.task, each.teachers) for each in distillers
            }
            folder.write_results(results)
    units = {
        distiller.task.name: unit_of(distiller.task, one.phases.reward or default_measure(distiller.student.head.name))[
            0
        ]
        for one, distiller in zip(every, distillers, strict=True)
    }
    for i, episode in enumerate(episodes, 1):
        print(f"episode {i}: reward {episode.total_reward:.4f} {units[episode.task]} ({episode.task})")
    print()
    print_section(quarters([read_episode(episode.history, folder.path) for episode in episodes], draw=False))
    print(f"\npolicy: {folder.path / 'policy'}")
    return folder.path


@contextmanager
def make_envs(
    setup: PolicySetup, every: Sequence[TrainPolicySettings], distillers: Sequence[Distiller]
) -> Iterator[list[DistillationEnv] | VectorEnv]:
    """Yield an environment for each task, that of `setup` first, or `parallel` of them, each in its own process."""
    first, parallel = setup.env, every[0].policy.parallel
    further = zip(every[1:], distillers[1:], strict=True)
    envs = [
        first,
        *(
            DistillationEnv(distiller, first.actions, settings.phases, observe_cls=first.observe_cls)
            for settings, distiller in further
        ),
    ]
    check_same_spaces(envs)
    if parallel == 1:
        yield envs
        return
    specs = env_specs(first, every, distillers)
    with parallel_envs([specs[i % len(specs)] for i in range(parallel)], first, every[0].resources) as vector:
        yield vector


def env_specs(
    first: DistillationEnv, every: Sequence[TrainPolicySettings], distillers: Sequence[Distiller]
) -> list[EnvSpec]:
    """Return what makes each task's environment again in another process, with the actions of `first`."""
    return [
        EnvSpec(_env_settings(settings, distiller), first.actions, first.observe_cls, settings.run.seed)
        for settings, distiller in zip(every, distillers, strict=True)
    ]


def _env_settings(settings: TrainPolicySettings, distiller: Distiller) -> EnvSettings:
    return resolve(settings, distiller).select(EnvSettings)
