"""The findings of an ablation, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean

from kselect.analysis.ablation.effects import CONFIRMED, CONTRADICTED, NOT_APPLICABLE, ORDER
from kselect.analysis.ablation.levels import BOTH, DOMAIN, FINE_TUNE, INSTANCE, KD, UNIVERSE, Condition
from kselect.analysis.ablation.report import UNITS, Explanation, format_gain, format_share
from kselect.analysis.ablation.teacher import AblationTeacher
from kselect.analysis.class_similarity import ERASED
from kselect.schedule import Schedule

LITTLE = 0.01  # nats beyond a label smoothing, below which a teacher has almost no information
CERTAIN = 0.95  # certainty above which all targets are nearly gold labels
FLAT = 0.1  # certainty below which all targets are nearly uniform
UNEQUAL = 1.25  # ratio of two masses from which on the difference in mass alone may separate two levels
NEGLIGIBLE = 0.001  # difference in mass that is ignored at any ratio
EVEN = 0.02  # nats from uniform, below which shares of wrong classes are practically uniform: two of 60 and 40 %
ABLE = 0.5  # skill on train from which on flat targets are due to the temperature
SINGLE = (UNIVERSE, DOMAIN, INSTANCE, BOTH)


def findings(explanation: Explanation) -> list[str]:
    """Return all findings: those of the trained students, and those known before training."""
    return [
        *outcome(explanation),
        *identities(explanation.conditions, explanation.classes, explanation.teacher),
        *symptoms(explanation.teacher),
    ]


def outcome(explanation: Explanation) -> list[str]:
    """Return the findings of the trained students: the gain, what accounts for it, and the order of the levels."""
    return [*_gain(explanation), *_order(explanation), *_weak_teacher(explanation)]


def warnings(teacher: AblationTeacher, constant: float) -> list[str]:
    """Warn of a teacher that scores no better on dev than the constant prediction, before any training."""
    score = teacher.profile.metrics["score"]
    if score > constant:
        return []
    return [
        f"Warning: the teacher is no better than the constant prediction ({100 * score:.1f} against "
        f"{100 * constant:.1f} points of score on dev), so that there is nothing to explain: train it first."
    ]


def identities(conditions: Sequence[Condition], classes: int, teacher: AblationTeacher) -> list[str]:
    """Report which conditions are identical by arithmetic; these are not trained."""
    sentences = []
    if classes == 2:
        sentences.append(
            f"With two classes, the probability of the gold class is all the information in a target: {INSTANCE} and "
            f"{BOTH} are identical to {KD}, and {DOMAIN} is a label smoothing of {_smoothing(teacher):.2g}. Relations "
            f"between classes need three or more."
        )
    for condition in conditions:
        if condition.top_k is not None and condition.same_as:
            sentences.append(f"{condition.name} leaves out at most one class, so it is identical to {KD}.")
        if condition.name == DOMAIN and condition.same_as:
            sentences.append(f"{DOMAIN} has the same strength as {UNIVERSE}, so it is identical to it.")
        if condition.name == UNIVERSE and condition.same_as:
            sentences.append(f"Label smoothing of 0 is gold labels: {UNIVERSE} is identical to {FINE_TUNE}.")
    return sentences


def symptoms(teacher: AblationTeacher) -> list[str]:
    """Report what a teacher's probabilities lack for a level of knowledge to be transferred, before any training."""
    return [*_information(teacher), *_similarity(teacher), *_certainty(teacher), *_relations(teacher)]


def _information(teacher: AblationTeacher) -> Iterator[str]:
    now, *others = teacher.profile.information
    names = {"instance": "its confidence in each example", "domain": "relations between classes", "rest": "the rest"}
    shares = ", ".join(f"{_percent(share)} from {names[name]}" for name, share in now.shares.items())
    elsewhere = ", ".join(f"{information.total:.3f} at {information.temperature:g}" for information in others)
    yield (
        f"On train the teacher's targets have {now.total:.3f} nats of information per label beyond label smoothing at "
        f"temperature {now.temperature:g} ({elsewhere})" + (f": {shares}." if shares else ".")
    )
    universe, domain, own = teacher.non_target_mass.values()
    yield (
        f"Wrong classes get {_percent(universe, 1)} of the probability from {UNIVERSE} (label smoothing of "
        f"{teacher.config.label_smoothing:.3g}), {_percent(domain, 1)} from {DOMAIN}, and {_percent(own, 1)} from the "
        f"teacher at temperature 1."
    )


def _similarity(teacher: AblationTeacher) -> Iterator[str]:
    kl, relations = teacher.profile.similarity_kl, teacher.profile.relations
    if kl is not None and kl < EVEN:
        yield (
            f"{DOMAIN} is practically a label smoothing of {_smoothing(teacher):.2g}: by the teacher's output weights "
            f"all classes are about equally similar to the gold class ({kl:.3f} nats from uniform shares)."
        )
    elif relations is not None and relations.explained_by_similarity is not None:
        explained = relations.explained_by_similarity
        yield (
            f"Similarity of the output weights ({DOMAIN}, {BOTH}) explains {_percent(explained)} of the information "
            f"about wrong classes" + (", worse than uniform shares." if explained < 0 else ".")
        )


def _certainty(teacher: AblationTeacher) -> Iterator[str]:
    now, *others = teacher.profile.information
    most = max(others, key=lambda information: information.total)
    elsewhere = f"At temperature {most.temperature:g} the targets would have {most.total:.3f} nats."
    uniform = f"{_percent(now.confidence, 1)}, against {_percent(1 / now.classes, 1)} for uniform targets"
    if now.certainty < FLAT and now.skill < ABLE:
        remedy = "Train it first."
        if now.accuracy < 0.5 / now.classes:
            remedy = "That is below chance: check the order of its labels."
        yield (
            f"The teacher is undertrained: its accuracy on train is {_percent(now.accuracy)}, and the mean probability "
            f"of the gold class is {uniform}. {remedy}"
        )
    elif now.certainty < FLAT:
        yield (
            f"At temperature {now.temperature:g} targets are nearly uniform: the mean probability of the gold class is "
            f"{uniform}. The student then matches the teacher's logits, those of implausible classes as much as any "
            f"(Hinton et al., 2015). Lower the temperature. {elsewhere}"
        )
    elif now.certainty > CERTAIN and now.total < LITTLE:
        yield (
            f"At temperature {now.temperature:g} targets are nearly gold labels: on train the gold class has a "
            f"probability of {_percent(now.confidence, 1)} with a standard deviation of {100 * now.spread:.1f} points, "
            f"so that distillation is practically fine-tuning. Raise the temperature, or train the teacher for fewer "
            f"epochs. {elsewhere}"
        )


def _relations(teacher: AblationTeacher) -> Iterator[str]:
    relations = teacher.profile.relations
    if relations is not None and relations.strength < ERASED and teacher.profile.information[0].skill >= ABLE:
        yield (
            f"The teacher hardly distinguishes wrong classes ({_percent(relations.strength, 1)} of the largest "
            f"divergence from uniform shares, at temperature 1): either no classes are related, or their relations are "
            f"erased, as in a teacher trained with label smoothing. Train it without label smoothing."
        )


def _smoothing(teacher: AblationTeacher) -> float:
    """Return the label smoothing that leaves as much to wrong classes as `kd-sim` does."""
    classes = len(teacher.profile.labels)
    return teacher.non_target_mass[DOMAIN] * classes / (classes - 1)


def _gain(explanation: Explanation) -> Iterator[str]:
    effects, unit, seeds = explanation.decomposition, explanation.unit, len(explanation.seeds)
    gain = effects.gains[KD]
    significance = "" if gain.is_significant else f", not significant over {_seeds(seeds)}"
    other = "score" if explanation.measure == "loss" else "loss"
    yield (
        f"Distillation gains {format_gain(gain, unit)} {unit} on dev over fine-tuning{significance}; in "
        f"{'cross-entropy' if other == 'loss' else 'score'}, {format_gain(explanation.gain(KD, other), UNITS[other])} "
        f"{UNITS[other]}."
    )
    if seeds == 1:
        yield "A single seed gives no error estimate: use three seeds or more."
    if not effects.shares:
        yield f"There is no {'' if gain.mean <= 0 else 'significant '}gain to decompose into shares."
        return
    trained = [c for c in explanation.conditions if c.name in SINGLE and c.same_as is None]
    shares = [f"{c.name} ({c.level}) {format_share(effects.shares[c.name])}" for c in trained]
    yield f"Share of that gain that each level reaches alone (they overlap): {', '.join(shares)}."


def _order(explanation: Explanation) -> Iterator[str]:
    effects, unit = explanation.decomposition, explanation.unit
    order = "The order instance > domain > universe"
    leads = {pair: f"{pair[0]} {format_gain(effects.leads[pair], unit)} {unit} over {pair[1]}" for pair in ORDER}
    if effects.order == NOT_APPLICABLE:
        yield f"{order} does not apply to two classes."
    elif effects.order == CONFIRMED:
        yield f"{order} is confirmed: {leads[ORDER[0]]}, {leads[ORDER[1]]}."
    elif effects.order == CONTRADICTED:
        yield f"{order} is contradicted: {', '.join(leads[pair] for pair in effects.reversed_pairs)}."
    else:
        yield f"{order} is not significant over {_seeds(len(explanation.seeds))}: {', '.join(leads.values())}."
    yield from _caveats(explanation.teacher)


def _caveats(teacher: AblationTeacher) -> Iterator[str]:
    """Report differences between the levels other than their knowledge."""
    temperature, mass = teacher.config.temperature, teacher.non_target_mass
    if Schedule.parse(temperature, "temperature") != Schedule(1.0, 1.0):
        yield (
            f"At temperature {temperature} {UNIVERSE} and {DOMAIN} are not softened as the other levels are: use "
            f"temperature 1 to compare levels alone."
        )
    least, most = min(mass.values()), max(mass.values())
    if most > UNEQUAL * least and most - least > NEGLIGIBLE:
        masses = ", ".join(f"{_percent(share, 1)} from {name}" for name, share in mass.items())
        yield f"Wrong classes get unequal probability ({masses}), which alone may put a level ahead."


def _weak_teacher(explanation: Explanation) -> Iterator[str]:
    """Compare scores, not losses, since an overconfident teacher may have a high loss for that reason alone."""
    runs = explanation.runs[FINE_TUNE].values()
    teacher = explanation.teacher.profile.metrics["score"]
    students = mean(run["metrics"]["score"] for run in runs)
    if teacher <= students:
        gains = explanation.decomposition.gains[KD].low > 0
        yield (
            f"The teacher is no better than a fine-tuned student ({100 * teacher:.1f} against {100 * students:.1f} "
            f"points of score on dev)" + (", and yet its student gains." if gains else ": train a better teacher.")
        )


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
