"""Learning agents for soft selections: DDPG, on knowledge rows or on [CLS]."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from kselect.agents.agent import Observation
from kselect.agents.exploration import CountBonus, DissimilarityBonus
from kselect.agents.learner import Learner, observation_tensors, single_thread
from kselect.agents.networks import RowCritic, RowNetwork, TowerCritic, TowerNetwork
from kselect.agents.validation import COUNT, NOT_NEGATIVE, SHARE, Range
from kselect.errors import KselectError

THRESHOLD = 0.5


class DeterministicActorCritic(Learner):
    """The deterministic actor-critic of Wang et al. 2022 (arXiv 2302.00444), in the standard form of DDPG.

    The actor mu ascends Q(s, mu(s)). The critic Q regresses r + gamma Q'(s', mu'(s')) by squared error, with slowly
    updated copies Q' and mu' (Lillicrap et al. 2016, arXiv 1509.02971, algorithm 1), on a replay of the latest `memory`
    decisions. Both are 3-layer MLPs, shared over the rows. Rewards are divided by their standard deviation. The loss of
    the actor includes `anchor` times the KL divergence of its weights, as Bernoulli probabilities, from
    `initial_weight`; without it, an early error of Q drives the sigmoid into saturation, where it has no gradient.

    A subclass may read other entries of an observation (`observation_keys`) with other networks (`_networks`).

    Args:
        observation_space: Of the environment.
        action_space: Of the environment, soft.
        seed: Of the initial weights, the noise and the replay.
        learning_rate: Of actor and critic (Adam).
        gamma: Discount; 1 because rewards add up to the gain of the whole run.
        noise: Standard deviation of the Gaussian noise on weights while exploring.
        target_rate: Share by which the slow copies approach the networks at each gradient step.
        anchor: Factor of the actor's KL divergence from `initial_weight`.
        exploration: Factor of the exploration reward, in units of the rewards' standard deviation.
        initial_weight: Every weight before anything is learned.
        hard: Whether to threshold weights to 0 or 1 at 0.5, with the count-based exploration reward.
        update_every: Decisions between updates; None for the ends of episodes only.
        gradient_steps: Gradient steps per update.
        batch_size: Decisions per gradient step.
        warmup: Decisions before the first update.
        memory: Decisions to replay.
        hidden: Width of the networks.

    Raises:
        KselectError: a setting outside its range, or an environment with hard actions.
    """

    actions: ClassVar[tuple[str, ...]] = ("soft",)
    ranges: ClassVar[dict[str, Range]] = {
        **Learner.ranges,
        "anchor": NOT_NEGATIVE,
        "noise": NOT_NEGATIVE,
        "target_rate": SHARE,
        "batch_size": COUNT,
        "gradient_steps": COUNT,
        "warmup": COUNT,
        "initial_weight": Range(0.01, 0.99),
    }

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        seed: int = 0,
        learning_rate: float = 2e-3,
        gamma: float = 1.0,
        noise: float = 0.3,
        target_rate: float = 0.02,
        anchor: float = 0.3,
        exploration: float = 0.1,
        initial_weight: float = 0.5,
        hard: bool = False,
        update_every: int | None = 1,
        gradient_steps: int = 4,
        batch_size: int = 64,
        warmup: int = 8,
        memory: int = 1000,
        hidden: int = 32,
    ) -> None:
        self.anchor = anchor
        self.learning_rate = learning_rate
        self.gamma = gamma
        self.noise = noise
        self.target_rate = target_rate
        self.exploration = exploration
        self.initial_weight = initial_weight
        self.hard = hard
        self.update_every = update_every
        self.gradient_steps = gradient_steps
        self.batch_size = batch_size
        self.warmup = warmup
        self.memory = memory
        self.hidden = hidden
        if not isinstance(hard, bool):
            raise KselectError(f"hard is {hard!r}: give true or false.")
        super().__init__(observation_space, action_space, CountBonus() if hard else DissimilarityBonus(), seed=seed)
        self.start = float(np.log(initial_weight / (1.0 - initial_weight)))
        self.actor, self.critic = self._networks()
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.modules = {
            "actor": self.actor,
            "critic": self.critic,
            "target_actor": self.target_actor,
            "target_critic": self.target_critic,
        }
        self.optimizers = {
            "actor": torch.optim.Adam(self.actor.parameters(), lr=learning_rate, fused=True),
            "critic": torch.optim.Adam(self.critic.parameters(), lr=learning_rate, fused=True),
        }

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        """Return the actor, with logits `[n, k]`, and the critic, with Q `[n]` of an observation and an action."""
        context, features, hidden = self.context_size, self.features, self.hidden
        actor = RowNetwork(context, features, hidden=hidden, pool=False, generator=self.generator, start=self.start)
        return actor, RowCritic(context, features, hidden=hidden, generator=self.generator)

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Return float32 `[k]`: the actor's weights, with noise if `explore`, clipped to [0, 1]."""
        self._check(observation)
        with single_thread(), torch.inference_mode():
            logits = self.actor(*observation_tensors(observation, self.observation_keys))[0]
            self.preference = torch.sigmoid(logits).numpy()
        weights = self.preference
        if explore:
            weights = weights + self.noise * self.rng.standard_normal(self.rows)
        return (weights > THRESHOLD if self.hard else weights.clip(0.0, 1.0)).astype(np.float32)

    def log_odds(self, *inputs: Tensor) -> Tensor:
        """Return the log-odds of every weight, `[n, k]`; see `Learner.log_odds`."""
        return self.actor(*inputs)

    def value(self, observation: Observation) -> float:
        """Return what the critic expects of the rest of the episode under the actor's weights; see `Agent.value`."""
        self._check(observation)
        with single_thread(), torch.inference_mode():
            state = observation_tensors(observation, self.observation_keys)
            weights = torch.sigmoid(self.actor(*state))
            value = self.critic(*state, (weights > THRESHOLD).float() if self.hard else weights)
        return float(value) * self.scale.value  # it learns from rewards over their standard deviation

    def _learn(self) -> dict[str, float]:
        if len(self.decisions) < self.warmup:
            return {}
        for _ in range(self.gradient_steps):
            statistics = self._gradient_step()
        return {name: float(value) for name, value in statistics.items()} | {
            "reward_scale": self.scale.value,
        }

    def _gradient_step(self) -> dict[str, Tensor]:
        """Update critic, actor and their slow copies once; return statistics."""
        indices = self.rng.integers(len(self.decisions), size=self.batch_size)
        batch = {name: torch.from_numpy(array) for name, array in self.decisions.read(indices).items()}
        state = [batch[key] for key in self.observation_keys]
        with torch.no_grad():
            later = [batch[f"next_{key}"] for key in self.observation_keys]
            action = torch.sigmoid(self.target_actor(*later))
            following = self.target_critic(*later, (action > THRESHOLD).float() if self.hard else action)
            bonus = self.exploration * self.scale.value * batch["bonus"]
            rewards = (batch["reward"] + bonus) / self.scale.value
            target = rewards + self.gamma * (1 - batch["terminated"]) * following
        value_loss = F.mse_loss(self.critic(*state, batch["action"]), target)
        _step(self.optimizers["critic"], value_loss, self.critic)
        logits = self.actor(*state)
        weights = torch.sigmoid(logits)
        policy_loss = -self.critic(*state, weights).mean()
        divergence = _divergence(logits, self.start).mean()
        _step(self.optimizers["actor"], policy_loss + self.anchor * divergence, self.actor)
        with torch.no_grad():
            for slow, fast in ((self.target_actor, self.actor), (self.target_critic, self.critic)):
                for old, new in zip(slow.parameters(), fast.parameters(), strict=True):
                    old.lerp_(new, self.target_rate)
        return {
            "policy_loss": policy_loss.detach(),
            "value_loss": value_loss.detach(),
            "divergence": divergence.detach(),
            "weight": weights.detach().mean(),
            "exploration_reward": bonus.mean(),
        }


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, module: nn.Module) -> None:
    """Take a gradient step on one network's parameters only, with the gradient clipped to norm 1."""
    parameters = list(module.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


def _divergence(logits: Tensor, start: float) -> Tensor:
    """Return the KL divergence, in nats, of Bernoulli variables with these log-odds from one with log-odds `start`."""
    origin = torch.tensor(start)
    return torch.sigmoid(logits) * (logits - origin) - F.softplus(logits) + F.softplus(origin)


class TowerActorCritic(DeterministicActorCritic):
    """The agent of Wang et al. 2022 (arXiv 2302.00444) with the paper's state.

    The state is the mean [CLS] of the student's last layer, `student_cls [D_s]`, and of the teacher's,
    `teacher_cls [D_t]`. Each passes through its own 2-layer MLP (a tower); the concatenated outputs are the input of
    actor and critic, which are 3-layer MLPs. Their widths depend on both models and on the knowledge on offer, so a
    policy works with these only. The paper's summary names this form without sizes or activations, which are chosen
    here; the agent learns as `DeterministicActorCritic` does, and has the same arguments.
    """

    observation_keys: tuple[str, ...] = ("student_cls", "teacher_cls")
    transferable: ClassVar[bool] = False

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        """Make the actor, from both [CLS] to logits `[n, k]`, and the critic, from them and an action to Q `[n]`."""
        widths = [self.shapes[key][0] for key in self.observation_keys]
        actor = TowerNetwork(widths, self.rows, hidden=self.hidden, generator=self.generator, start=self.start)
        return actor, TowerCritic(widths, self.rows, hidden=self.hidden, generator=self.generator)
