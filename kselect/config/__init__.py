"""Every setting, as flat dataclasses: one noun each, filled from YAML and from the command line over it.

A command's settings are the union of the dataclasses it names, so field names are unique within a command. A
class's docstring heads its options in `--help`; the docstring under each field is the option's help text.
Contradictions are refused in `__post_init__`.
"""

from kselect.config.agent import AgentConfig
from kselect.config.cache import CacheConfig
from kselect.config.doctor import FEWEST, DoctorConfig
from kselect.config.encoder import EncoderConfig
from kselect.config.evaluation import EvaluationConfig
from kselect.config.heads import HEADS, check_head_of
from kselect.config.knowledge import (
    ARC_MARGINALS,
    DEFAULT_KNOWLEDGE,
    DEFAULT_OF_WORDS,
    KNOWLEDGE_NAMES,
    LEVELS,
    PARSER_KNOWLEDGE,
    SOFTENINGS,
    TEXT_KNOWLEDGE,
    WEIGHTINGS,
    WORD_KNOWLEDGE,
    KnowledgeConfig,
)
from kselect.config.ladder import AblationConfig
from kselect.config.overlay import laid_over
from kselect.config.phases import PhaseConfig
from kselect.config.policy import PolicyConfig
from kselect.config.prediction import PredictionConfig
from kselect.config.recording import RecordingConfig
from kselect.config.run import DemoConfig, FolderConfig, RunConfig
from kselect.config.student import StudentConfig
from kselect.config.study import StudyConfig
from kselect.config.task import OF_TAGS, OF_TEXTS, TaskConfig
from kselect.config.training import TrainingConfig

__all__ = [
    "ARC_MARGINALS",
    "DEFAULT_KNOWLEDGE",
    "DEFAULT_OF_WORDS",
    "FEWEST",
    "HEADS",
    "KNOWLEDGE_NAMES",
    "LEVELS",
    "OF_TAGS",
    "OF_TEXTS",
    "PARSER_KNOWLEDGE",
    "SOFTENINGS",
    "TEXT_KNOWLEDGE",
    "WEIGHTINGS",
    "WORD_KNOWLEDGE",
    "AblationConfig",
    "AgentConfig",
    "CacheConfig",
    "DemoConfig",
    "DoctorConfig",
    "EncoderConfig",
    "EvaluationConfig",
    "FolderConfig",
    "KnowledgeConfig",
    "PhaseConfig",
    "PolicyConfig",
    "PredictionConfig",
    "RecordingConfig",
    "RunConfig",
    "StudentConfig",
    "StudyConfig",
    "TaskConfig",
    "TrainingConfig",
    "check_head_of",
    "laid_over",
]
