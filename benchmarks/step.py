"""Seconds per training step: plain fine-tuning of the student, and the same student under each agent.

    python benchmarks/step.py [--steps 96] [--hidden_size 192] [--tokens 32] [--rounds 5]

A 6-layer teacher and its 3-layer student (BERT, heads of 32, random weights) on texts of one length, batches of 32. All
runs take turns in this one process, so that a machine's changing speed meets all alike; each figure is the median over
the rounds. What an agent costs is measured against the very same selections, replayed by an agent that only repeats
them, with no reward measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from agents.agent import Agent
from agents.registry import LEARNERS
from envs.distillation import DistillationEnv
from kselect.cli.table import print_table
from kselect.config import AgentConfig, PhaseConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.models.classifier import Classifier, label_settings
from kselect.models.shrink import shrink
from kselect.study.casting import cast_decider, cast_learner
from kselect.study.episode import run_episode
from kselect.tasks.split import Split
from kselect.tasks.task import Task
from kselect.tasks.tokenizer import synthetic_tokenizer

BATCH = 32
BASELINES = ("fine-tune", "vanilla-kd", "all", "random-hard", "random-soft")


class Replay(Agent):
    """Repeats recorded actions, one after the other."""

    def __init__(self, *spaces: Any, actions: list[np.ndarray]) -> None:
        super().__init__(*spaces)
        self.recorded = actions
        self.next = 0

    def act(self, observation: Any, *, explore: bool = False) -> np.ndarray:
        """Return the next recorded action."""
        self.next += 1
        return self.recorded[(self.next - 1) % len(self.recorded)]


def make_distiller(steps: int, hidden_size: int, tokens: int) -> Distiller:
    """Set up a run of so many steps on random words."""
    tokenizer = synthetic_tokenizer()
    words = [word for word in tokenizer.get_vocab() if word.isalpha()]
    generator = np.random.default_rng(0)

    def split(size: int) -> Split:
        texts = [" ".join(generator.choice(words, tokens - 2)) for _ in range(size)]
        return Split(texts, None, [i % 2 for i in range(size)])

    splits = {"train": split(8 * BATCH), "reward": split(1024), "dev": split(BATCH)}
    task = Task("benchmark", ("no", "yes"), splits, ("accuracy",))
    sizes = {"hidden_size": hidden_size, "num_attention_heads": hidden_size // 32, "intermediate_size": 4 * hidden_size}
    config = BertConfig(num_hidden_layers=6, max_position_embeddings=tokens, **label_settings(task), **sizes)
    teacher = Classifier(BertForSequenceClassification(config), tokenizer)
    training = TrainingConfig(epochs=steps / 8, batch_size=BATCH)
    return Distiller(task, teacher, shrink(teacher, 3), training, max_length=tokens)


def timed(distiller: Distiller, name: str) -> tuple[float, dict[str, float], list[np.ndarray]]:
    """Run one episode under an agent; returns seconds, shares of the account, and its actions."""
    cast = (cast_learner if name in LEARNERS else cast_decider)(AgentConfig(name), distiller, PhaseConfig(), seed=0)
    taken: list[np.ndarray] = []
    act: Callable[..., np.ndarray] = cast.agent.act

    def recorded(*args: Any, **kwargs: Any) -> np.ndarray:
        taken.append(act(*args, **kwargs))
        return taken[-1]

    cast.agent.act = recorded
    start = time.perf_counter()
    episode = run_episode(cast.agent, cast.env, seed=0, learning=cast.learning)
    return time.perf_counter() - start, episode.shares, taken


def replayed(distiller: Distiller, taken: list[np.ndarray]) -> float:
    """Run the same selections again, decided by nobody and rewarded by nothing; returns seconds."""
    env = DistillationEnv(distiller, actions="soft", phases=PhaseConfig(), measure_rewards=False)
    agent = Replay(env.observation_space, env.action_space, actions=taken)
    start = time.perf_counter()
    run_episode(agent, env, seed=0, learning=False)
    return time.perf_counter() - start


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=96, help="training steps of one run")
    parser.add_argument("--hidden_size", type=int, default=192, help="width of both models, a multiple of 32")
    parser.add_argument("--tokens", type=int, default=32, help="length of the texts")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each agent")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/step.json"))
    options = parser.parse_args()

    distiller = make_distiller(options.steps, options.hidden_size, options.tokens)
    timed(distiller, "all")  # a warm-up, and the teacher's one pass over the data
    seconds: dict[str, list[float]] = {name: [] for name in (*BASELINES, *LEARNERS)}
    ratios: dict[str, list[float]] = {name: [] for name in LEARNERS}
    shares: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for name in seconds:
            elapsed, shares[name], taken = timed(distiller, name)
            seconds[name].append(elapsed / distiller.total_steps)
            if name in LEARNERS:
                ratios[name].append(elapsed / replayed(distiller, taken))

    plain = statistics.median(seconds["fine-tune"])
    rows, report = [], {}
    for name, values in seconds.items():
        median = statistics.median(values)
        fixed = statistics.median(ratios[name]) if name in ratios else None
        account = {part: share for part, share in shares[name].items() if share >= 0.0005}
        report[name] = {"seconds_per_step": values, "ratio_to_same_selection_fixed": ratios.get(name), "cost": account}
        cost = ", ".join(f"{part} {100 * share:.1f} %" for part, share in account.items())
        rows.append([name, f"{median:.3f}", f"{median / plain:.2f}", "" if fixed is None else f"{fixed:.3f}", cost])
    title = f"Seconds per training step, median of {options.rounds} runs of {distiller.total_steps} steps"
    print_table(title, ["agent", "s/step", "/ fine-tune", "/ same selection fixed", "cost account"], rows)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    setup = {"threads": torch.get_num_threads(), "dtype": str(distiller.dtype), "steps": distiller.total_steps}
    setup |= {"hidden_size": options.hidden_size, "tokens": options.tokens, "rounds": options.rounds}
    options.json.write_text(json.dumps({"setup": setup, "agents": report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
