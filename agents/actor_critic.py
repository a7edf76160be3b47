"""The learning agent of hard selections."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional as F

from kselect.agents.agent import Observation
from kselect.agents.critic import RidgeCritic, gae
from kselect.agents.exploration import CountBonus
from kselect.agents.learner import Learner, observation_tensors, single_thread
from kselect.agents.networks import RowNetwork
from kselect.agents.validation import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range


class ActorCritic(Learner):
    """Stochastic actor-critic: a coin for every knowledge, to take it or leave it, from one shared network.

    An episode of distillation has tens of decisions and a noisy reward, so a decision must be learned from
    more than once. The actor therefore ascends the natural gradient, which has a form that may reuse old
    decisions: the regression of the advantage on `action - probability`, the compatible features of a coin
    (Sutton et al. 2000, "Policy gradient methods for reinforcement learning with function approximation",
    theorem 2; Peters and Schaal 2008, "Natural actor-critic"). With p_i the probability that row i once had,

        loss = mean_t (A_t - sum_i D_i(s_t) (a_ti - p_ti))^2 + ridge * mean D^2,
        log-odds_i(s) = start + D_i(s) / entropy

    where A is GAE, standardised, so that neither the size of the rewards nor a common offset matters. D is
    what taking a knowledge is worth over leaving it; all rows are fitted at once, so one is not blamed for
    another. The second line is the coin that maximises D plus `entropy` times its negative KL to the starting
    coin: an entropy bonus.

    The policy starts at `initial_probability`: above a half, because an undecided knowledge had better be
    used (that is the baseline `all`), and near a half, where a coin tells most; where nothing can be learned
    it stays there.
    """

    actions: ClassVar[tuple[str, ...]] = ("hard",)
    ranges: ClassVar[dict[str, Range]] = {
        **Learner.ranges,
        "lam": SHARE,
        "epochs": COUNT,
        "entropy": POSITIVE,
        "ridge": NOT_NEGATIVE,
        "jitter": NOT_NEGATIVE,
        "initial_probability": Range(0.01, 0.99),
    }

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        seed: int = 0,
        learning_rate: float = 0.01,
        gamma: float = 1.0,
        lam: float = 0.5,
        epochs: int = 10,
        entropy: float = 0.3,
        ridge: float = 0.05,
        jitter: float = 0.3,
        exploration: float = 0.1,
        initial_probability: float = 0.65,
        update_every: int | None = 8,
        memory: int = 128,
        hidden: int = 32,
    ) -> None:
        self.learning_rate = learning_rate
        self.gamma = gamma
        self.lam = lam
        self.epochs = epochs
        self.entropy = entropy
        self.ridge = ridge
        self.jitter = jitter
        self.exploration = exploration
        self.initial_probability = initial_probability
        self.update_every = update_every
        self.memory = memory
        self.hidden = hidden
        super().__init__(observation_space, action_space, CountBonus(), seed=seed)
        self.start = float(np.log(initial_probability / (1.0 - initial_probability)))
        sizes = (self.context_size, self.features)
        self.policy = RowNetwork(*sizes, hidden=hidden, pool=False, generator=self.generator, start=self.start)
        self.critic = RidgeCritic(*sizes)
        self.modules = {"policy": self.policy}
        self.optimizers = {"policy": torch.optim.Adam(self.policy.parameters(), lr=learning_rate, fused=True)}

    def act(self, observation: Observation, *, explore: bool = False) -> np.ndarray:
        """Return int8 `[k]`: the policy's coins if `explore`, else whatever has more than a half."""
        self._check(observation)
        self.preference = self._probability(observation)
        threshold = self.rng.random(self.rows) if explore else 0.5
        return (self.preference > threshold).astype(np.int8)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what every learner has, and the critic."""
        arrays, facts = super().state()
        return arrays | {f"critic.{name}": array for name, array in self.critic.arrays.items()}, facts

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        super().restore(arrays, facts)
        self.critic.arrays = {name: arrays[f"critic.{name}"] for name in self.critic.arrays}

    def _probability(self, observation: Observation) -> np.ndarray:
        with single_thread(), torch.inference_mode():
            return torch.sigmoid(self.policy(*observation_tensors(observation))[0]).numpy()

    def _extra(self, observation: Observation, action: np.ndarray) -> dict[str, Any]:
        """Return each row's probability; the policy is still the one that acted."""
        return {"probability": self._probability(observation)}

    def _learn(self) -> dict[str, float]:
        fields = self.decisions.read_by_stream()
        bonus = self.exploration * self.scale.value * fields["bonus"]
        advantages, returns = self._judge(fields, fields["reward"] + bonus)
        standard = (advantages - advantages.mean()) / (advantages.std() + 1e-6 * self.scale.value)
        target = torch.from_numpy(standard.clip(-3.0, 3.0).astype(np.float32))
        surprise = torch.from_numpy(fields["action"] - fields["probability"])
        context, knowledge = torch.from_numpy(fields["context"]), torch.from_numpy(fields["knowledge"])
        for _ in range(self.epochs):
            logits = self.policy(self._jittered(context), self._jittered(knowledge))
            worth = self.entropy * (logits - self.start)
            loss = F.mse_loss((worth * surprise).sum(-1), target)
            self.optimizers["policy"].zero_grad()
            (loss + self.ridge * worth.square().mean()).backward()
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
            self.optimizers["policy"].step()
        logits = logits.detach()
        return {
            "policy_loss": float(loss.detach()),
            "value_loss": float(np.square(advantages).mean()),
            "explained_variance": float(1.0 - advantages.var() / (returns.var() + 1e-12)),
            "entropy": float((F.softplus(logits) - torch.sigmoid(logits) * logits).mean()),
            "probability": float(torch.sigmoid(logits).mean()),
            "reward_scale": self.scale.value,
            "exploration_reward": float(bonus.mean()),
        }

    def _judge(self, fields: dict[str, np.ndarray], rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fit the critic; return advantages and returns `[n]`."""
        now, later = (
            (fields["context"], fields["knowledge"]),
            (fields["next_context"], fields["next_knowledge"]),
        )
        terminated = fields["terminated"] > 0
        ends = np.append((fields["starts"][1:] > 0) | (np.diff(fields["stream"]) != 0), True)
        # The returns rest on the values that are fitted to them; a few rounds settle both.
        for _ in range(3):
            values, next_values = self.critic.value(*now), self.critic.value(*later)
            advantages = gae(rewards, values, next_values, terminated, ends, gamma=self.gamma, lam=self.lam)
            self.critic.fit(*now, advantages + values)
        values, next_values = self.critic.value(*now), self.critic.value(*later)
        advantages = gae(rewards, values, next_values, terminated, ends, gamma=self.gamma, lam=self.lam)
        return advantages, advantages + values

    def _jittered(self, tensor: Tensor) -> Tensor:
        """Add noise, new in every epoch, lest a network tell decisions apart by their digits."""
        noise = self.rng.standard_normal(tensor.shape, dtype=np.float32)
        return tensor + self.jitter * torch.from_numpy(noise)
