"""Every setting, as frozen dataclasses that validate themselves: groups of settings, and the settings of a command.

A group (`Config`) is one noun; `Settings` are the groups of one command or environment, whose setting names are unique
within it. The docstring of a group heads its options in `--help`; the docstring under each field is the option's help.
Facts about a setting are declared with `setting`, and read with `names_with`.
"""

from kselect.config.analysis import FEWEST, AblationConfig, DoctorConfig, InspectConfig, RecordingConfig
from kselect.config.collection import CollectConfig
from kselect.config.commands import (
    DEFAULT_DECIDER,
    BenchModelSettings,
    CacheSettings,
    CollectSettings,
    CompareSettings,
    DemoSettings,
    DistillSettings,
    DoctorSettings,
    EnvSettings,
    EvaluateSettings,
    ExplainSettings,
    ExportSettings,
    InspectSettings,
    PredictSettings,
    PushSettings,
    TrainPolicySettings,
    TrainTeacherSettings,
)
from kselect.config.comparison import CompareConfig
from kselect.config.data import TaskConfig
from kselect.config.engine import EngineConfig, EpisodeConfig, ResourceConfig
from kselect.config.export import BenchmarkConfig, ExportConfig
from kselect.config.inference import CacheConfig, EvaluationConfig, PredictionConfig, ReportConfig
from kselect.config.knowledge import (
    ANSWER_KNOWLEDGE,
    ARC_MARGINALS,
    DEFAULT_KNOWLEDGE,
    DEFAULT_OF_WORDS,
    KNOWLEDGE_NAMES,
    LEVELS,
    PARSER_KNOWLEDGE,
    SOFTENINGS,
    TEXT_KNOWLEDGE,
    TEXT_SOURCES,
    WEIGHTINGS,
    WORD_KNOWLEDGE,
    KnowledgeConfig,
)
from kselect.config.models import HEADS, EncoderConfig, StudentConfig, check_head_of
from kselect.config.run import TRACKERS, DemoConfig, FolderConfig, RunConfig, StudyConfig
from kselect.config.selection import REWARDS, AgentConfig, PhaseConfig, PolicyConfig
from kselect.config.settings import Settings
from kselect.config.sharing import PushConfig
from kselect.config.training import StoppingConfig, TrainingConfig
from kselect.config.validation import Config, SettingFacts, merge_settings, names_with, setting

__all__ = [
    "ANSWER_KNOWLEDGE",
    "ARC_MARGINALS",
    "DEFAULT_DECIDER",
    "DEFAULT_KNOWLEDGE",
    "DEFAULT_OF_WORDS",
    "FEWEST",
    "HEADS",
    "KNOWLEDGE_NAMES",
    "LEVELS",
    "PARSER_KNOWLEDGE",
    "REWARDS",
    "SOFTENINGS",
    "TEXT_KNOWLEDGE",
    "TEXT_SOURCES",
    "TRACKERS",
    "WEIGHTINGS",
    "WORD_KNOWLEDGE",
    "AblationConfig",
    "AgentConfig",
    "BenchModelSettings",
    "BenchmarkConfig",
    "CacheConfig",
    "CacheSettings",
    "CollectConfig",
    "CollectSettings",
    "CompareConfig",
    "CompareSettings",
    "Config",
    "DemoConfig",
    "DemoSettings",
    "DistillSettings",
    "DoctorConfig",
    "DoctorSettings",
    "EncoderConfig",
    "EngineConfig",
    "EnvSettings",
    "EpisodeConfig",
    "EvaluateSettings",
    "EvaluationConfig",
    "ExplainSettings",
    "ExportConfig",
    "ExportSettings",
    "FolderConfig",
    "InspectConfig",
    "InspectSettings",
    "KnowledgeConfig",
    "PhaseConfig",
    "PolicyConfig",
    "PredictSettings",
    "PredictionConfig",
    "PushConfig",
    "PushSettings",
    "RecordingConfig",
    "ReportConfig",
    "ResourceConfig",
    "RunConfig",
    "SettingFacts",
    "Settings",
    "StoppingConfig",
    "StudentConfig",
    "StudyConfig",
    "TaskConfig",
    "TrainPolicySettings",
    "TrainTeacherSettings",
    "TrainingConfig",
    "check_head_of",
    "merge_settings",
    "names_with",
    "setting",
]
