"""Every setting, as flat dataclasses: one noun each, filled from YAML and from the command line over it.

A command's settings are the union of the dataclasses it names, so field names are unique within a command. A
class's docstring heads its options in `--help`; the docstring under each field is the option's help text.
Contradictions are refused in `__post_init__`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from kselect.errors import UserError, unknown

KNOWLEDGE_NAMES = ("gold", "logits", "hidden", "attention", "relations")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)


def _one_of(setting: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise unknown(setting, value, known)


@dataclass
class TaskConfig:
    """Task: what is learned, and from which data."""

    task: str = "synthetic-acceptability"
    """Task name: synthetic-acceptability, synthetic-entailment, mrpc, rte, cola or sst2."""
    data_dir: str | None = None
    """Folder in GLUE's TSV layout; the environment variable KSELECT_DATA by default."""
    max_length: int | None = None
    """Longest input in tokens, what is beyond is cut, and counted; by default 128, or what the model takes."""
    reward_fraction: float = 0.1
    """Share of train held out to measure rewards and to choose anything by."""
    train_limit: int | None = None
    """Use only this many examples of train, and of dev (stratified slices), for a quick look."""
    data_seed: int = 0
    """Seed of the splits and of the synthetic data; kept apart from the seed of a run."""

    def __post_init__(self) -> None:
        _require(
            self.max_length is None or self.max_length >= 4, f"max_length is {self.max_length}: give at least 4 tokens."
        )
        _require(self.data_seed >= 0, f"data_seed is {self.data_seed}: give 0 or more.")
        _require(
            0 < self.reward_fraction < 1,
            f"reward_fraction is {self.reward_fraction}: give a share of train between 0 and 1.",
        )
        _require(
            self.train_limit is None or self.train_limit > 0,
            f"train_limit is {self.train_limit}: give a positive number of examples.",
        )


@dataclass
class EncoderConfig:
    """Model: the encoder that becomes a teacher."""

    encoder: str | None = None
    """Folder or hub id of a pretrained encoder to fine-tune; without it, a small one from scratch."""
    hidden_size: int = 128
    """Width of an encoder from scratch."""
    encoder_layers: int = 4
    """Layers of an encoder from scratch."""
    heads: int = 4
    """Attention heads of an encoder from scratch."""

    def __post_init__(self) -> None:
        _require(self.encoder_layers > 0, f"encoder_layers is {self.encoder_layers}: give a positive number.")
        _require(
            self.heads > 0 and self.hidden_size > 0 and self.hidden_size % self.heads == 0,
            f"hidden_size is {self.hidden_size}: give a positive multiple of heads ({self.heads}).",
        )


@dataclass
class StudentConfig:
    """Model: the teacher, and the student cut out of it."""

    teacher: str
    """Folder or hub id of a fine-tuned classifier, such as `kselect train-teacher` makes."""
    layers: int | list[int] = 3
    """How many of the teacher's layers the student keeps, or which ones, such as 1,3,5 (the first is 1)."""

    def __post_init__(self) -> None:
        _require(bool(self.teacher), "teacher is empty: give the folder of a fine-tuned classifier.")
        layers = list(self.layers) if isinstance(self.layers, list | tuple) else [self.layers]
        _require(
            len(layers) > 0 and all(isinstance(layer, int) and layer > 0 for layer in layers),
            f"layers is {self.layers}: give how many to keep, or which ones, counted from 1.",
        )
        _require(len(set(layers)) == len(layers), f"layers names one twice: {self.layers}.")


@dataclass
class TrainingConfig:
    """Training: how a model takes its steps."""

    epochs: float = 3.0
    """Passes over the training split; an episode lasts this long."""
    batch_size: int = 32
    """Examples per training step, over all accumulated parts."""
    accumulation: int = 1
    """Parts a batch is cut into, their gradients added up."""
    learning_rate: float = 1e-4
    """Peak learning rate of AdamW; rises over the warm-up, then falls linearly to 0."""
    warmup: float = 0.1
    """Share of the training steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """Decoupled weight decay, on weight matrices only."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are shortened to it."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of forward passes; auto takes bf16 where the hardware multiplies it natively."""

    def __post_init__(self) -> None:
        _require(self.epochs > 0, f"epochs is {self.epochs}: give a positive number.")
        _require(self.batch_size > 0, f"batch_size is {self.batch_size}: give a positive number.")
        _require(
            self.accumulation > 0 and self.batch_size % self.accumulation == 0,
            f"accumulation is {self.accumulation}: give a divisor of batch_size ({self.batch_size}).",
        )
        _require(self.learning_rate > 0, f"learning_rate is {self.learning_rate}: give a positive number.")
        _require(0 <= self.warmup < 1, f"warmup is {self.warmup}: give a share of the steps from 0 up to 1.")
        _require(self.weight_decay >= 0, f"weight_decay is {self.weight_decay}: give 0 or more.")
        _one_of("precision", self.precision, ("auto", "bf16", "fp32"))
        _require(self.max_grad_norm > 0, f"max_grad_norm is {self.max_grad_norm}: give a positive number.")


@dataclass
class KnowledgeConfig:
    """Knowledge: what a teacher offers, and how each kind of it is compared."""

    knowledge: list[str] = field(default_factory=lambda: list(KNOWLEDGE_NAMES))
    """The kinds on offer, out of gold, logits, hidden, attention, relations; an agent weighs each of them."""
    temperature: float = 2.0
    """Softening of teacher's and student's logits; the KL is multiplied by its square."""
    layer_map: str = "uniform"
    """The teacher layer each student layer is compared with: uniform, last, or pairs such as 1:2,2:4,3:6."""
    scales: dict[str, float] = field(default_factory=dict)
    """Factor on a knowledge's loss, by name, where the default is not wanted (see docs/knowledge.md)."""
    teacher_memory: float = 4.0
    """GiB of memory for the teacher's outputs on train, so that each is computed once; 0 computes it every time."""

    def __post_init__(self) -> None:
        _require(len(self.knowledge) > 0, "knowledge is empty: name at least gold.")
        _require(
            len(set(self.knowledge)) == len(self.knowledge),
            f"knowledge names a kind twice: {', '.join(self.knowledge)}.",
        )
        _require(self.temperature > 0, f"temperature is {self.temperature}: give a positive number.")
        _require(self.teacher_memory >= 0, f"teacher_memory is {self.teacher_memory}: give 0 or more GiB.")
        for name, scale in self.scales.items():
            _require(scale > 0, f"scales gives {name} {scale}: give a positive number.")


@dataclass
class PhaseConfig:
    """Phases: when the agent is asked, and when its reward is measured."""

    phases: Literal["constant", "growing", "adaptive"] = "growing"
    """How long phases last: all alike, each longer than the last, or longer as the agent settles."""
    phase_steps: int | None = None
    """Training steps of the first phase; by default chosen so that an episode has about 12 phases."""
    phase_growth: float = 1.1
    """Factor from one phase to the next, growing and adaptive phases only."""
    reward_every: int = 1
    """Measure the reward once in so many phases; what the others earned goes to the next measured one."""
    reward_examples: int | None = None
    """Examples of the reward split that a measurement reads; by default as many as cost a twentieth of the training."""

    def __post_init__(self) -> None:
        _one_of("phases", self.phases, ("constant", "growing", "adaptive"))
        _require(
            self.phase_steps is None or self.phase_steps > 0,
            f"phase_steps is {self.phase_steps}: give a positive number of training steps.",
        )
        _require(self.phase_growth >= 1, f"phase_growth is {self.phase_growth}: give 1 or more.")
        _require(self.reward_every > 0, f"reward_every is {self.reward_every}: give a positive number of phases.")
        _require(
            self.reward_examples is None or self.reward_examples > 0,
            f"reward_examples is {self.reward_examples}: give a positive number.",
        )


@dataclass
class AgentConfig:
    """Agent: who decides what to transfer."""

    agent: str = "actor-critic"
    """A trained policy's folder, online or online-soft (which learn while distilling), or one of
    actor-critic, deterministic-actor-critic, fine-tune, vanilla-kd, all, fixed, random-hard, random-soft."""
    agent_settings: dict[str, Any] = field(default_factory=dict)
    """Settings of that agent by name, such as learning_rate=0.001 or, for fixed, {"weights": {"gold": 1}}."""


@dataclass
class PolicyConfig:
    """Policy: how long an agent learns before it is saved, and on what."""

    episodes: int = 8
    """Distillations the agent learns from, over all tasks."""
    also: list[str] = field(default_factory=list)
    """Further tasks, which take turns: a YAML file for each, with its task, its teacher and what else differs there."""
    parallel: int = 1
    """Episodes played side by side, each in a process of its own."""

    def __post_init__(self) -> None:
        tasks = 1 + len(self.also)
        _require(self.episodes > 0, f"episodes is {self.episodes}: give a positive number.")
        _require(self.episodes >= tasks, f"episodes is {self.episodes}: give one for each of {tasks} tasks, or more.")
        _require(
            self.parallel > 0 and self.episodes % self.parallel == 0,
            f"parallel is {self.parallel}: give a divisor of episodes ({self.episodes}).",
        )
        _require(
            self.parallel == 1 or self.parallel % tasks == 0,
            f"parallel is {self.parallel}: give 1, or a multiple of the number of tasks ({tasks}).",
        )


@dataclass
class EvaluationConfig:
    """Model: what is evaluated, and how."""

    model: str
    """Folder or hub id of a classifier: a student, or a teacher."""
    batch_size: int = 64
    """Examples per forward pass."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of forward passes; auto takes bf16 where the hardware multiplies it natively."""

    def __post_init__(self) -> None:
        _require(bool(self.model), "model is empty: give the folder of a classifier.")
        _require(self.batch_size > 0, f"batch_size is {self.batch_size}: give a positive number.")


@dataclass
class RunConfig:
    """Run: chance, and where results go."""

    seed: int = 0
    """Seed of everything random in this run, the splits apart."""
    runs_dir: str = "runs"
    """Folder that holds the run folders."""
    run_name: str | None = None
    """Name of this run's folder; <task>-<agent>-<seed>-<time> by default."""
    fresh: bool = False
    """Start over, and set aside the unfinished run that would be gone on with, or what the folder run_name holds."""
    checkpoint_every: float = 30.0
    """Seconds from one checkpoint to the next, each at the end of a phase; 0 makes one after every phase."""

    def __post_init__(self) -> None:
        _require(
            self.run_name is None or (not set(self.run_name) & set("/\\") and self.run_name not in ("", ".", "..")),
            f"run_name is '{self.run_name}': give a plain name, and the folder above it as runs_dir.",
        )
        _require(0 <= self.seed < 2**31, f"seed is {self.seed}: give 0 or more, below 2147483648.")
        _require(
            self.checkpoint_every >= 0,
            f"checkpoint_every is {self.checkpoint_every}: give seconds, or 0 for every phase.",
        )


@dataclass
class DemoConfig:
    """Run: chance, and where results go."""

    seed: int = 0
    """Seed of everything random in the demonstration."""
    runs_dir: str = "runs"
    """Folder that holds the run folders."""

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 2**31, f"seed is {self.seed}: give 0 or more, below 2147483648.")
