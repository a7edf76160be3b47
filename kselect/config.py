"""Every setting, as flat dataclasses: one noun each, filled from YAML and from the command line over it.

A command's settings are the union of the dataclasses it names, so field names are unique within a command. A
class's docstring heads its options in `--help`; the docstring under each field is the option's help text.
Contradictions are refused in `__post_init__`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kselect.errors import UserError, unknown
from kselect.schedule import Schedule

OWN_DATA = ("dev_file", "text_columns", "label_column", "labels", "regression", "metrics", "id_column")
KNOWLEDGE_NAMES = (
    "gold",
    "logits",
    "logits-mse",
    "hidden",
    "hidden-cls",
    "hidden-cosine",
    "embeddings",
    "attention",
    "attention-scores",
    "relations",
    "query-relations",
    "key-relations",
    "value-relations",
)
DEFAULT_KNOWLEDGE = ("gold", "logits", "hidden", "attention", "relations")
WEIGHTINGS = ("selection", "dynamic", "uncertainty")


def laid_over(given: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by name, `given` where they are and `under` elsewhere; mappings name by name, None as not given.

    >>> laid_over({"seed": 1, "scales": {"hidden": 2}}, {"seed": 0, "scales": {"hidden": 1, "logits": 3}})
    {'seed': 1, 'scales': {'hidden': 2, 'logits': 3}}
    """
    settings = dict(given)
    for name, value in under.items():
        if settings.get(name) is None:
            settings[name] = value
        elif isinstance(value, dict) and isinstance(settings[name], dict):
            settings[name] = {**value, **settings[name]}
    return settings


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)


def _one_of(setting: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise unknown(setting, value, known)


@dataclass
class TaskConfig:
    """Task: what is learned, and from which data."""

    task: str | None = None
    """Task name: synthetic-acceptability (the default), synthetic-entailment, cola, sst2, mrpc, stsb, qqp, mnli, qnli,
    rte or wnli; with train_file, any name, by default that of the file."""
    data_dir: str | None = None
    """Folder of GLUE's data, TSV files or saved by datasets; by default the environment variable KSELECT_DATA or,
    without it, the hub."""
    train_file: str | None = None
    """Data of your own: a TSV, CSV, JSONL or Parquet file with named columns."""
    dev_file: str | None = None
    """Examples for reporting; by default a tenth of train_file is held out."""
    test_file: str | None = None
    """Examples without labels, for `kselect predict`."""
    text_columns: list[str] | None = None
    """Column of the text in your files, or the two of a pair."""
    label_column: str | None = None
    """Column of the label in your files; label by default."""
    labels: list[str] | None = None
    """The labels in your files, in the order of their ids; by default those of train_file, sorted."""
    regression: bool = False
    """Whether the labels in your files are scores."""
    metrics: list[str] | None = None
    """Metrics for your files, out of accuracy, f1, macro_f1, matthews and, for scores, pearson, spearman."""
    id_column: str | None = None
    """Column of a name for each example, that predictions are written with."""
    max_length: int | None = None
    """Longest input in tokens, what is beyond is cut, and counted; by default 128, or what the model takes."""
    reward_fraction: float = 0.1
    """Share of train held out to measure rewards and to choose anything by."""
    train_limit: int | None = None
    """Use only this many examples of train, and of dev (stratified slices), for a quick look."""
    data_seed: int = 0
    """Seed of the splits and of the synthetic data; kept apart from the seed of a run."""

    @property
    def own(self) -> bool:
        """Whether the data are files of one's own."""
        return self.train_file is not None or self.test_file is not None

    def __post_init__(self) -> None:
        for setting in OWN_DATA:
            _require(
                self.own or not getattr(self, setting),
                f"{setting} is for data of your own: give train_file, or for predictions test_file, with it.",
            )
        _require(
            not self.own or self.data_dir is None, "data_dir is for GLUE's tasks and train_file for your own: give one."
        )
        _require(
            not self.own or bool(self.text_columns), "text_columns is missing: name the column of the text, or two."
        )
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
    """Model: the teacher, and the student cut out of it or loaded."""

    teacher: str | list[str]
    """Folder or hub id of a fine-tuned classifier, such as `kselect train-teacher` makes; of several, their mean."""
    layers: int | list[int] | None = None
    """How many of the teacher's layers the student keeps, or which ones, such as 1,3,5 (first: 1); 3 by default."""
    student: str | None = None
    """Folder or hub id of a smaller encoder or classifier to start from, instead of the teacher's own layers."""

    def __post_init__(self) -> None:
        _require(
            len(self.teachers) > 0 and all(self.teachers),
            "teacher is empty: give the folder of a fine-tuned classifier.",
        )
        _require(len(set(self.teachers)) == len(self.teachers), f"teacher names one twice: {', '.join(self.teachers)}.")
        if self.student is not None:
            _require(bool(self.student), "student is empty: give the folder of an encoder, or layers instead.")
            _require(
                self.layers is None,
                f"layers is {self.layers}, but {self.student} is the student as it is: give layers or student.",
            )
            return
        layers = list(self.kept_layers) if isinstance(self.kept_layers, list | tuple) else [self.kept_layers]
        _require(
            len(layers) > 0 and all(isinstance(layer, int) and layer > 0 for layer in layers),
            f"layers is {self.layers}: give how many to keep, or which ones, counted from 1.",
        )
        _require(len(set(layers)) == len(layers), f"layers names one twice: {self.layers}.")

    @property
    def kept_layers(self) -> int | list[int] | None:
        """What `layers` says, or its default; None where the student is loaded."""
        return 3 if self.layers is None and self.student is None else self.layers

    @property
    def teachers(self) -> list[str]:
        """All teachers, one or several."""
        return [self.teacher] if isinstance(self.teacher, str) else list(self.teacher)


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

    knowledge: list[str] | None = None
    """The kinds on offer, which an agent weighs, out of gold, logits, logits-mse, hidden, hidden-cls, hidden-cosine,
    embeddings, attention, attention-scores, relations, query-relations, key-relations, value-relations; by default
    what the agent's recipe reads or a policy was trained with, or else gold, logits, hidden, attention, relations."""
    weighting: Literal["selection", "dynamic", "uncertainty"] = "selection"
    """How the losses of a step become one: by the selection alone, also by each example's uncertainty, or also by
    variances learned on the way (see docs/agents.md)."""
    temperature: float | str = 2.0
    """Softening of teacher's and student's logits, or a schedule such as 4->1; the KL is multiplied by its square."""
    layer_map: str = "uniform"
    """The teacher layer each student layer is compared with: uniform, last, skip, first, or pairs such as 1:2,2:4."""
    layer_maps: dict[str, str] = field(default_factory=dict)
    """Another layer map for one kind of knowledge, such as hidden-cosine=last."""
    relation_heads: int | None = None
    """Heads that queries, keys and values are cut into for their relations; by default as many as fit both models."""
    scales: dict[str, float | Literal["measured"]] = field(default_factory=dict)
    """Factor on a knowledge's loss, or measured, by name, where the default is not wanted (see docs/knowledge.md)."""
    teacher_memory: float = 4.0
    """GiB of memory for the teacher's outputs on train, so that each is computed once; 0 computes it every time."""

    def __post_init__(self) -> None:
        _require(len(self.kinds) > 0, "knowledge is empty: name at least gold.")
        _require(len(set(self.kinds)) == len(self.kinds), f"knowledge names a kind twice: {', '.join(self.kinds)}.")
        _one_of("weighting", self.weighting, WEIGHTINGS)
        temperature = Schedule.parse(self.temperature, "temperature")
        _require(
            temperature.start > 0 and temperature.end > 0,
            f"temperature is {self.temperature}: give a positive number, or a schedule between two.",
        )
        _require(self.teacher_memory >= 0, f"teacher_memory is {self.teacher_memory}: give 0 or more GiB.")
        _require(
            self.relation_heads is None or self.relation_heads > 0,
            f"relation_heads is {self.relation_heads}: give a positive number.",
        )
        for name, scale in self.scales.items():
            _require(
                scale == "measured" if isinstance(scale, str) else scale > 0,
                f"scales gives {name} {scale}: give a positive number, or measured.",
            )

    @property
    def kinds(self) -> list[str]:
        """The kinds on offer, where nothing else settles them."""
        return list(DEFAULT_KNOWLEDGE) if self.knowledge is None else self.knowledge


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
    """An agent out of the list below or, to distil, the folder of a policy that `kselect train-policy` made."""
    agent_settings: dict[str, Any] = field(default_factory=dict)
    """Settings of that agent by name, such as learning_rate=0.001 or, for fixed, {"weights": {"gold": 1}}; see
    docs/agents.md."""


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
    """Folder or hub id of a classifier, student or teacher; or the folder of its run, or of a policy."""
    batch_size: int = 64
    """Examples per forward pass."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of forward passes; auto takes bf16 where the hardware multiplies it natively."""

    def __post_init__(self) -> None:
        _require(bool(self.model), "model is empty: give the folder of a classifier.")
        _require(self.batch_size > 0, f"batch_size is {self.batch_size}: give a positive number.")


@dataclass
class PredictionConfig:
    """Predictions: where they go."""

    output: str = "predictions"
    """File for the predictions if it ends in .tsv, else a folder for files with the names that GLUE asks for."""

    def __post_init__(self) -> None:
        _require(bool(self.output), "output is empty: give a file or a folder.")


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
