"""The settings of each command, and those of the environment, which several commands share."""

from __future__ import annotations

from dataclasses import dataclass, field

from kselect.config.analysis import AblationConfig, DoctorConfig, InspectConfig, RecordingConfig
from kselect.config.collection import CollectConfig
from kselect.config.comparison import CompareConfig
from kselect.config.data import TaskConfig
from kselect.config.engine import EngineConfig, EpisodeConfig
from kselect.config.export import BenchmarkConfig, ExportConfig
from kselect.config.inference import CacheConfig, EvaluationConfig, PredictionConfig, ReportConfig
from kselect.config.knowledge import KnowledgeConfig
from kselect.config.models import EncoderConfig, StudentConfig, check_head_of
from kselect.config.run import DemoConfig, FolderConfig, RunConfig, StudyConfig
from kselect.config.selection import AgentConfig, PhaseConfig, PolicyConfig
from kselect.config.settings import Settings
from kselect.config.sharing import PushConfig
from kselect.config.training import StoppingConfig, TrainingConfig
from kselect.config.validation import require

DEFAULT_DECIDER = "auto"
"""The agent of a distillation that names none."""


@dataclass(frozen=True, kw_only=True)
class TrainTeacherSettings(Settings):
    """Settings of `kselect train-teacher`."""

    task: TaskConfig = field(default_factory=TaskConfig)
    model: EncoderConfig = field(default_factory=EncoderConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def validate(self) -> None:
        """Refuse a head for another type of task, and training data without labels."""
        check_head_of(self.task.task_type, self.model.head)
        self.task.require_labels("A teacher's training")


@dataclass(frozen=True, kw_only=True)
class EnvSettings(Settings):
    """Settings of the environment: everything that makes a distillation but the agent."""

    task: TaskConfig = field(default_factory=TaskConfig)
    model: StudentConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    knowledge: KnowledgeConfig = field(default_factory=KnowledgeConfig)
    phases: PhaseConfig = field(default_factory=PhaseConfig)

    def validate(self) -> None:
        """Refuse a head for another type of task, a teacher beyond those given, and a parser of no whole texts."""
        check_head_of(self.task.task_type, self.model.head)
        self.model.check_teacher(self.task.teacher_columns)
        self.knowledge.check_teachers(len(self.model.teachers) + bool(self.task.teacher_columns))
        require(
            self.model.parser is None or self.task.task_type == "text",
            f"parser is for whole texts, but task_type is {self.task.task_type}: leave it out.",
            "parser",
        )


@dataclass(frozen=True, kw_only=True)
class DistillSettings(EnvSettings):
    """Settings of `kselect distill`."""

    agent: AgentConfig = field(default_factory=lambda: AgentConfig(DEFAULT_DECIDER))
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    run: RunConfig = field(default_factory=RunConfig)
    recording: RecordingConfig = field(default_factory=RecordingConfig)

    def validate(self) -> None:
        """Refuse, in addition, to record what has no labels."""
        super().validate()
        if self.recording.record:
            self.task.require_labels("A recording")
            self.task.require_one_label("A recording")


@dataclass(frozen=True, kw_only=True)
class TrainPolicySettings(EnvSettings):
    """Settings of `kselect train-policy`."""

    agent: AgentConfig = field(default_factory=AgentConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    resources: EpisodeConfig = field(default_factory=EpisodeConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def validate(self) -> None:
        """Refuse, in addition, another engine for episodes that take turns."""
        super().validate()
        engine = self.resources.engine
        require(
            engine == "local" or self.policy.parallel > 1,
            f"engine is {engine}, which computes parallel episodes: give parallel as 2 or more, or leave engine out.",
            "engine",
        )


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(Settings):
    """Settings of `kselect evaluate`."""

    model: EvaluationConfig
    task: TaskConfig = field(default_factory=TaskConfig)
    report: ReportConfig = field(default_factory=ReportConfig)


@dataclass(frozen=True, kw_only=True)
class PredictSettings(Settings):
    """Settings of `kselect predict`."""

    model: EvaluationConfig
    task: TaskConfig = field(default_factory=TaskConfig)
    predictions: PredictionConfig = field(default_factory=PredictionConfig)


@dataclass(frozen=True, kw_only=True)
class PushSettings(Settings):
    """Settings of `kselect push`."""

    push: PushConfig


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Settings):
    """Settings of `kselect export`."""

    export: ExportConfig
    task: TaskConfig = field(default_factory=TaskConfig)


@dataclass(frozen=True, kw_only=True)
class BenchModelSettings(Settings):
    """Settings of `kselect bench-model`."""

    benchmark: BenchmarkConfig
    task: TaskConfig = field(default_factory=TaskConfig)

    def validate(self) -> None:
        """Refuse a static student of words."""
        require(
            not self.benchmark.static or self.task.task_type == "text",
            f"static is for whole texts, but task_type is {self.task.task_type}: leave it out.",
            "static",
        )


@dataclass(frozen=True, kw_only=True)
class DoctorSettings(Settings):
    """Settings of `kselect doctor`."""

    task: TaskConfig = field(default_factory=TaskConfig)
    model: StudentConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    knowledge: KnowledgeConfig = field(default_factory=KnowledgeConfig)
    doctor: DoctorConfig = field(default_factory=DoctorConfig)
    run: FolderConfig = field(default_factory=FolderConfig)

    def validate(self) -> None:
        """Refuse a head for another type of task, several teachers, and training data without labels."""
        check_head_of(self.task.task_type, self.model.head)
        self.model.check_teacher(None)
        require(
            len(self.model.teachers) == 1, "The doctor examines one teacher at a time: give a single one.", "teacher"
        )
        self.task.require_labels("The doctor")
        self.task.require_one_label("The doctor")


@dataclass(frozen=True, kw_only=True)
class InspectSettings(Settings):
    """Settings of `kselect inspect`."""

    inspection: InspectConfig


@dataclass(frozen=True, kw_only=True)
class ExplainSettings(Settings):
    """Settings of `kselect explain`."""

    task: TaskConfig = field(default_factory=TaskConfig)
    model: StudentConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    ladder: AblationConfig = field(default_factory=AblationConfig)
    run: StudyConfig = field(default_factory=StudyConfig)

    def validate(self) -> None:
        """Refuse what no level of knowledge reads."""
        check_head_of(self.task.task_type, self.model.head)
        self.model.check_teacher(None)
        require(len(self.model.teachers) == 1, "Levels of knowledge are those of one teacher: give one.", "teacher")
        require(
            self.model.parser is None,
            "parser is for parser-trees, which no level of knowledge reads: leave it out.",
            "parser",
        )
        self.task.require_labels("Every level of knowledge")
        self.task.require_one_label("Every level of knowledge")


@dataclass(frozen=True, kw_only=True)
class CompareSettings(EnvSettings):
    """Settings of `kselect compare`."""

    comparison: CompareConfig = field(default_factory=CompareConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    run: StudyConfig = field(default_factory=StudyConfig)


@dataclass(frozen=True, kw_only=True)
class CollectSettings(Settings):
    """Settings of `kselect collect`."""

    collection: CollectConfig
    engine: EngineConfig = field(default_factory=EngineConfig)


@dataclass(frozen=True, kw_only=True)
class CacheSettings(Settings):
    """Settings of `kselect cache`."""

    cache: CacheConfig = field(default_factory=CacheConfig)


@dataclass(frozen=True, kw_only=True)
class DemoSettings(Settings):
    """Settings of `kselect demo`."""

    run: DemoConfig = field(default_factory=DemoConfig)
