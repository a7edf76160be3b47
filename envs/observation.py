"""Observations: what the environment shows an agent at a decision."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.config import TEXT_SOURCES
from kselect.distillation.facts.facts import FACTS, KIND_FACTS, Facts, kind_facts
from kselect.distillation.phase_report import SIGNALS, PhaseReport
from kselect.knowledge.base import Knowledge
from kselect.tasks.task import Task

CONTEXT = (
    "progress",
    "learning_rate",
    *SIGNALS,
    "teacher_age",
    "reward_loss",
    "last_reward",
    "grad_norm",
    "regression",
)
FEATURES = ("relative_loss", "slope", "age", "last_weight")
CODE_SIZE = 16
LIMIT = 5.0


def observation_space(
    knowledge: int, further: Mapping[str, int] | None = None, observe_facts: bool = False
) -> spaces.Dict:
    """Return the space of observations.

    Args:
        knowledge: How many kinds of knowledge are on offer.
        further: Sizes of further entries by their keys.
        observe_facts: Whether facts of the run and of the kinds of knowledge are observed.
    """
    context, features = len(CONTEXT), len(FEATURES) + CODE_SIZE
    if observe_facts:
        context, features = context + len(FACTS), features + len(KIND_FACTS)
    shapes = {"context": (context,), "knowledge": (knowledge, features)}
    shapes |= {key: (size,) for key, size in (further or {}).items()}
    return spaces.Dict({key: spaces.Box(-LIMIT, LIMIT, shape, np.float32) for key, shape in shapes.items()})


def name_code(name: str) -> NDArray[np.float32]:
    """Return a fixed vector of ±1 `[16]` for a name of knowledge, by which a shared network distinguishes the rows."""
    bits = np.unpackbits(np.frombuffer(hashlib.sha256(name.encode()).digest()[: CODE_SIZE // 8], dtype=np.uint8))
    return bits.astype(np.float32) * 2 - 1


def named_features(observation: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, float]:
    """Return the features of an observation that vary within a run, by name.

    Args:
        observation: `context` `[c]` and `knowledge` `[k, f]`, or what belongs to each of their entries.
        names: Of the rows of `knowledge`.

    Returns:
        Those of the context, such as `progress`, and of each row, such as `relative_loss/gold`.
    """
    context = {
        name: float(value)
        for name, value in zip(CONTEXT, observation["context"], strict=False)  # facts may follow
        if name != "regression"
    }
    rows = {
        f"{feature}/{name}": float(value)
        for name, row in zip(names, observation["knowledge"], strict=True)
        for feature, value in zip(FEATURES, row, strict=False)  # codes and facts follow
    }
    return context | rows


class Observer:
    """Turns the reports of a run into observations that do not depend on the scale of a task or loss.

    Losses are relative to their initial values (see `Distiller.reference_losses`); ages and progress to the length of
    the run. A loss that is not measured keeps its last value while its age grows. Rows of further texts have no loss,
    and the age of their last use. Facts are behind all else, once `show_facts` has been called.

    Args:
        names: The kinds of knowledge on offer, and further texts.
        reference_losses: What the losses are divided by, by name.
        total_steps: Length of the run.
        task: The task; rewards are divided by the loss of a prediction that ignores the input.
    """

    def __init__(
        self, names: tuple[str, ...], reference_losses: dict[str, float], total_steps: int, task: Task
    ) -> None:
        self.names = names
        self.reference_losses = reference_losses
        self.total_steps = total_steps
        self.uninformed_loss = task.uninformed_loss
        self.regression = task.regression
        self.codes = np.stack([name_code(name) for name in names])
        self.facts = np.empty(0, dtype=np.float32)
        self.restart(0.0, 0.0)

    def show_facts(self, facts: Facts, knowledge: Sequence[Knowledge]) -> None:
        """Append the facts of the run to the context, and those of each kind of knowledge to its row.

        A row that is no kind of knowledge has zeros.
        """
        self.facts = facts.vector()
        of_kinds = {kind.name: row for kind, row in zip(knowledge, kind_facts(knowledge), strict=True)}
        other = np.zeros(len(KIND_FACTS), dtype=np.float32)
        rows = [np.concatenate([name_code(name), of_kinds.get(name, other)]) for name in self.names]
        self.codes = np.stack(rows)

    def restart(self, learning_rate: float, reward_loss: float) -> None:
        """Start a run.

        Args:
            learning_rate: Of the first step, as a share of the peak.
            reward_loss: Initial loss on the reward split, in nats.
        """
        self.rows = np.zeros((len(self.names), len(FEATURES)), dtype=np.float32)
        self.rows[:, FEATURES.index("relative_loss")] = [name in self.reference_losses for name in self.names]
        self.context = dict.fromkeys(CONTEXT, 0.0)
        self.context |= {"learning_rate": learning_rate, "reward_loss": reward_loss / self.uninformed_loss}
        self.context["regression"] = float(self.regression)
        self.last_seen = dict.fromkeys((*self.names, "teacher"), 0)

    def add_phase(self, report: PhaseReport, weights: NDArray[np.float32], learning_rate: float) -> None:
        """Include a phase.

        Args:
            report: Its losses and signals.
            weights: `[k]`, normalised, means over the phase.
            learning_rate: As a share of the peak.
        """
        step = report.first_step + report.steps
        used = [name for name, weight in zip(self.names, weights, strict=True) if name in TEXT_SOURCES and weight > 0]
        for name in (*report.losses, *used):
            self.last_seen[name] = step
        if "agreement" in report.signals:
            self.last_seen["teacher"] = step
        for i, name in enumerate(self.names):
            if name in report.losses:
                self.rows[i, 0] = report.losses[name] / self.reference_losses[name]
                self.rows[i, 1] = report.slopes[name]
            self.rows[i, 2] = (step - self.last_seen[name]) / self.total_steps
        self.rows[:, 3] = weights
        self.context |= report.signals
        self.context |= {
            "progress": step / self.total_steps,
            "learning_rate": learning_rate,
            "teacher_age": (step - self.last_seen["teacher"]) / self.total_steps,
            "grad_norm": math.log1p(report.grad_norm),
        }

    def add_reward(self, reward: float, reward_loss: float) -> None:
        """Include a measured reward, in units of `reward_unit`, and the loss on the reward split after it."""
        self.context |= {
            "last_reward": reward,
            "reward_loss": reward_loss / self.uninformed_loss,
        }

    def state(self) -> dict[str, Any]:
        """Return everything that observations are made of, for JSON."""
        return {"rows": self.rows.tolist(), "context": dict(self.context), "last_seen": dict(self.last_seen)}

    def restore(self, state: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        self.rows = np.array(state["rows"], dtype=np.float32)
        self.context, self.last_seen = dict(state["context"]), dict(state["last_seen"])

    def observation(self) -> dict[str, NDArray[np.float32]]:
        """Return `context [c]` and `knowledge [k, f]`."""
        signals = np.array([self.context[name] for name in CONTEXT], dtype=np.float32)
        context = np.concatenate([signals, self.facts])
        knowledge = np.concatenate([self.rows, self.codes], axis=1)
        return {
            "context": np.clip(context, -LIMIT, LIMIT),
            "knowledge": np.clip(knowledge, -LIMIT, LIMIT).astype(np.float32),
        }
