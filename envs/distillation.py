"""A distillation run as a Gymnasium episode."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.config import PhaseConfig
from kselect.distillation.callback import DistillerCallback, check_callbacks
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.facts import Facts
from kselect.distillation.facts.measure import measure_facts
from kselect.distillation.phase_report import PhaseReport
from kselect.distillation.reward import RewardMeter, default_measure
from kselect.distillation.snapshot import Snapshot
from kselect.distillation.weighting import selection_weights
from kselect.envs.actions import Actions, action_space, moving_selection, selection_of
from kselect.envs.info import complete_info
from kselect.envs.observation import LIMIT, Observer, observation_space
from kselect.envs.phases import SCHEDULERS
from kselect.envs.registration import METADATA
from kselect.envs.rendering import heat_map_image, heat_map_text
from kselect.errors import KselectError, check_type, unknown

Observation = dict[str, NDArray[np.float32]]

CLS = ("student_cls", "teacher_cls")


@dataclass(frozen=True)
class EnvState:
    """A moment of a run, see `DistillationEnv.clone_state`.

    Attributes:
        run: the distiller's part of it.
        env: the environment's part.
    """

    run: Snapshot
    env: dict[str, Any]


class DistillationEnv(gymnasium.Env[Observation, NDArray[Any]]):
    """The whole training of one student; each step of the environment is a phase of training steps under one selection.

    ## Description
    A student is distilled from a teacher that offers k kinds of knowledge. At each decision the agent weights them; the
    student then takes the training steps of one phase under that selection (Wang et al., Findings of EMNLP 2022). A
    scheduler decides how long phases are and when rewards are measured.

    ## Action Space
    `MultiBinary(k)` with hard actions, `Box(0, 1, (k,), float32)` with soft ones: one weight for each kind of
    knowledge, in the order of `distiller.names`; or, for at most 6 of them, `Discrete(2^k - 1)`, where action a selects
    the kinds whose bits are set in a + 1. Weights are normalised to sum to 1. All zeros mean gold labels
    or, where these are not on offer, equal weights. Weights hold for the whole phase, unless `slope` is set. Where the
    task has further texts without labels, the last rows, `transfer` and `augmented`, are not part of the sum: each says
    how often batches are drawn from its texts (`kselect.distillation.source_sampler`), 1 meaning that each is read as
    often as a labelled one.

    ## Observation Space
    `Dict` of two `Box` spaces. All values are independent of the scale of task and losses, and clipped to [-5, 5]:

    * `context`, `(c,)`: share of the run that is over; learning rate relative to its peak; confidence, entropy (over
      log K) and accuracy of the student, confidence and entropy of the teacher, and their agreement, as means over the
      last phase's batches; share of the run since the teacher was last read; loss on the reward split and last reward
      (over log K); log(1 + gradient norm); 1 for a regression, which has no confidence, entropy, accuracy and agreement
      (they are 0), and whose loss is relative to the variance of the labels.
    * `knowledge`, `(k, f)`: a row for each kind: its loss relative to the start of the run, the slope of that loss
      within the last phase, the share of the run since it was last measured, its last weight, and a fixed code of its
      name.

    With `observe_cls` also `student_cls`, `(D_s,)`, and `teacher_cls`, `(D_t,)`: the mean [CLS] of each model's last
    layer over 32 training examples, the same at each decision, without dropout. They are clipped, but not rescaled.

    With `phases.observe_facts`, facts of the run follow in `context`, in the order of `FACTS`, and facts of each kind
    in its row of `knowledge`, in the order of `KIND_FACTS`. They are measured once, before the first step, and stay the
    same. See `kselect.distillation.facts.facts.Facts` for their meaning and scale. A fact that is not defined is 0, and
    so is the indicator in front of it:

    * Of the run: 1 if the next two are known, score of the first teacher less that of the initial student on the reward
      split (over 0.2), its standard error (over 0.05); the same three for a linear model of the student's hidden states
      in place of the student; indicator, share of train's labels that are not the teacher's; indicator, calibration
      error and overconfidence of the teacher on the reward split (over 0.2), its entropy there (over log K); numbers of
      labelled and of unlabelled examples, classes, steps and epochs, as logarithms; share of the student's parameters
      that are new, 1 if any is; 1 if there is a teacher, depth and width of the student relative to it; 1 for a
      regression; 1 where words are labelled.
    * Of a kind: whether it reads labels, reads the teacher, has a gradient on the student's head, and is projected;
      index of its teacher.

    ## Rewards
    The decrease of the student's cross-entropy, in nats, or in a regression of its squared error, on a reward split
    held out of train; with other settings in `phases`, the decrease after calibration, or the gain in the task's
    metric. The gain of phases whose reward is not measured is part of the next measured reward, so the rewards of an
    episode add up to the whole gain. Dividing by `reward_unit`, the loss of a prediction that ignores the input (1 for
    a metric), makes rewards of different tasks comparable. Every measured reward comes with a standard error.

    ## Starting State
    The student with its initial weights, before its first training step. `reset(seed=)` fixes the order of the data and
    dropout; nothing else is random.

    ## Episode End
    The episode terminates with the last training step. It is never truncated.

    ## Rendering
    `render()` shows the selection so far as a heat map of kinds of knowledge by phase: with `render_mode="ansi"` a
    string, with a line per kind and a shade per phase; with `"rgb_array"` an image `[44 k + 80, 640, 3]` of uint8, with
    a labelled band per kind, in which the width of a phase is its share of the run.

    ## Arguments
    * `distiller`: the run, see `kselect.Distiller`. `gymnasium.make` takes its plain settings instead: see
      `kselect.envs.registration.make_distillation_env`.
    * `actions`: `"hard"`, `"soft"` or `"discrete"`.
    * `phases`: a `PhaseConfig`.
    * `measure_rewards`: False saves the cost of rewards, which are then 0, where no agent learns from them.
    * `observe_cls`: include [CLS], for a forward pass of the student on 32 examples at each decision.
    * `callbacks`: added to those of `distiller`, see `kselect.distillation.callback.DistillerCallback`.
    * `render_mode`: `"ansi"`, `"rgb_array"` or None.
    * `complete_info`: give every info the same keys, from `reset` on, with NaN for what was not measured, as data sets
      of episodes with infos need it. By default an info lacks what was not measured.

    ## Version History
    * v0: initial version.
    """

    metadata = METADATA

    slope: NDArray[Any] | None = None
    """`[k]`: how fast the weights move from the action during a phase, step by step, as the change over a whole run;
    None where they are constant. To be set before `step`, as `Agent.slope` is after `act`."""
    facts: Facts | None = None
    """Facts of the run; None where they are not observed, or before the first `reset`."""

    def __init__(
        self,
        distiller: Distiller,
        actions: Actions = "hard",
        phases: PhaseConfig | None = None,
        measure_rewards: bool = True,
        observe_cls: bool = False,
        callbacks: Iterable[DistillerCallback] = (),
        render_mode: Literal["ansi", "rgb_array"] | None = None,
        complete_info: bool = False,
    ) -> None:
        check_type("distiller", distiller, Distiller, "a Distiller")
        space = action_space(actions, len(distiller.names))
        self.action_space = cast(spaces.Space[NDArray[Any]], space)
        if render_mode is not None and render_mode not in METADATA["render_modes"]:
            raise unknown("render_mode", render_mode, METADATA["render_modes"])
        if observe_cls and not distiller.teachers:
            raise KselectError(
                "observe_cls shows the teacher's [CLS], and there is no teacher: give one, or leave it out."
            )
        self.render_mode = render_mode
        self.complete_info = complete_info
        self.selections: list[tuple[int, list[float]]] = []
        self.distiller = distiller
        distiller.callbacks.extend(check_callbacks(callbacks))
        self.actions = actions
        self.phases = phases or PhaseConfig()
        self.measure_rewards = measure_rewards
        self.scheduler = SCHEDULERS[self.phases.phases](self.phases, distiller.total_steps)
        self.reward_examples = self.scheduler.reward_examples(distiller.training.batch_size)
        self.observer = Observer(distiller.names, distiller.reference_losses, distiller.total_steps, distiller.task)
        self.observe_cls = observe_cls
        models = dict(zip(CLS, (distiller.student, *distiller.teachers), strict=False)) if observe_cls else {}
        cls_sizes = {key: model.width for key, model in models.items()}
        observed = observation_space(len(distiller.names), cls_sizes, self.phases.observe_facts)
        self.observation_space = cast(spaces.Space[Observation], observed)
        measure = self.phases.reward or default_measure(distiller.student.head.name)
        self.meter = RewardMeter(distiller, measure, self.reward_examples)
        self.reward_unit = self.meter.size

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a run with the student's initial weights; without a seed, one is drawn from the last seed given."""
        super().reset(seed=seed)
        self.distiller.reset(int(self.np_random.integers(2**31)) if seed is None else seed)
        self.scheduler.restart()
        self.selections = []
        if self.measure_rewards:
            self.meter.restart()
        if self.phases.observe_facts and self.facts is None:
            self._show(measure_facts(self.distiller))
        self.observer.restart(self._relative_learning_rate(), self.meter.loss)
        return self._observation(), self._info({})

    def step(self, action: NDArray[Any]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take the training steps of one phase under a selection.

        Args:
            action: `[k]`, the weight of each kind of knowledge, or the number of a selection.

        Returns:
            Observation, reward, terminated, truncated (always False) and info: the number of the `phase`, its `steps`,
            the training steps so far (`step`) and in all (`total_steps`), the normalised `weights` by knowledge,
            `losses`, the same relative to the start of the run (`relative_losses`) and `signals`, all means over the
            phase, and where a reward was measured the facts that `RewardMeter.reward` returns.

        Raises:
            TrainingDivergedError: a loss was not finite; the student is in its last good state.
        """
        selection, steps = self.begin_phase(action)
        return self.end_phase(selection, self.distiller.advance(selection, steps))

    def begin_phase(self, action: NDArray[Any]) -> tuple[NDArray[np.float32], int]:
        """Begin a phase, whose training steps are up to the caller: the first half of `step`.

        Returns:
            The selection, `[k]`, or `[steps, k]` where it moves from step to step, and the number of training steps.
        """
        selection = selection_of(action, len(self.names), self.actions)
        left = self.total_steps - self.distiller.step
        steps = min(self.scheduler.start_phase(selection, self.distiller.step), left)
        if self.slope is not None:
            selection = moving_selection(selection, self.slope, steps, self.total_steps)
        return selection, steps

    def end_phase(
        self, selection: NDArray[np.float32], report: PhaseReport
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """End the phase of `begin_phase`, whose training steps were taken: the second half of `step`, see there.

        Args:
            selection: what `begin_phase` returned.
            report: statistics of the training steps.
        """
        every = np.atleast_2d(selection_weights(selection, self.distiller.names))
        weights = every[: max(1, report.steps)].mean(axis=0)  # of the steps that were taken, where weights move
        self.selections.append((report.steps, weights.tolist()))
        self.observer.add_phase(report, weights, self._relative_learning_rate())
        terminated = self.distiller.step == self.distiller.total_steps
        info: dict[str, Any] = {
            "phase": self.scheduler.phase,
            "steps": report.steps,
            "weights": {
                name: round(float(weight), 6) for name, weight in zip(self.distiller.names, weights, strict=True)
            },
            "losses": report.losses,
            "relative_losses": {
                name: loss / self.distiller.reference_losses[name] for name, loss in report.losses.items()
            },
            "signals": report.signals,
        }
        reward = 0.0
        if self.scheduler.finish_phase(terminated) and self.measure_rewards:
            reward, facts = self.meter.reward()
            self.observer.add_reward(reward / self.reward_unit, self.meter.loss)
            info |= facts
        return self._observation(), reward, terminated, False, self._info(info)

    def decide_at(self, shares: Sequence[float]) -> None:
        """Let phases end at these shares of a run, too, so that the agent decides there."""
        self.scheduler.decide_at(shares)

    def render(self) -> Any:
        """Return the selection so far as a heat map, see "Rendering" above; None without a `render_mode`."""
        if self.render_mode == "ansi":
            return heat_map_text(self.names, self.selections, self.total_steps)
        if self.render_mode == "rgb_array":
            return heat_map_image(self.names, self.selections, self.total_steps)
        return None

    def _info(self, of_phase: dict[str, Any]) -> dict[str, Any]:
        found = {"step": self.distiller.step, "total_steps": self.total_steps, **of_phase}
        return complete_info(found, self.names, self.distiller.kinds, self.meter) if self.complete_info else found

    def _observation(self) -> Observation:
        observation = self.observer.observation()
        if self.observe_cls:
            observation |= {key: np.clip(state, -LIMIT, LIMIT) for key, state in self.distiller.mean_cls().items()}
        return observation

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kinds of knowledge on offer, in the order of an action."""
        return self.distiller.names

    @property
    def initial_losses(self) -> dict[str, float]:
        """Loss of each kind of knowledge before the first step, by which a run is compared with its checkpoint."""
        return self.distiller.initial_losses

    @property
    def total_steps(self) -> int:
        """Training steps of an episode."""
        return self.distiller.total_steps

    @property
    def task_name(self) -> str:
        """Name of the task."""
        return self.distiller.task.name

    def spent(self) -> dict[str, float]:
        """Return the seconds spent on each part of the run so far, see `kselect.distillation.cost_account`."""
        return dict(self.distiller.account.seconds)

    def begin_costs(self) -> None:
        """Start the account of an episode: only probing that no episode was charged for yet is carried over."""
        self.distiller.account.begin()

    def settle_costs(self) -> None:
        """Close the account of an episode, which has been read."""
        self.distiller.account.settle()

    def clone_state(self) -> EnvState:
        """Return a copy of everything that the rest of the run depends on; see `restore_state`."""
        return EnvState(self.distiller.snapshot(), copy.deepcopy(self.state()))

    def restore_state(self, state: EnvState) -> None:
        """Return to a moment of this run, or of one of an environment that was made alike, as often as wanted.

        The same actions then have bit-equal results. An observer of the run, such as the account of its costs, does not
        go back.
        """
        self.distiller.restore(state.run)
        self.restore(copy.deepcopy(state.env))

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on, except for the distiller's own state, for JSON."""
        return {
            "random": self.np_random.bit_generator.state,
            "scheduler": self.scheduler.state(),
            "selections": self.selections,
            "observer": self.observer.state(),
            "facts": None if self.facts is None else self.facts.to_dict(),
            "reward": self.meter.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Return to the state that `state` returned; the distiller must have been restored to the same step."""
        if "reward" not in state:
            raise KselectError("The checkpoint was written by another version of kselect.", setting="fresh")
        self.np_random.bit_generator.state = state["random"]
        self.scheduler.restore(state["scheduler"])
        self.observer.restore(state["observer"])
        self.selections = [(steps, weights) for steps, weights in state.get("selections", [])]
        self.meter.restore(state["reward"])
        if state.get("facts") is not None:
            self._show(Facts.from_dict(state["facts"]))

    def _show(self, facts: Facts) -> None:
        self.facts = facts
        self.observer.show_facts(facts, self.distiller.knowledge)

    def _relative_learning_rate(self) -> float:
        return self.distiller.learning_rate / self.distiller.training.learning_rate
