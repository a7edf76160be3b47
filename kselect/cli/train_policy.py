"""Train a selection policy over repeated distillations.

Every episode distils one student from the start while the agent learns when to transfer which knowledge.
What is left is a policy for `kselect distill --agent`. Several tasks take turns; several episodes may be
played side by side.

Examples:
  kselect train-policy --task mrpc --teacher runs/teacher/model --layers 3 --episodes 8
  kselect train-policy --config configs/mrpc.yaml --agent deterministic-actor-critic
  kselect train-policy --config configs/mrpc.yaml --also configs/rte.yaml --episodes 8 --parallel 2
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kselect.agents.registry import LEARNERS
from kselect.cli.brought import knowledge_of_agent
from kselect.cli.help import listing
from kselect.config import TrainPolicySettings as Settings
from kselect.recipes import check_learner, save_comparison

NAME = "train-policy"
EPILOG = listing("Agents", LEARNERS)
UNDER = knowledge_of_agent


def run(settings: Settings) -> Path:
    """Train a selection policy and save it in a run folder, whose path is returned."""
    check_learner(settings.agent.agent)
    from kselect.tasks.registry import make_task

    task = make_task(settings.task)  # before torch is loaded, so that faults in data are told at once

    from kselect.cli.command import Command
    from kselect.cli.session import open_folder, prepare, recorded
    from kselect.cli.stage import every_task, inline, stage
    from kselect.recipes.policies import build_trainable_agent
    from kselect.training.api import make_runner
    from kselect.training.results import summarise_policy

    tasks = every_task(settings, Command(__name__))
    distillers = [prepare(settings, task), *(prepare(further) for further in tasks[1:])]
    names = " + ".join(distiller.task.name for distiller in distillers)
    agent, seed, policy = settings.agent.agent, settings.run.seed, settings.policy
    setup = build_trainable_agent(settings.agent, distillers[0], settings.phases, seed)
    with stage(setup, tasks, distillers, policy.parallel) as envs:
        runner = make_runner(setup.agent, envs, policy.episodes, seed=seed)
        also = [inline(task, distiller) for task, distiller in zip(tasks[1:], distillers[1:], strict=True)]
        kept = replace(settings, policy=replace(policy, also=also))
        folder = open_folder(kept, distillers[0], f"policy-{agent}", NAME, task=names)

        def save(_: object) -> None:
            save_comparison(folder.path / "policy", distillers[0].offered)
            setup.agent.save(folder.path / "policy")

        learned = [distiller.task for distiller in distillers]
        with recorded(folder, runner, f"Training a policy on {names}", learned) as on_phase:
            # Saved after every episode, so that a stopped run leaves what it has learned.
            episodes = runner.run(on_phase, on_episode=save)
            folder.write_results(summarise_policy(episodes, agent, seed, policy.parallel))
    units = {one.task.name: one.task.loss_unit for one in distillers}
    for i, episode in enumerate(episodes, 1):
        print(f"episode {i}: reward {episode.total_reward:.4f} {units[episode.task]} ({episode.task})")
    print(f"policy: {folder.path / 'policy'}")
    return folder.path
