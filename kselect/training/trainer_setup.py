"""What `KSelectTrainer` prepares before the first step: the knowledge on offer, its scales, and who selects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

from kselect.agents.agent import Agent
from kselect.agents.chooser import Chooser
from kselect.config import AgentConfig, KnowledgeConfig, PhaseConfig, TrainingConfig
from kselect.distillation.batch_loss import BatchLoss
from kselect.distillation.distiller import Distiller
from kselect.distillation.hosted import HostedDistiller
from kselect.envs.plan import plan_run
from kselect.errors import KselectError, check_type
from kselect.models.checksums import check_checksums
from kselect.models.classifier import Classifier
from kselect.models.heads import Labels, Score
from kselect.models.label_names import label_names
from kselect.models.pretrained import load_pretrained, load_tokenizer
from kselect.models.text_classifier import not_fine_tuned
from kselect.recipes.policies import PolicySetup, build_env, build_policy, reads_run
from kselect.recipes.resolve import check, check_decider, resolve
from kselect.tasks.encoded_task import EncodedTask, build_encoded_task
from kselect.training.runner import EpisodeRunner

Teacher = PreTrainedModel | Classifier | str | Path


@dataclass(frozen=True)
class TrainerSetup:
    """A prepared run.

    Attributes:
        loss: the loss of a batch.
        agent: selects the knowledge.
        plan: weights of every training step, `[steps, k]`; None for an agent that decides within the run.
        runner: runs the episode of an agent that decides within the run; None for others.
    """

    loss: BatchLoss
    agent: Agent
    plan: NDArray[np.float32] | None = None
    runner: EpisodeRunner | None = None

    @property
    def chosen(self) -> str | None:
        """Name of the selection that a policy chose by facts of the run; None for other agents."""
        return self.agent.chosen if isinstance(self.agent, Chooser) else None


def as_classifier(model: Teacher, tokenizer: PreTrainedTokenizerBase, role: str) -> Classifier:
    """Return a model of whole texts, its checkpoint or a `Classifier` as one.

    Raises:
        KselectError: a model of anything else, or a checkpoint without a trained head.
    """
    if isinstance(model, str | Path):
        loaded, unfit = load_pretrained(model)
        if unfit:
            raise not_fine_tuned(model, "the student's task", unfit)
        check_checksums(Path(model))
        classifier = Classifier(loaded, load_tokenizer(model, loaded))
    elif isinstance(model, PreTrainedModel):
        classifier = Classifier(model, tokenizer)
    else:
        check_type(role, model, Classifier, "a transformers model, its checkpoint or a Classifier")
        classifier = model
    if classifier.labels is not None or not type(classifier.model).__name__.endswith("ForSequenceClassification"):
        raise KselectError(
            f"The {role} is a {type(classifier.model).__name__}, and KSelectTrainer trains classifiers of whole texts: "
            "give an AutoModelForSequenceClassification, or use kselect.Distiller for words and trees.",
            setting="model" if role == "student" else "teacher",
        )
    return classifier


def as_teachers(
    given: Teacher | Sequence[Teacher] | None, student: Classifier, tokenizer: PreTrainedTokenizerBase
) -> tuple[Classifier, ...]:
    """Return the teachers.

    Raises:
        KselectError: one that cannot read the student's token ids, or whose labels have another order.
    """
    several: Sequence[Any] = [] if given is None else given if isinstance(given, list | tuple) else [given]
    teachers = tuple(as_classifier(each, tokenizer, "teacher") for each in several)
    for teacher in teachers:
        sizes = [model.config.get_text_config().vocab_size for model in (student.model, teacher.model)]
        if sizes[0] != sizes[1] or teacher.tokenizer.get_vocab() != tokenizer.get_vocab():
            raise KselectError(
                f"The teacher has a vocabulary of {sizes[1]} tokens and the student one of {sizes[0]}, or they number "
                "them otherwise, and both read train_dataset: give models with one tokenizer, or use "
                "kselect.Distiller.",
                setting="teacher",
            )
        names = [label_names(model.config) for model in (student.model, teacher.model)]
        unnamed = any(own == tuple(f"LABEL_{i}" for i in range(len(own))) for own in names)
        if names[0] != names[1] and not unnamed:
            raise KselectError(
                f"The teacher's labels are {', '.join(names[1])} and the student's {', '.join(names[0])}: give both "
                "the same id2label.",
                setting="teacher",
            )
    return teachers


def resolve_agent(
    agent: str | Agent, agent_settings: Mapping[str, Any] | None, knowledge: Sequence[str] | KnowledgeConfig | None
) -> tuple[AgentConfig | Agent, KnowledgeConfig | None]:
    """Return the agent, and the knowledge that it brings under what is given; None for the default.

    Raises:
        KselectError: an agent that has no policy, or knowledge that it cannot work with.
    """
    given = {"knowledge": list(knowledge)} if knowledge and not isinstance(knowledge, KnowledgeConfig) else {}
    if isinstance(agent, Agent):
        if isinstance(knowledge, KnowledgeConfig):
            return agent, knowledge
        names = given.get("knowledge") or (list(agent.names) if agent.names else None)
        return agent, KnowledgeConfig(knowledge=names) if names else None
    check_type("agent", agent, str, "a name, the folder of a policy, weights or an Agent")
    config = AgentConfig(agent, dict(agent_settings or {}))
    check_decider(config.agent)
    if isinstance(knowledge, KnowledgeConfig):
        check(config, knowledge)
        return config, knowledge
    return config, resolve(config, **given)


def decides_within(agent: AgentConfig | Agent) -> bool:
    """Return whether an agent must decide within the run, since it reads the state of the run, or learns in it."""
    return agent.reads_state if isinstance(agent, Agent) else reads_run(agent)


def build_task(rows: Sequence[Any], student: Classifier) -> EncodedTask:
    """Make a task of the examples of `train_dataset`, see `build_encoded_task`."""
    names = () if isinstance(student.head, Score) else label_names(student.model.config)
    return build_encoded_task(rows, names, multi_label=isinstance(student.head, Labels))


def prepare(
    student: Classifier,
    teachers: Sequence[Classifier],
    agent: AgentConfig | Agent,
    knowledge: KnowledgeConfig | None,
    phases: PhaseConfig,
    task: EncodedTask,
    args: TrainingArguments,
    steps: int,
    learning_rate: float,
) -> TrainerSetup:
    """Prepare a run of so many training steps on a task, with a peak of the learning rate.

    The student's weights are as before; random generators may have moved on.

    Raises:
        KselectError: models that the knowledge does not suit, or an agent that weighs other knowledge.
    """
    batch_size = args.train_batch_size * args.gradient_accumulation_steps
    training = TrainingConfig(
        epochs=steps / -(-len(task.splits["train"]) // batch_size),
        batch_size=batch_size,
        learning_rate=learning_rate,
        precision="bf16" if args.bf16 else "fp32",
        device=str(args.device),
    )
    knowledge = knowledge or (KnowledgeConfig() if teachers else KnowledgeConfig(knowledge=["gold"]))
    distiller = HostedDistiller(
        task, teachers, student, training, replace(knowledge, teacher_cache=0), max_length=task.longest
    )
    student.training_texts = None  # of the data set no texts are known, but token ids
    made, within = _agent_and_env(agent, distiller, phases, args.seed), decides_within(agent)
    runner = EpisodeRunner(made.agent, [made.env], seeds=[args.seed], learning=made.learning) if within else None
    plan = None if within else plan_run(made.agent, made.env)
    return TrainerSetup(distiller.batch_loss(), made.agent, plan, runner)


def _agent_and_env(agent: AgentConfig | Agent, distiller: Distiller, phases: PhaseConfig, seed: int) -> PolicySetup:
    if isinstance(agent, AgentConfig):
        return build_policy(agent, distiller, phases, seed)
    if agent.names is not None and agent.names != distiller.names:
        raise KselectError(
            f"The agent weighs {', '.join(agent.names)}, and on offer are {', '.join(distiller.names)}: offer what it "
            "weighs, in this order.",
            setting="agent",
        )
    return PolicySetup(agent, build_env(agent, distiller, phases), learning=False)
