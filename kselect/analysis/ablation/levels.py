"""The ladder of targets, from gold labels to all that a teacher says (Tang et al. 2020, arXiv 2002.03532)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kselect.analysis.predictions import Sample
from kselect.config import AgentConfig, LadderConfig
from kselect.errors import KselectError
from kselect.knowledge.target_levels import kept_classes
from kselect.models.classifier import Classifier
from kselect.models.output_layer import output_layer
from kselect.tasks.task import Task

FINE_TUNE, UNIVERSE, DOMAIN, INSTANCE, BOTH, KD = "fine-tune", "label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim", "kd"
LEVELS = {UNIVERSE: "universe", DOMAIN: "domain", INSTANCE: "instance", BOTH: "instance and domain", KD: "all"}
"""What the rungs between fine-tuning and top-k pass on of what the teacher says."""
HEADS = ("classes", "tagger")
"""Heads that choose among the same classes at each place, by a softmax of its own."""


@dataclass(frozen=True)
class Rung:
    """One way to teach a student.

    name: of the way. level: what of the teacher it passes on. knowledge: the kind that does so; None for gold labels
    alone. top_k: the share of the classes that it keeps, where it is top-k. same_as: the rung that it is by arithmetic,
    whose students serve for it.
    """

    name: str
    level: str
    knowledge: str | None
    top_k: float | None = None
    same_as: str | None = None

    def agent(self, gold_share: float) -> AgentConfig:
        """Return the agent that teaches so, with this share of gold labels beside the knowledge."""
        weights = {"gold": 1.0} if self.knowledge is None else {"gold": gold_share, self.knowledge: 1 - gold_share}
        return AgentConfig("fixed", {"weights": {name: weight for name, weight in weights.items() if weight}})


def ladder(config: LadderConfig, classes: int) -> list[Rung]:
    """Return the rungs for so many classes, from fine-tuning to KD; shares of top-k that keep as many are one rung.

    With two classes, all that a teacher can say of an example is its probability of the gold class: `kd-pt` and
    `kd-pt-sim` are `kd`, and `kd-sim` is a label smoothing: the one that is there, where both leave as much to wrong
    classes as the teacher does. Top-k that leaves out at most one class, whose probability is the rest, is `kd`, too;
    and a label smoothing by nothing is fine-tuning.
    """
    two = KD if classes == 2 else None
    one_smoothing = two and config.label_smoothing is None and config.similarity_mass is None
    rungs = [
        Rung(FINE_TUNE, "none", None),
        Rung(UNIVERSE, LEVELS[UNIVERSE], "label-smoothing", same_as=FINE_TUNE if config.label_smoothing == 0 else None),
        Rung(DOMAIN, LEVELS[DOMAIN], "kd-sim", same_as=UNIVERSE if one_smoothing else None),
        Rung(INSTANCE, LEVELS[INSTANCE], "kd-pt", same_as=two),
        Rung(BOTH, LEVELS[BOTH], "kd-pt-sim", same_as=two),
    ]
    for k, share in sorted({kept_classes(share, classes): share for share in config.top_k}.items()):
        level = f"{k} of {classes} classes"
        rungs.append(Rung(f"kd-top-{k}", level, "kd-top-k", share, KD if k >= classes - 1 else None))
    return [*rungs, Rung(KD, LEVELS[KD], "logits")]


def count_classes(task: Task, student: Classifier, teacher: Classifier) -> int:
    """Return among how many classes both models choose, place by place.

    Raises:
        KselectError: there are none, or they hang together, so that there are no levels to tell apart.
    """
    if task.regression:
        raise KselectError(
            f"{task.name} is a regression: it has no classes, and so no levels of knowledge to tell apart."
        )
    for which, model in (("teacher", teacher), ("student", student)):
        if model.head.name not in HEADS:
            raise KselectError(
                f"The {which}'s head {model.head.name} has no levels of knowledge to tell apart, since it does not "
                f"choose among the same classes at every word by itself: take {task.name} as tags, and a teacher and "
                f"a student that were trained with --head tagger."
            )
    return output_layer(student.model).out_features


MOST = 1 - 1e-5  # that can be taken off the gold label


def matched(config: LadderConfig, sample: Sample) -> LadderConfig:
    """Fill in how strong `label-smoothing` and `kd-sim` are, where that is not given.

    Both then leave to wrong classes what the teacher does on the average of `sample` at temperature 1, at which these
    two are learned. Otherwise the stronger smoothing of two levels might pass for the better knowledge.

    Args:
        config: of the ladder.
        sample: what the teacher says of train.
    """
    left = float(sample.of_wrong().mean())
    smoothing, mass = config.label_smoothing, config.similarity_mass
    if smoothing is None:
        smoothing = min(left * sample.classes / (sample.classes - 1), MOST)
    return replace(config, label_smoothing=smoothing, similarity_mass=min(left, MOST) if mass is None else mass)
