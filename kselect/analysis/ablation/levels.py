"""The conditions of an ablation over levels of knowledge, from gold labels to all of the teacher's probabilities.

The levels are those of Tang et al. 2020 (arXiv 2002.03532): universe, domain and instance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kselect.analysis.predictions import Predictions
from kselect.config import AblationConfig, AgentConfig
from kselect.errors import KselectError
from kselect.knowledge.target_levels import kept_classes
from kselect.models.classifier import Classifier
from kselect.models.output_layer import output_layer
from kselect.tasks.task import Task

FINE_TUNE, UNIVERSE, DOMAIN, INSTANCE, BOTH, KD = "fine-tune", "label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim", "kd"
LEVELS = {UNIVERSE: "universe", DOMAIN: "domain", INSTANCE: "instance", BOTH: "instance and domain", KD: "all"}
"""What the conditions between fine-tuning and top-k transfer of the teacher's knowledge."""
HEADS = ("classes", "tagger")
"""Heads that choose among the same classes at each position, by an independent softmax."""


@dataclass(frozen=True)
class Condition:
    """One way to train the student.

    Attributes:
        level: What of the teacher's knowledge it transfers.
        knowledge: The kind of knowledge that does so; None for gold labels alone.
        top_k: Share of the classes whose probabilities are transferred; None unless it is a top-k condition.
        same_as: The condition that this one is identical to, whose students serve for it; None if it is trained.
    """

    name: str
    level: str
    knowledge: str | None
    top_k: float | None = None
    same_as: str | None = None

    def agent(self, gold_share: float) -> AgentConfig:
        """Return the agent of this condition, with `gold_share` of the loss on gold labels."""
        weights = {"gold": 1.0} if self.knowledge is None else {"gold": gold_share, self.knowledge: 1 - gold_share}
        return AgentConfig("fixed", {"weights": {name: weight for name, weight in weights.items() if weight}})


def conditions(config: AblationConfig, classes: int) -> list[Condition]:
    """Return the conditions, from fine-tuning to KD; shares of top-k that keep as many classes are one condition.

    Some conditions are identical by arithmetic. With two classes, the only information in a target is the probability
    of the gold class: `kd-pt` and `kd-pt-sim` are `kd`, and `kd-sim` is a label smoothing, that of `label-smoothing`
    where both leave the same probability to wrong classes as the teacher. Top-k that leaves out at most one class is
    `kd`, too, and a label smoothing of 0 is fine-tuning.
    """
    two = KD if classes == 2 else None
    one_smoothing = two and config.label_smoothing is None and config.similarity_mass is None
    smoothing_of = FINE_TUNE if config.label_smoothing == 0 else None
    levels = [
        Condition(FINE_TUNE, "none", None),
        Condition(UNIVERSE, LEVELS[UNIVERSE], "label-smoothing", same_as=smoothing_of),
        Condition(DOMAIN, LEVELS[DOMAIN], "kd-sim", same_as=UNIVERSE if one_smoothing else None),
        Condition(INSTANCE, LEVELS[INSTANCE], "kd-pt", same_as=two),
        Condition(BOTH, LEVELS[BOTH], "kd-pt-sim", same_as=two),
    ]
    for k, share in sorted({kept_classes(share, classes): share for share in config.top_k}.items()):
        level = f"{k} of {classes} classes"
        levels.append(Condition(f"kd-top-{k}", level, "kd-top-k", share, KD if k >= classes - 1 else None))
    return [*levels, Condition(KD, LEVELS[KD], "logits")]


def count_classes(task: Task, student: Classifier, teacher: Classifier) -> int:
    """Return the number of classes that both models choose among at each position."""
    if task.regression:
        raise KselectError(f"{task.name} is a regression: without classes there are no levels of knowledge.")
    for role, model in (("teacher", teacher), ("student", student)):
        if model.head.name not in HEADS:
            raise KselectError(
                f"The {role}'s head {model.head.name} has no levels of knowledge, since it does not choose among the "
                f"same classes at every word independently: read {task.name} as tags, with a teacher and a student "
                f"that have the head tagger."
            )
    return output_layer(student.model).out_features


MAX_MASS = 1 - 1e-5  # that can be taken from the gold label


def match_smoothing(config: AblationConfig, predictions: Predictions) -> AblationConfig:
    """Set the strength of `label-smoothing` and `kd-sim` where it is not given.

    Both then leave as much probability to wrong classes as the teacher does on average at temperature 1, at which these
    two are learned. Otherwise a stronger smoothing could be mistaken for better knowledge.
    """
    mass, classes = float(predictions.non_target_mass().mean()), predictions.classes
    smoothing, similarity = config.label_smoothing, config.similarity_mass
    if smoothing is None:
        smoothing = min(mass * classes / (classes - 1), MAX_MASS)
    similarity = min(mass, MAX_MASS) if similarity is None else similarity
    return replace(config, label_smoothing=smoothing, similarity_mass=similarity)
