"""The learning agent for hard selections."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from kselect.agents.agent import Observation
from kselect.agents.critic import RidgeCritic, gae
from kselect.agents.exploration import CountBonus
from kselect.agents.learner import Learner, observation_tensors, single_thread
from kselect.agents.networks import RowNetwork
from kselect.agents.validation import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range


class ActorCritic(Learner):
    """Stochastic actor-critic: one Bernoulli variable per kind of knowledge, from a network shared over the rows.

    An episode of distillation has tens of decisions and a noisy reward, so each decision must be learned from more than
    once. The actor therefore follows the natural policy gradient, which has a form that can reuse old decisions: the
    regression of the advantage on `action - probability`, the compatible features of a Bernoulli policy (Sutton et al.
    2000, "Policy gradient methods for reinforcement learning with function approximation", theorem 2; Peters and Schaal
    2008, "Natural actor-critic"). With p_ti the probability of row i when decision t was taken,

        loss = mean_t (A_t - sum_i D_i(s_t) (a_ti - p_ti))^2 + ridge * mean D^2,
        log-odds_i(s) = start + D_i(s) / entropy

    where A is GAE, standardised, so that neither the size of the rewards nor a common offset matters. D_i is the gain
    of selecting row i over not selecting it; all rows are fitted jointly, so that no row is credited with another's
    effect. The second line maximises the expected D minus `entropy` times the KL divergence from the initial policy: an
    entropy bonus.

    The policy starts at `initial_probability`: above a half, because without evidence it is better to use a kind of
    knowledge (the baseline `all`), and near a half, where a sample is most informative.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment, hard.
        seed: Of the initial weights and the samples.
        learning_rate: Of the policy network (Adam).
        gamma: Discount; 1 because rewards add up to the gain of the whole run.
        lam: Lambda of GAE.
        epochs: Gradient steps on all remembered decisions per update.
        entropy: Factor of the KL divergence from the initial policy.
        ridge: Factor of the mean squared D.
        jitter: Standard deviation of noise on the inputs of the policy network while learning.
        exploration: Factor of the exploration reward, in units of the rewards' standard deviation.
        initial_probability: Every probability before anything is learned.
        update_every: Decisions between updates; None for the ends of episodes only.
        memory: Decisions to learn from.
        hidden: Width of the policy network.

    Raises:
        KselectError: a setting outside its range, or an environment with soft actions.
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

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Return int8 `[k]`: a sample if `explore`, else the rows with a probability above a half."""
        self._check(observation)
        self.preference = self._probability(observation)
        threshold = self.rng.random(self.rows) if explore else 0.5
        return (self.preference > threshold).astype(np.int8)

    def log_odds(self, *inputs: Tensor) -> Tensor:
        """Return the log-odds of every probability, `[n, k]`; see `Learner.log_odds`."""
        return self.policy(*inputs)

    def value(self, observation: Observation) -> float:
        """Return what the critic expects of the rest of the episode; see `Agent.value`."""
        self._check(observation)
        return float(self.critic.value(observation["context"][None], observation["knowledge"][None])[0])

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the state of every learner, and the critic; see `Agent.state`."""
        arrays, facts = super().state()
        return arrays | {f"critic.{name}": array for name, array in self.critic.arrays.items()}, facts

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        super().restore(arrays, facts)
        learned = {name: arrays[f"critic.{name}"] for name in self.critic.arrays}
        if any(array.shape != self.critic.arrays[name].shape for name, array in learned.items()):
            raise ValueError("the critic is one of other observations")
        self.critic.arrays = learned

    def _probability(self, observation: Observation) -> NDArray[Any]:
        with single_thread(), torch.inference_mode():
            return torch.sigmoid(self.policy(*observation_tensors(observation))[0]).numpy()

    def _extra(self, observation: Observation, action: NDArray[Any]) -> dict[str, Any]:
        """Return each row's probability under the policy, which has not changed since it acted."""
        return {"probability": self._probability(observation)}

    def _decision_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return those of every learner, and of `_extra`."""
        return {**super()._decision_shapes(), "probability": (self.rows,)}

    def _learn(self) -> dict[str, float]:
        fields = self.decisions.read_by_stream()
        bonus = self.exploration * self.scale.value * fields["bonus"]
        advantages, returns = self._advantages(fields, fields["reward"] + bonus)
        standard = (advantages - advantages.mean()) / (advantages.std() + 1e-6 * self.scale.value)
        target = torch.from_numpy(standard.clip(-3.0, 3.0).astype(np.float32))
        features = torch.from_numpy(fields["action"] - fields["probability"])
        context, knowledge = torch.from_numpy(fields["context"]), torch.from_numpy(fields["knowledge"])
        for _ in range(self.epochs):
            logits = self.policy(self._jittered(context), self._jittered(knowledge))
            gain = self.entropy * (logits - self.start)
            loss = F.mse_loss((gain * features).sum(-1), target)
            self.optimizers["policy"].zero_grad()
            (loss + self.ridge * gain.square().mean()).backward()
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

    def _advantages(self, fields: dict[str, NDArray[Any]], rewards: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Fit the critic and return advantages and returns, both `[n]`."""
        state = fields["context"], fields["knowledge"]
        next_state = fields["next_context"], fields["next_knowledge"]
        terminated = fields["terminated"] > 0
        ends = np.append((fields["starts"][1:] > 0) | (np.diff(fields["stream"]) != 0), True)
        # The returns depend on the values that are fitted to them: a few iterations make both converge.
        for _ in range(3):
            values, next_values = self.critic.value(*state), self.critic.value(*next_state)
            advantages = gae(rewards, values, next_values, terminated, ends, gamma=self.gamma, lam=self.lam)
            self.critic.fit(*state, advantages + values)
        values, next_values = self.critic.value(*state), self.critic.value(*next_state)
        advantages = gae(rewards, values, next_values, terminated, ends, gamma=self.gamma, lam=self.lam)
        return advantages, advantages + values

    def _jittered(self, tensor: Tensor) -> Tensor:
        """Add noise, drawn anew in every epoch, so that the network cannot memorise decisions by their exact inputs."""
        noise = self.rng.standard_normal(tensor.shape, dtype=np.float32)
        return tensor + self.jitter * torch.from_numpy(noise)
