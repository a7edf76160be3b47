"""kselect: learned knowledge selection for distilling transformer encoders. A distillation run is an episode.

`dir(kselect)` lists the public names. Each is imported on first use, so that `import kselect` loads none of torch,
NumPy and Gymnasium. Importing this package registers the environment `kselect/Distillation-v0` with Gymnasium.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kselect import gymnasium_plugin as _gymnasium_plugin

if TYPE_CHECKING:
    from kselect.agents.actor_critic import ActorCritic as ActorCritic
    from kselect.agents.agent import Agent as Agent
    from kselect.agents.ddpg import DeterministicActorCritic as DeterministicActorCritic
    from kselect.agents.ddpg import TowerActorCritic as TowerActorCritic
    from kselect.agents.linear_actor_critic import LinearActorCritic as LinearActorCritic
    from kselect.agents.offline_actor_critic import OfflineActorCritic as OfflineActorCritic
    from kselect.agents.portfolio import Portfolio as Portfolio
    from kselect.agents.posterior_sampling import PosteriorSampling as PosteriorSampling
    from kselect.agents.random import RandomHard as RandomHard
    from kselect.agents.random import RandomSoft as RandomSoft
    from kselect.agents.registry import load_agent as load_agent
    from kselect.agents.registry import make_agent as make_agent
    from kselect.agents.sb3 import SB3Agent as SB3Agent
    from kselect.agents.schedule import Schedule as Schedule
    from kselect.config import AblationConfig as AblationConfig
    from kselect.config import AgentConfig as AgentConfig
    from kselect.config import BenchmarkConfig as BenchmarkConfig
    from kselect.config import CacheConfig as CacheConfig
    from kselect.config import CollectConfig as CollectConfig
    from kselect.config import CompareConfig as CompareConfig
    from kselect.config import DemoConfig as DemoConfig
    from kselect.config import DoctorConfig as DoctorConfig
    from kselect.config import EncoderConfig as EncoderConfig
    from kselect.config import EngineConfig as EngineConfig
    from kselect.config import EpisodeConfig as EpisodeConfig
    from kselect.config import EvaluationConfig as EvaluationConfig
    from kselect.config import ExportConfig as ExportConfig
    from kselect.config import FolderConfig as FolderConfig
    from kselect.config import InspectConfig as InspectConfig
    from kselect.config import KnowledgeConfig as KnowledgeConfig
    from kselect.config import PhaseConfig as PhaseConfig
    from kselect.config import PolicyConfig as PolicyConfig
    from kselect.config import PredictionConfig as PredictionConfig
    from kselect.config import PushConfig as PushConfig
    from kselect.config import RecordingConfig as RecordingConfig
    from kselect.config import ReportConfig as ReportConfig
    from kselect.config import ResourceConfig as ResourceConfig
    from kselect.config import RunConfig as RunConfig
    from kselect.config import StoppingConfig as StoppingConfig
    from kselect.config import StudentConfig as StudentConfig
    from kselect.config import StudyConfig as StudyConfig
    from kselect.config import TaskConfig as TaskConfig
    from kselect.config import TrainingConfig as TrainingConfig
    from kselect.distillation.callback import DistillerCallback as DistillerCallback
    from kselect.distillation.distiller import Distiller as Distiller
    from kselect.distillation.divergence import TrainingDivergedError as TrainingDivergedError
    from kselect.envs.distillation import DistillationEnv as DistillationEnv
    from kselect.errors import IncomparableError as IncomparableError
    from kselect.errors import KselectError as KselectError
    from kselect.inference.predictor import Predictor as Predictor
    from kselect.inference.predictor import load as load
    from kselect.io import UnwritableError as UnwritableError
    from kselect.knowledge.base import Knowledge as Knowledge
    from kselect.knowledge.registry import register as register
    from kselect.models import loading as _loading
    from kselect.models.classifier import Classifier as Classifier
    from kselect.models.loading import load_student as load_student
    from kselect.models.shrink import shrink as shrink
    from kselect.tasks.registry import load_task as load_task
    from kselect.tasks.task import Task as Task
    from kselect.tasks.task import build_task as build_task
    from kselect.training.api import learn as learn
    from kselect.training.api import rollout as rollout
    from kselect.training.trainer import KSelectTrainer as KSelectTrainer

    load_teacher = _loading.load_classifier

__version__ = "0.1.0"

_MODULES: dict[str, tuple[str, ...]] = {
    "agents.actor_critic": ("ActorCritic",),
    "agents.agent": ("Agent",),
    "agents.ddpg": ("DeterministicActorCritic", "TowerActorCritic"),
    "agents.offline_actor_critic": ("OfflineActorCritic",),
    "agents.portfolio": ("Portfolio",),
    "agents.linear_actor_critic": ("LinearActorCritic",),
    "agents.posterior_sampling": ("PosteriorSampling",),
    "agents.random": ("RandomHard", "RandomSoft"),
    "agents.registry": ("load_agent", "make_agent"),
    "agents.sb3": ("SB3Agent",),
    "agents.schedule": ("Schedule",),
    "config": (
        "AblationConfig",
        "AgentConfig",
        "BenchmarkConfig",
        "CacheConfig",
        "CollectConfig",
        "CompareConfig",
        "DemoConfig",
        "DoctorConfig",
        "EncoderConfig",
        "EngineConfig",
        "EpisodeConfig",
        "EvaluationConfig",
        "ExportConfig",
        "FolderConfig",
        "InspectConfig",
        "KnowledgeConfig",
        "PhaseConfig",
        "PolicyConfig",
        "PredictionConfig",
        "PushConfig",
        "RecordingConfig",
        "ReportConfig",
        "ResourceConfig",
        "RunConfig",
        "StoppingConfig",
        "StudentConfig",
        "StudyConfig",
        "TaskConfig",
        "TrainingConfig",
    ),
    "distillation.callback": ("DistillerCallback",),
    "distillation.distiller": ("Distiller",),
    "distillation.divergence": ("TrainingDivergedError",),
    "envs.distillation": ("DistillationEnv",),
    "errors": ("IncomparableError", "KselectError"),
    "inference.predictor": ("Predictor", "load"),
    "io": ("UnwritableError",),
    "knowledge.base": ("Knowledge",),
    "knowledge.registry": ("register",),
    "models.classifier": ("Classifier",),
    "models.shrink": ("shrink",),
    "models.loading": ("load_student", "load_teacher"),
    "tasks.registry": ("load_task",),
    "tasks.task": ("Task", "build_task"),
    "training.api": ("learn", "rollout"),
    "training.trainer": ("KSelectTrainer",),
}
_ATTRIBUTES = {"load_teacher": "load_classifier"}
_HOMES = {name: f"kselect.{module}" for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOMES)

_gymnasium_plugin.install()


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), _ATTRIBUTES.get(name, name))


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]
