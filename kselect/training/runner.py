"""The training loop: episodes of one or several environments under one agent, which can be stopped and resumed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList
from numpy.typing import NDArray
from torch import Tensor

from kselect.agents.agent import Agent
from kselect.distillation.callback import DistillerCallback
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.facts import Facts
from kselect.distillation.snapshot import Snapshot
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError, check_type
from kselect.runs.checkpoint import Checkpoint
from kselect.training.callback_handler import CallbackHandler
from kselect.training.compatibility import check_losses, check_same_names, check_same_spaces
from kselect.training.decisions import advantage, describe_decision
from kselect.training.episode import Episode, FunctionCallback, OnEpisode, OnPhase, Record
from kselect.training.round import Costs, Decisions, Outcome, Round
from kselect.training.vector import Env, VectorEnv, as_vector, local_envs, observation_of, to_plain
from kselect.training.workers import worker_errors

ENVIRONMENT = "a DistillationEnv, or a wrapper of one"


class EpisodeRunner:
    """Runs episodes under one agent: act, step, observe and update, until all are done.

    Environments are the ones of a Gymnasium vector, which run one episode each per round, or plain ones, which take
    turns. Every environment has the attributes of `DistillationEnv` that are read here. The agent receives rewards in
    units of its task's `reward_unit`, so that no task outweighs another; records and totals stay in nats.

    A single environment in this process can be saved after every phase and resumed bit by bit. Several of a vector
    resume from the end of the last round. An environment of a vector whose episode is over before the round is goes on
    unseen by the agent; its rewards and costs do not count.
    """

    def __init__(
        self,
        agent: Agent,
        envs: Sequence[Env] | VectorEnv,
        count: int = 1,
        *,
        seeds: Sequence[int | None],
        learning: bool,
        callbacks: Iterable[DistillerCallback] = (),
    ) -> None:
        """Plan the episodes.

        Args:
            agent: Selects the knowledge.
            envs: Environments that take turns, each a `DistillationEnv` or a wrapper of one; or a vector of them, with
                autoreset_mode NEXT_STEP.
            count: Number of episodes in all.
            seeds: Of each environment's first episode (order of the data, dropout); the next are drawn from it. None is
                the environment's next.
            learning: Whether the agent explores and learns.
            callbacks: See `DistillerCallback`.

        Raises:
            KselectError: Environments that differ in their knowledge or their spaces, a vector with another
                autoreset_mode, or a number of episodes that does not fill its rounds.
        """
        check_type("agent", agent, Agent, "an Agent, such as `make_agent` and `load_agent` return")
        if isinstance(envs, VectorEnv):
            if envs.metadata["autoreset_mode"] != AutoresetMode.NEXT_STEP:
                raise KselectError("The vector of environments needs autoreset_mode NEXT_STEP.", setting="env")
            self.vectors: Sequence[VectorEnv] = [envs]
        else:
            for env in envs:
                check_type("env", env, gymnasium.Env, ENVIRONMENT)
            check_same_spaces(envs)
            self.vectors = [as_vector(env) for env in envs]
        self.size = self.vectors[0].num_envs
        if count % self.size:
            raise KselectError(
                f"{count} episodes cannot be divided among {self.size} environments: give a multiple of {self.size}.",
                setting="episodes",
            )
        check_same_names([names for vector in self.vectors for names in vector.get_attr("names")])
        for vector in self.vectors:
            vector.call("decide_at", agent.boundaries)
        self.agent = agent
        self.count = count
        self.seeds = seeds
        self.learning = learning
        self._callbacks = CallbackHandler(callbacks)
        self.episodes: list[Episode] = []
        self._initial_losses = self._read_initial_losses()
        self.saved_steps = 0
        self._round: Round | None = None
        self._agent_state = copy.deepcopy(agent.state())  # at the end of the last round
        self._earlier: Sequence[Costs] = [{}] * self.size  # what attempts at this round have cost that were stopped

    @property
    def vector(self) -> VectorEnv:
        """The environments whose turn it is."""
        return self.vectors[self._turn(len(self.episodes) // self.size)]

    @property
    def distillers(self) -> list[Distiller]:
        """The distillers of this process; none where environments run in others."""
        return [env.distiller for vector in self.vectors for env in local_envs(vector)]

    @property
    def facts(self) -> dict[str, Facts]:
        """The facts of each task's run, where they were measured."""
        found = {
            task: facts
            for vector in self.vectors
            for task, facts in zip(vector.get_attr("task_name"), vector.get_attr("facts"), strict=True)
        }
        return {task: facts for task, facts in found.items() if facts is not None}

    @property
    def total_steps(self) -> int:
        """Training steps of all episodes."""
        steps = [sum(vector.get_attr("total_steps")) for vector in self.vectors]
        return sum(steps[self._turn(index)] for index in range(self.count // self.size))

    @property
    def records(self) -> list[Record]:
        """The records of the phases that `snapshot` holds."""
        histories = [episode.history for episode in self.episodes]
        if self._round is not None and self._resumable is not None:
            histories += self._round.histories
        return [record for history in histories for record in history]

    @property
    def snapshot_steps(self) -> int:
        """Training steps that `snapshot` holds."""
        return sum(record["steps"] for record in self.records)

    @property
    def spent(self) -> dict[str, float]:
        """Seconds by part of the episodes under way, without `other`."""
        costs = [{}] if self._round is None else self._round.costs
        return {part: sum(cost[part] for cost in costs) for part in costs[0] if part != "other"}

    def run(self, on_phase: OnPhase | None = None, on_episode: OnEpisode | None = None) -> list[Episode]:
        """Run the episodes that are left and return all of them; see `learn` for the arguments."""
        with self._callbacks.attached(self.distillers, FunctionCallback(on_phase, on_episode)):
            self._callbacks.call("on_train_begin")
            while len(self.episodes) < self.count:
                current = self.begin_round() if self._round is None else self._round
                while not (all(current.is_over) or self._callbacks.control.should_training_stop):
                    actions = self.begin_phase()
                    with worker_errors():
                        outcome = Outcome.of_step(DictInfoToList(self.vector).step(actions))
                    self.end_phase(outcome)
                self.end_round()
                if self._callbacks.control.should_training_stop:
                    break
            self._callbacks.call("on_train_end")
        return self.episodes

    def begin_round(self) -> Round:
        """Begin the next round: one episode of each environment of the vector whose turn it is."""
        self.agent.begin()
        with worker_errors():
            tasks = self.vector.get_attr("task_name")
        for number, task in enumerate(tasks, len(self.episodes)):
            self._callbacks.call("on_episode_begin", number, task)
        current = Round(self.vector, self._earlier)
        with worker_errors():
            current.observation, _ = self.vector.reset(seed=self._round_seeds())
        current.first = copy.deepcopy(current.observation)
        self._round = current
        return current

    def begin_phase(self) -> NDArray[Any]:
        """Have the agent decide on the next phase of each environment, and return its actions, `[n, ...]`.

        With `end_phase` it is the loop's body in two halves, for a training loop that takes the steps between them.
        """
        current = self._under_way
        observation = current.observation
        with worker_errors():
            names = self.vector.get_attr("names")
        current.active = active = [i for i, over in enumerate(current.is_over) if not over]
        actions = np.zeros(self.vector.action_space.shape or (), self.vector.action_space.dtype)
        slopes: list[NDArray[Any] | None] = [None] * self.size
        decisions: dict[int, Record] = {}
        for i in active:
            self._callbacks.call("on_phase_begin", len(self.episodes) + i, len(current.histories[i]))
        for i in active:
            seen, first = observation_of(observation, i), observation_of(current.first, i)
            with current.account.measure("deciding"):
                actions[i] = self.agent.act(seen, explore=self.learning)
            slopes[i] = self.agent.slope
            before = None if current.actions is None else current.actions[i]
            decisions[i] = describe_decision(self.agent, names[i], seen, first, actions[i], before)
        with worker_errors():
            self.vector.set_attr("slope", slopes)
        current.pending = Decisions(actions, decisions)
        return actions

    def end_phase(self, outcome: Outcome) -> None:
        """Have the agent learn from what its last decisions led to, where it learns, and record the phase."""
        current = self._under_way
        assert current.pending is not None
        actions, decisions = current.pending
        with worker_errors():
            tasks, units = map(self.vector.get_attr, ("task_name", "reward_unit"))
        statistics: dict[str, float] = {}
        for i in current.active:
            seen, after = observation_of(current.observation, i), observation_of(outcome.observation, i)
            reward, is_over = float(outcome.rewards[i]) / units[i], bool(outcome.terminated[i])
            if "value" in decisions[i]:
                decisions[i]["advantage"] = advantage(self.agent, decisions[i]["value"], reward, after, is_over)
            if self.learning:
                with current.account.measure("updating"):
                    self.agent.observe(seen, actions[i], reward, after, is_over, stream=i)
        if self.learning:
            with current.account.measure("updating"):
                statistics = self.agent.update()
        current.observation, current.actions, current.pending = outcome.observation, actions, None
        current.update_costs()
        for i in current.active:
            record = to_plain(outcome.infos[i]) | {"reward": float(outcome.rewards[i])} | decisions[i]
            if self.count > 1:
                record |= {"episode": len(self.episodes) + i, "task": tasks[i]}
            if self.learning:
                record["agent"] = statistics if i == current.active[-1] else {}
            current.histories[i].append(record)
            current.is_over[i] = bool(outcome.terminated[i])
        for i in current.active:
            self._callbacks.call("on_phase_end", current.histories[i][-1])

    def end_round(self) -> None:
        """End the round, and record its episodes: those that are not over are truncated."""
        current = self._under_way
        current.update_costs()
        with worker_errors():
            tasks = self.vector.get_attr("task_name")
            self.vector.call("settle_costs")
        ended = [
            Episode(tasks[i], sum(record["reward"] for record in history), dict(cost), history, truncated=not over)
            for i, (history, cost, over) in enumerate(
                zip(current.histories, current.costs, current.is_over, strict=True)
            )
        ]
        self.episodes += ended
        self._round, self._earlier = None, [{}] * self.size
        self._agent_state = copy.deepcopy(self.agent.state())
        for episode in ended:
            self._callbacks.call("on_episode_end", episode)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write `snapshot` to a checkpoint."""
        checkpoint.save(self.snapshot)
        self.saved_steps = self.snapshot_steps
        self._callbacks.call("on_save", checkpoint.path)

    def snapshot(self) -> Snapshot:
        """Return the state to resume from; under `run`, call it from `on_phase_end` only."""
        current, env = self._round, self._resumable
        learned, facts = self._agent_state
        extra: dict[str, Any] = {}
        tensors: dict[str, Tensor] = {}
        if current is not None and env is not None:
            run, (learned, facts) = env.distiller.snapshot(), self.agent.state()
            extra = {"run": run.facts, "env": env.state(), "history": current.histories[0], "over": current.is_over[0]}
            tensors = {f"run/{name}": tensor for name, tensor in run.tensors.items()}
            tensors |= {f"observation/{name}": torch.tensor(value) for name, value in current.observation.items()}
            tensors |= {f"first/{name}": torch.tensor(value) for name, value in current.first.items()}
            tensors |= {} if current.actions is None else {"actions/last": torch.tensor(current.actions)}
            if current.pending is not None:
                current.update_costs()  # of the part of the phase that is over
                tensors["actions/pending"] = torch.tensor(current.pending.actions)
                extra["pending"] = current.pending.facts[0]
        tensors |= {f"agent/{name}": torch.tensor(array) for name, array in learned.items()}
        of_callbacks, rest_of_callbacks = self._callbacks.state()
        tensors |= {f"callback/{name}": tensor for name, tensor in of_callbacks.items()}
        return Snapshot(
            tensors,
            {
                "agent": facts,
                "episodes": [asdict(episode) for episode in self.episodes],
                "initial_losses": self._initial_losses,
                "costs": [dict(cost) for cost in (self._earlier if current is None else current.costs)],
                "round": extra,
                "callbacks": rest_of_callbacks,
            },
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a `snapshot` of a runner that was made alike; costs add up over the attempts."""
        facts = snapshot.facts
        if "costs" not in facts or len(facts.get("callbacks", ())) != len(self._callbacks.given):
            raise KselectError("The checkpoint was written by another version of kselect: start over.", setting="fresh")
        check_losses(facts["initial_losses"], self._read_initial_losses())
        groups = snapshot.groups("run", "agent", "observation", "callback", "first", "actions")
        self.episodes = [Episode(**episode) for episode in facts["episodes"]]
        self.agent.restore({name: tensor.numpy() for name, tensor in groups["agent"].items()}, facts["agent"])
        self._agent_state = copy.deepcopy(self.agent.state())
        self._callbacks.restore(groups["callback"], facts["callbacks"])
        self._earlier = facts["costs"]
        self._round = None
        if facts["round"]:
            (env,) = local_envs(self.vector)
            shapes = {name: tuple(tensor.shape) for name, tensor in groups["observation"].items()}
            shown = cast(gymnasium.spaces.Dict, self.vector.observation_space)
            if shapes != {name: space.shape for name, space in shown.items()}:
                raise ValueError("its observation is not of this environment")
            env.distiller.restore(Snapshot(groups["run"], facts["round"]["run"]))
            env.restore(facts["round"]["env"])
            current = self._round = Round(self.vector, self._earlier)
            current.observation = {name: tensor.numpy() for name, tensor in groups["observation"].items()}
            current.first = {name: tensor.numpy() for name, tensor in groups["first"].items()}
            actions = {name: tensor.numpy() for name, tensor in groups["actions"].items()}
            current.actions = actions.get("last")
            if "pending" in actions:
                current.pending = Decisions(actions["pending"], {0: facts["round"]["pending"]})
            current.histories, current.is_over = [facts["round"]["history"]], [facts["round"]["over"]]
            current.update_costs()
        self.saved_steps = self.snapshot_steps

    def last_good(self) -> Snapshot | None:
        """Return the student's state from before its training diverged; None where it is in another process."""
        return None if self._resumable is None else self._resumable.distiller.snapshot()

    @property
    def _resumable(self) -> DistillationEnv | None:
        """The environment that can be saved after every phase: one that is alone in this process."""
        local = local_envs(self.vector) if self.size == 1 and len(self.episodes) < self.count else []
        return local[0] if local else None

    @property
    def _under_way(self) -> Round:
        assert self._round is not None, "no round is under way"
        return self._round

    def _read_initial_losses(self) -> list[dict[str, float]]:
        return [losses for vector in self.vectors for losses in vector.get_attr("initial_losses")]

    def _turn(self, index: int) -> int:
        return index % len(self.vectors)

    def _round_seeds(self) -> list[int | None]:
        """Return the seed of each environment in this round: its first, then those that it would draw from that."""
        rounds, offset = len(self.episodes) // self.size, self._turn(len(self.episodes) // self.size) * self.size
        later = rounds // len(self.vectors)
        seeds = self.seeds[offset : offset + self.size]
        draws = [
            [seed] if seed is None else [seed, *np_random(seed)[0].integers(2**31, size=later).tolist()]
            for seed in seeds
        ]
        return [drawn[min(later, len(drawn) - 1)] for drawn in draws]
