"""What an explanation says, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean

from kselect.analysis.ablation.effects import CONFIRMED, CONTRADICTED, OPEN, ORDER, UNASKED
from kselect.analysis.ablation.levels import BOTH, DOMAIN, FINE_TUNE, INSTANCE, KD, UNIVERSE, Rung
from kselect.analysis.ablation.report import UNITS, Explanation, gained, shared
from kselect.analysis.class_similarity import ERASED
from kselect.analysis.target_information import Content
from kselect.analysis.teacher_profile import Teacher
from kselect.schedule import Schedule

LITTLE = 0.01  # nats beyond a label smoothing, below which a teacher says next to nothing
CERTAIN = 0.95  # of the way from knowing nothing to the gold class, beyond which all targets are nearly gold labels
FLAT = 0.1  # of that way, below which all targets are nearly uniform
UNLIKE = 1.25  # how many times as much one level leaves to wrong classes as another, from which that tells them apart
EVEN = 0.02  # nats from uniform ones, below which shares of wrong classes are as good as that: two by 60 and 40 %
NOTHING = 0.001  # of the probability, by which two levels may differ whatever the ratio
ABLE = 0.5  # of the way from chance to all of train right, from which flat targets are the temperature's doing
SINGLE = (UNIVERSE, DOMAIN, INSTANCE, BOTH)


def findings(explanation: Explanation) -> list[str]:
    """Return all there is to say: what came of the training, and what was known before it and is to mind."""
    return [
        *outcome(explanation),
        *identities(explanation.rungs, explanation.classes, explanation.teacher),
        *symptoms(explanation.teacher),
    ]


def outcome(explanation: Explanation) -> list[str]:
    """Return what came of the training: the gain, what accounts for it, and the order of the levels."""
    return [*_gain(explanation), *_order(explanation), *_better_than_its_students(explanation)]


def identities(rungs: Sequence[Rung], classes: int, teacher: Teacher) -> list[str]:
    """Say which rungs are others by arithmetic; those are not trained.

    Args:
        rungs: of the ladder.
        classes: how many there are.
        teacher: the ladder's.
    """
    said = []
    if classes == 2:
        said.append(
            f"With two classes, all that a teacher says of an example is its probability of the gold one: {INSTANCE} "
            f"and {BOTH} are {KD}, whose students stand for them, and {DOMAIN} is a label smoothing, by "
            f"{_smoothing(teacher, classes):.2g}. Relations between classes need more of them."
        )
    for rung in rungs:
        if rung.top_k is not None and rung.same_as:
            said.append(
                f"{rung.name} leaves out at most one class, whose probability is what is left: it is {KD}, whose "
                f"students stand for it."
            )
        if rung.name == DOMAIN and rung.same_as:
            said.append(f"As {UNIVERSE} is by as much, its students stand for {DOMAIN}.")
        if rung.name == UNIVERSE and rung.same_as:
            said.append(f"Label smoothing by 0 is gold labels: the students of {FINE_TUNE} stand for it.")
    return said


def symptoms(teacher: Teacher) -> list[str]:
    """Say what a teacher's probabilities lack for levels of knowledge to be passed on, before anyone is trained."""
    now, *others = teacher.contents
    relations = teacher.relations
    said = [_says(now, others), _strength(teacher)]
    if teacher.unevenness is not None and teacher.unevenness < EVEN:
        said.append(
            f"{DOMAIN} is all but a label smoothing, by {_smoothing(teacher, now.classes):.2g}: in the teacher's "
            f"output weights any class is about as like the gold one as any other (shares {teacher.unevenness:.3f} "
            f"nats from uniform ones)."
        )
    elif relations is not None and relations.told_by_similarities is not None:
        said.append(
            f"Of what it says of wrong classes, how alike its output weights are ({DOMAIN}, {BOTH}) tells "
            f"{_percent(relations.told_by_similarities)}"
            + (", which is worse than nothing." if relations.told_by_similarities < 0 else ".")
        )
    more = max(others, key=lambda content: content.total)
    elsewhere = f"At temperature {more.temperature:g} it would say {more.total:.3f} nats."
    if now.certainty < FLAT and now.skill < ABLE:
        said.append(
            f"The teacher knows little: it is right on {_percent(now.accuracy)} of train, and gives the gold class "
            f"{_percent(now.confidence, 1)}, where one of {now.classes} that are alike has "
            f"{_percent(1 / now.classes, 1)}. "
            + (
                "Check the order of its labels first, as `kselect doctor` does: guessing is better."
                if now.accuracy < 0.5 / now.classes
                else "Train it first."
            )
        )
    elif now.certainty < FLAT:
        said.append(
            f"Temperature {now.temperature:g} leaves the gold class {_percent(now.confidence, 1)}, where one of "
            f"{now.classes} that are alike has {_percent(1 / now.classes, 1)}: targets are all but uniform. What is "
            f"learned then is the teacher's scores, those of classes that are out of the question as much as any "
            f"(Hinton et al., 2015). Lower --temperature. {elsewhere}"
        )
    elif now.certainty > CERTAIN and now.total < LITTLE:
        said.append(
            f"At temperature {now.temperature:g} the teacher gives the gold class {_percent(now.confidence, 1)} on "
            f"train, ± {100 * now.spread:.1f}: it is as sure of one example as of another, so that its confidence "
            f"rescales nothing, and distillation is all but fine-tuning. Raise --temperature, or train the teacher for "
            f"fewer epochs. {elsewhere}"
        )
    if relations is not None and relations.strength < ERASED and now.skill >= ABLE:
        said.append(
            f"Wrong classes are all but alike to the teacher ({_percent(relations.strength, 1)} of how far they could "
            f"differ, at temperature 1): either no two of them are related, or their relations are erased, as in a "
            f"teacher that was trained with label smoothing. Train it without."
        )
    return said


def _strength(teacher: Teacher) -> str:
    smoothing, (universe, domain, own) = teacher.config.label_smoothing, teacher.left.values()
    return (
        f"Of the gold label {UNIVERSE} (by {smoothing:.3g}) leaves {_percent(universe, 1)} to wrong classes, {DOMAIN} "
        f"{_percent(domain, 1)}, the teacher {_percent(own, 1)} at temperature 1."
    )


def _smoothing(teacher: Teacher, classes: int) -> float:
    """Return the share of the label smoothing that leaves as much to wrong classes as `kd-sim` does."""
    return teacher.left[DOMAIN] * classes / (classes - 1)


def _says(now: Content, others: Sequence[Content]) -> str:
    parts = {"instance": "its confidence in each", "domain": "what classes have in common", "rest": "what is left"}
    told = ", ".join(f"{_percent(share)} by {parts[name]}" for name, share in now.shares.items())
    there = ", ".join(f"{content.total:.3f} at {content.temperature:g}" for content in others)
    return (
        f"Of train the teacher says {now.total:.3f} nats a label beyond a label smoothing at temperature "
        f"{now.temperature:g} ({there})" + (f": {told}." if told else ".")
    )


def _gain(explanation: Explanation) -> Iterator[str]:
    split, unit, seeds = explanation.decomposition, explanation.unit, len(explanation.seeds)
    gain = split.gains[KD]
    told = "" if gain.sign() else f", which {_noise(seeds)} does not tell from nothing"
    other = "score" if explanation.measure == "loss" else "loss"
    beside = explanation.gain(KD, other)
    yield (
        f"Distillation gains {gained(gain, unit)} {unit} on dev over fine-tuning{told}; in "
        f"{'cross-entropy' if other == 'loss' else 'score'}, {gained(beside, UNITS[other])} {UNITS[other]}."
    )
    if seeds == 1:
        yield "One seed shows no noise, so nothing is told apart: give --seeds 0,1,2 or more."
    if not split.shares:
        such = "gain" if gain.mean <= 0 else "such gain"
        yield f"So there is no {such} to account for, and there are no shares of it."
        return
    trained = [rung for rung in explanation.rungs if rung.name in SINGLE and rung.same_as is None]
    shares = [f"{rung.name} ({rung.level}) {shared(split.shares[rung.name])}" for rung in trained]
    yield f"What each level by itself has of that gain, and they overlap: {', '.join(shares)}."


def _order(explanation: Explanation) -> Iterator[str]:
    split, unit = explanation.decomposition, explanation.unit
    order = "The order instance > domain > universe"
    if split.order == UNASKED:
        yield f"{order} is not asked of two classes."
        yield from _caveats(explanation)
        return
    leads = [f"{first} {gained(split.leads[first, second], unit)} {unit} over {second}" for first, second in ORDER]
    if split.order == CONFIRMED:
        yield f"{order} is confirmed: {leads[0]}, {leads[1]}."
    elif split.order == CONTRADICTED:
        against = [
            lead for pair, lead in zip(ORDER, leads, strict=True) if split.leads[pair].sign(tests=len(ORDER)) < 0
        ]
        yield f"{order} is contradicted: {', '.join(against)}."
    elif split.order == OPEN:
        yield f"{order} is not told apart by {_noise(len(explanation.seeds))}: {', '.join(leads)}."
    yield from _caveats(explanation)


def _caveats(explanation: Explanation) -> Iterator[str]:
    """Say what but their knowledge may tell the levels apart."""
    config = explanation.teacher.config
    if Schedule.parse(config.temperature, "temperature") != Schedule(1.0, 1.0):
        yield (
            f"That is at temperature {config.temperature}, at which {UNIVERSE} and {DOMAIN} are not softened as the "
            f"others are: --temperature 1 compares levels alone."
        )
    left = explanation.teacher.left
    least, most = min(left.values()), max(left.values())
    if most > UNLIKE * least and most - least > NOTHING:
        told = ", ".join(f"{_percent(share, 1)} from {name}" for name, share in left.items())
        yield f"Wrong classes do not get the same from all ({told}), so that a level may be ahead by that alone."


def _better_than_its_students(explanation: Explanation) -> Iterator[str]:
    """Compare scores, whatever gains are told in: a teacher's loss may be high for being too sure alone."""
    runs = explanation.runs[FINE_TUNE].values()
    ours, theirs = explanation.teacher.metrics["score"], mean(run["metrics"]["score"] for run in runs)
    if ours <= theirs:
        gains = explanation.decomposition.gains[KD].sign() > 0
        yield (
            f"The teacher is no better than a student without it ({100 * ours:.1f} against {100 * theirs:.1f} points "
            f"of score on dev)"
            + (
                ", and yet its student gains."
                if gains
                else ": there is little to gain from it. Train a better teacher."
            )
        )


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _noise(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"the noise of {seeds} seeds"
