"""The commands of `kselect`, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kselect.agents.registry import LEARNERS, ONLINE
from kselect.cli.artifacts import task_defaults, teacher_defaults
from kselect.cli.compared_tasks import CompareCommand
from kselect.cli.parser import Command
from kselect.config import (
    DEFAULT_DECIDER,
    AgentConfig,
    BenchModelSettings,
    CacheSettings,
    CollectSettings,
    CompareSettings,
    DemoSettings,
    DistillSettings,
    DoctorSettings,
    EvaluateSettings,
    ExplainSettings,
    ExportSettings,
    InspectSettings,
    PredictSettings,
    PushSettings,
    TrainPolicySettings,
    TrainTeacherSettings,
)
from kselect.recipes import NAMED, recipe_defaults
from kselect.recipes.shipped import SHIPPED


def distillation_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of the teacher's run, and of the recipe or saved policy that is named as the agent."""
    given = {name: values[name] for name in ("agent", "agent_settings") if name in values}
    return {**teacher_defaults(values), **recipe_defaults(AgentConfig(**given), values)}


def distill_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `distillation_defaults` under the agent that distils where none is named."""
    return distillation_defaults({"agent": DEFAULT_DECIDER, **values})


def listing(title: str, lines: Mapping[str, str]) -> str:
    """Return names with their descriptions, under a title, as help texts show them."""
    width = max(map(len, lines))
    return "\n".join([f"{title}:", *(f"  {name:<{width}}  {line}" for name, line in lines.items())])


def list_learners() -> str:
    """Return the agents that `train-policy` trains, for its help."""
    return listing("Agents", LEARNERS)


def list_deciders() -> str:
    """Return the agents that a distillation can run under, for the help; other packages may add some."""
    return listing(
        "Agents",
        {
            **SHIPPED,
            "FOLDER": f"a policy that `kselect train-policy` saved, of {', '.join(LEARNERS)}",
            "gold:1,logits:0.5": "constant weights, short for `fixed`",
            **{name: f"{learner}, which learns in this one run" for name, learner in ONLINE.items()},
            **{name: line for name, line in NAMED.items() if name not in LEARNERS},
        },
    )


COMMANDS: dict[str, Command[Any]] = {
    command.name: command
    for command in (
        Command("train-teacher", TrainTeacherSettings),
        Command("doctor", DoctorSettings, defaults_from=teacher_defaults),
        Command("train-policy", TrainPolicySettings, epilog=list_learners, defaults_from=distillation_defaults),
        Command("distill", DistillSettings, epilog=list_deciders, defaults_from=distill_defaults),
        Command("evaluate", EvaluateSettings, positional="model", defaults_from=task_defaults),
        Command("predict", PredictSettings, positional="model", defaults_from=task_defaults),
        Command("push", PushSettings, positional="model"),
        Command("export", ExportSettings, positional="model", defaults_from=task_defaults),
        Command("bench-model", BenchModelSettings, positional="model", defaults_from=task_defaults),
        CompareCommand("compare", CompareSettings, epilog=list_deciders),
        Command("inspect", InspectSettings, positional="folder"),
        Command("explain", ExplainSettings, defaults_from=teacher_defaults),
        Command("collect", CollectSettings),
        Command("cache", CacheSettings, positional="action"),
        Command("demo", DemoSettings),
    )
}
