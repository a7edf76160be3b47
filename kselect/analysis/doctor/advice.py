"""What to do with a teacher, by what it says of a few hundred examples."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kselect.analysis.class_similarity import ERASED
from kselect.analysis.doctor.compatibility import Pair
from kselect.analysis.doctor.cost import Cost
from kselect.analysis.doctor.diagnosis import SOFTEST, Diagnosis
from kselect.analysis.doctor.examination import Examination
from kselect.stats import ClusteredEstimate as Estimate


@dataclass(frozen=True)
class Claim:
    """That students under one knowledge score better than under another, or no better.

    Names are of knowledge: `gold` for gold labels alone, any other for it beside gold labels, `all` for everything on
    offer; `logits@3` is `logits` at temperature 3, `kd-top-5` is `kd-top-k` with the 5 largest kept.
    """

    name: str
    other: str
    better: bool

    def __str__(self) -> str:
        """Say it."""
        return f"{self.name} {'better' if self.better else 'no better'} than {self.other}"


@dataclass(frozen=True)
class Advice:
    """A sentence of advice with the numbers behind it.

    kind: what it is about, in a word. numbers: by name, shares in [0, 1], losses in nats,
    time in seconds. claim: what scores of students can show; None where it is of something else.
    """

    kind: str
    sentence: str
    numbers: dict[str, float]
    claim: Claim | None = None


# Rules of thumb, all of them: what they are worth, `judging` is to find out.
FAINT = 0.01  # probability of all wrong classes together below which no student hears of them
SHARED = 0.5  # part of what is said of wrong classes, from which on similarities of classes can stand for it
SAME = 0.1  # width of the probability of gold labels, below which all examples count alike
CERTAIN = 0.95  # of that probability, from which on labels are as good as gold ones
OVERSURE = 0.05  # how much surer on train than right on held-out examples
LITTLE = 0.02  # of accuracy, and in nats, below which a teacher is ahead by as good as nothing

HELPS, HELPS_NOT = (Claim("logits", "gold", better) for better in (True, False))


def of_teacher(diagnosis: Diagnosis) -> list[Advice]:
    """Return the advice that follows from a teacher's scores alone; of one that is not to be distilled, just that."""
    labels, worth = _labels(diagnosis), _worth(diagnosis)
    if diagnosis.order.clear:  # until the order is settled nothing is known of what the teacher is worth
        worth = replace(worth, claim=None)
    if is_hopeless(diagnosis):
        return [*labels, worth]
    return [
        *labels,
        worth,
        _temperature(diagnosis),
        _instances(diagnosis),
        _relations(diagnosis),
        *_similarities(diagnosis),
        *_top_k(diagnosis),
    ]


def is_hopeless(diagnosis: Diagnosis) -> bool:
    """Say whether this teacher is not to be distilled as it is, by no knowledge and at no temperature."""
    return diagnosis.order.clear or _is_worse(diagnosis) or _knows_nothing(diagnosis)


def _is_worse(diagnosis: Diagnosis) -> bool:
    return diagnosis.ahead.below_zero and not diagnosis.information.above_zero


def _knows_nothing(diagnosis: Diagnosis) -> bool:
    ahead, information = diagnosis.ahead, diagnosis.information
    if ahead.above_zero or information.above_zero:
        return False
    return ahead.below(LITTLE) and information.below(LITTLE)


def _labels(diagnosis: Diagnosis) -> list[Advice]:
    order, found = diagnosis.order, []
    if order.clear:
        meant = ", ".join(diagnosis.labels[i] for i in order.meant)
        sentence = (
            f"Check the order of labels first: of {order.judged} held-out answers {order.right:.1%} are right as the "
            f"labels are named, {order.right_as_meant:.1%} if they mean {meant} (id2label in its config.json)."
        )
        numbers = {"right": order.right, "right_as_meant": order.right_as_meant, "judged": float(order.judged)}
        found.append(Advice("labels", sentence, numbers))
    if diagnosis.never_answered:
        sentence = (
            f"Look at {', '.join(diagnosis.never_answered)}: never an answer of the teacher's, and five times or more "
            f"the right one."
        )
        found.append(Advice("classes", sentence, {"never_answered": float(len(diagnosis.never_answered))}))
    return found


def _worth(diagnosis: Diagnosis) -> Advice:
    held, ahead, information = diagnosis.held, diagnosis.ahead, diagnosis.information
    numbers = {
        "accuracy": held.accuracy.value,
        "constant": diagnosis.constant.value,
        "ahead": ahead.value,
        "ahead_error": ahead.error,
        "information": information.value,
        "information_error": information.error,
    }
    right = f"it is right on {held.accuracy.value:.1%} of {held.places} held-out answers"
    both = f"{right}, the constant prediction on {diagnosis.constant.value:.1%} (difference {_points(ahead)})"
    if _is_worse(diagnosis):
        return Advice("worth", f"Do not distil this teacher: {both}.", numbers, HELPS_NOT)
    if _knows_nothing(diagnosis):
        sentence = (
            f"This teacher is not worth distilling: {both}, and its probabilities say no more of labels than how "
            f"frequent they are ({_nats(information)})."
        )
        return Advice("worth", sentence, numbers, HELPS_NOT)
    if not ahead.above_zero and not information.above_zero:
        sentence = (
            f"Not told whether this teacher is worth distilling: {both}, and what its probabilities say beyond how "
            f"frequent labels are is {_nats(information)}. More held-out examples would tell: raise --examples, or "
            f"--reward_fraction."
        )
        return Advice("worth", sentence, numbers)
    if diagnosis.probe is not None and diagnosis.ahead_of_probe is not None:
        numbers |= {"probe": diagnosis.probe.value, "ahead_of_probe": diagnosis.ahead_of_probe.value}
        if not diagnosis.ahead_of_probe.above_zero:
            little = diagnosis.ahead_of_probe.below(LITTLE)
            told = f"{right}, a linear probe of the untrained student on {diagnosis.probe.value:.1%}"
            difference = f"(difference {_points(diagnosis.ahead_of_probe)})"
            sentence = (
                f"Expect little of this teacher: {told} {difference}."
                if little
                else f"Not told whether this teacher knows more than its student: {told} {difference}. More held-out "
                f"examples would tell: raise --examples, or --reward_fraction."
            )
            return Advice("worth", sentence, numbers, HELPS_NOT if little else None)
    if not ahead.above_zero:
        sentence = (
            f"Distil its probabilities rather than its answers: {both}, but its probabilities say more of labels than "
            f"how frequent they are ({_nats(information)})."
        )
        return Advice("worth", sentence, numbers, HELPS)
    return Advice("worth", f"Worth distilling: {both}.", numbers, HELPS)


def _temperature(diagnosis: Diagnosis) -> Advice:
    best, held, used = diagnosis.temperature, diagnosis.held, diagnosis.used_temperature
    oversure = diagnosis.train.confidence - held.accuracy.value
    numbers = {
        "temperature": best.value,
        "loss_before": diagnosis.loss_in_use,
        "truer": diagnosis.truer.value,
        "truer_error": diagnosis.truer.error,
        "calibration_error": held.calibration_error,
        "oversure": oversure,
        "slope": diagnosis.oversure.value,
        "slope_error": diagnosis.oversure.error,
    }
    better = diagnosis.advised_temperature
    loss = diagnosis.loss_in_use
    told = (
        f"held-out loss {loss:.3f} at {used:g}, {loss - diagnosis.truer.value:.3f} at {better:g}, calibration error "
        f"{held.calibration_error:.1%} at 1"
    )
    if best.bounded:
        right = held.accuracy.value == 1
        why = "nothing is too sure, where every answer is right" if right else "it is at an end of the range"
        return Advice("temperature", f"No temperature suits held-out labels best: {why} ({told}).", numbers)
    if better == used and diagnosis.oversure.below_zero:
        sentence = (
            f"Leave --temperature at {used:g}: the teacher is less sure than it is right, as after too short a "
            f"training ({told})."
        )
        return Advice("temperature", sentence, numbers)
    if not diagnosis.truer.above_zero or diagnosis.truer.value < LITTLE:
        sentence = (
            f"Leave --temperature at {used:g}: its probabilities are not told to be truer, by {LITTLE:g} nats or more, "
            f"at another from 1 to {SOFTEST:g} ({told})."
        )
        return Advice("temperature", sentence, numbers)
    sure = f"; on train it is {100 * oversure:.0f} points surer than right on held-out" if oversure > OVERSURE else ""
    sentence = (
        f"{'Raise' if better > used else 'Lower'} --temperature to {better:g} (now {used:g}), at which its "
        f"probabilities are truer ({told}{sure})."
    )
    return Advice("temperature", sentence, numbers, Claim(f"logits@{better:g}", "logits", better=True))


def _instances(diagnosis: Diagnosis) -> Advice:
    factors, soft, train = diagnosis.factors, diagnosis.softened_factors, diagnosis.train
    used, (least, most) = diagnosis.used_temperature, diagnosis.gold_range
    numbers = {
        "low": factors.low,
        "high": factors.high,
        "softened_low": soft.low,
        "softened_high": soft.high,
        "train_confidence": train.confidence,
        "gold_low": least,
        "gold_high": most,
    }
    told = (
        f"it would rescale the gradients of nine tenths of train by {soft.low:.2f} to {soft.high:.2f} at temperature "
        f"{used:g}"
    ) + ("" if used == 1 else f", by {factors.low:.2f} to {factors.high:.2f} at 1")
    two = diagnosis.relations is None  # of two classes kd-pt is logits, which is the one to name
    name = "logits" if two else "kd-pt"
    if most - least < SAME:
        # Factors are no measure of it: a probe, too, is surer of some examples than of others.
        gold = f"It gives the gold class {least:.1%} to {most:.1%} on 98 of 100 examples of train"
        same = f"{gold} at temperature {used:g}: {told}"
        if least >= CERTAIN:
            sentence = f"It is certain of all examples alike. {same}. {name} is little more than gold labels."
            # Whether logits is better than gold is what `_worth` claims.
            return Advice("instances", sentence, numbers, None if two else Claim(name, "gold", better=False))
        sentence = f"It is as sure of one example as of another. {same}. {name} is little more than a label smoothing."
        return Advice("instances", sentence, numbers, Claim(name, "label-smoothing", better=False))
    sentence = f"Its confidence tells examples apart: {told}. {name} transfers that{'' if two else ' alone'}."
    return Advice("instances", sentence, numbers, Claim(name, "label-smoothing", better=True))


def _relations(diagnosis: Diagnosis) -> Advice:
    relations, used = diagnosis.relations, diagnosis.used_temperature
    no_more = Claim("logits", "kd-pt", better=False)
    if relations is None:
        sentence = (
            "Two classes have no relations: kd-sim is a label smoothing, kd-pt and kd-top-k are logits. Leave them out."
        )
        return Advice("relations", sentence, {"classes": 2.0})  # by arithmetic, which no score need bear out
    numbers = {"strength": relations.strength, "mass": relations.mass}
    told = f"{relations.strength:.1%} of the way from all wrong classes alike to one of them alone"
    if relations.strength < ERASED:
        sentence = (
            f"Wrong classes are all but alike to it ({told}): none are related, or label smoothing has erased how. "
            f"logits says no more than kd-pt."
        )
        return Advice("relations", sentence, numbers, no_more)
    if relations.mass < FAINT:
        sentence = (
            f"Relations of classes are there ({told}), but all wrong classes together have {relations.mass:.2%} on "
            f"train at temperature {used:g}: too little to be heard, unless at a higher one."
        )
        return Advice("relations", sentence, numbers, no_more)
    sentence = (
        f"It tells which wrong classes are nearly right: {told}, and they have {relations.mass:.1%} on train at "
        f"temperature {used:g}. logits transfers that, kd-pt does not."
    )
    return Advice("relations", sentence, numbers, Claim("logits", "kd-pt", better=True))


def _similarities(diagnosis: Diagnosis) -> list[Advice]:
    relations = diagnosis.relations
    if relations is None or relations.told_by_similarities is None:
        return []
    if relations.strength < ERASED or relations.mass < FAINT:  # there is nothing, or nothing that is heard
        return []
    told, claim = relations.told_by_similarities, None
    if told >= SHARED:
        sentence = (
            f"Similarities of classes can stand for these relations: they tell {told:.1%} of them. Try kd-pt-sim."
        )
        claim = Claim("kd-pt-sim", "kd-pt", better=True)
    elif told > 0:
        sentence = f"Similarities of classes tell {told:.1%} of these relations, which kd-pt-sim transfers."
    else:
        sentence = (
            f"Similarities of classes mislead: these relations are further from them than from none ({told:.1%} of "
            f"them told). Leave out kd-pt-sim and kd-sim, or try another --similarity_temperature."
        )
        claim = Claim("kd-pt-sim", "kd-pt", better=False)
    return [Advice("similarities", sentence, {"told": told}, claim)]


def _top_k(diagnosis: Diagnosis) -> list[Advice]:
    top = diagnosis.top_k
    if top is None:
        return []
    numbers = {"k": float(top.k), "classes": float(top.classes), "gain": top.gain.value, "gain_error": top.gain.error}
    if top.all_kept:
        half = max(1, min(round(top.classes / 2), top.classes - 2))  # with one class left out it would be all of them
        sentence = f"Keep all {top.classes} probabilities: fewer of the largest tell less of held-out labels."
        return [Advice("top-k", sentence, numbers, Claim(f"kd-top-{half}", "logits", better=False))]
    without = f"without those beyond the {top.k} largest of {top.classes}, held-out labels cost {_nats(top.gain)} less"
    if top.gain.above_zero:
        sentence = f"Take kd-top-k with --top_k {top.share:g}: {without}."
    else:
        sentence = (
            f"Nothing is gained by leaving probabilities out: {without}; kd-top-k with --top_k {top.share:g} says as "
            f"much as logits."
        )
    return [Advice("top-k", sentence, numbers, Claim(f"kd-top-{top.k}", "logits", better=top.gain.above_zero))]


def _points(difference: Estimate) -> str:
    return f"{100 * difference.value:+.1f} ± {100 * difference.error:.1f} points"


def _nats(gain: Estimate) -> str:
    return f"{gain.value:+.3f} ± {gain.error:.3f} nats"


CUT = 0.05  # share of texts that lose words


def of_obstacle(obstacle: str) -> Advice:
    """Return the advice on two models that cannot be distilled."""
    return Advice("models", f"These two models cannot be distilled as they are. {obstacle}", {})


def of_pair(pair: Pair, helps: bool) -> list[Advice]:
    """Return the advice that follows from how teacher and student go together.

    `helps`: whether the teacher is worth distilling; without that nothing is claimed of what it has to give.
    """
    fitting = [fit for fit in pair.fits if fit.obstacle is None]
    projected = [fit.name for fit in fitting if fit.projected]
    unfit = [fit.name for fit in pair.fits if fit.obstacle is not None]
    live = [fit.name for fit in fitting if not fit.cached]
    numbers = {
        "kinds": float(len(fitting)),
        "projected": float(len(projected)),
        "student_width": float(pair.widths[0]),
        "teacher_width": float(pair.widths[1]),
    }
    found = []
    if fitting:
        names = ", ".join(fit.name for fit in fitting)
        maps = f"{', '.join(projected)} by learned maps" if projected else "none needs a learned map"
        inner = any(fit.layer_map for fit in fitting)
        found.append(
            Advice(
                "knowledge",
                f"Offer {names}: {pair.layers[0]} layers of {pair.widths[0]} dimensions against {pair.layers[1]} of "
                f"{pair.widths[1]}, {maps}." + (f" Leave out {', '.join(unfit)}." if unfit else ""),
                numbers,
                Claim("all", "logits", better=True) if helps and inner and not projected else None,
            )
        )
    if live:
        names, needed = ", ".join(live), pair.bytes / 2**30
        sentence = (
            f"{names} would not fit into --teacher_cache {pair.limit / 2**30:g}, and cost a pass of the teacher in "
            f"each step: {needed:.1f} GiB hold all."
            if pair.limit
            else f"--teacher_cache 0 keeps nothing: {names} cost a pass of the teacher in each step."
        )
        found.append(Advice("cache", sentence, {"bytes": float(pair.bytes), "limit": pair.limit}))
    return found


def of_length(truncated: float, max_length: int) -> list[Advice]:
    """Return the advice on texts that are cut."""
    if truncated <= CUT:
        return []
    sentence = f"Raise --max_length, if the models take more: {truncated:.1%} of texts are cut at {max_length} tokens."
    return [Advice("length", sentence, {"truncated": truncated, "max_length": float(max_length)})]


def of_cost(cost: Cost) -> list[Advice]:
    """Return what a run would take."""
    plain, distilled = (cost.run_seconds(selection) for selection in ("gold", "gold + logits"))
    teacher = (
        f"{_time(cost.teacher_seconds)} {'once for the teacher' if cost.kept else 'for the teacher in all of them'}"
    )
    numbers = {"steps": float(cost.steps), "gold": plain, "gold + logits": distilled, "teacher": cost.teacher_seconds}
    return [
        Advice(
            "time",
            f"Reckon with {_time(distilled)} a run under gold and logits on this machine: {cost.steps} steps of "
            f"{cost.step_seconds['gold + logits']:.2g} s, and {teacher}; gold labels alone take {_time(plain)}, other "
            f"kinds more.",
            numbers,
        )
    ]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def advise(found: Examination) -> list[Advice]:
    """Return all advice on a teacher, a student and a task; on the teacher first, and no more if it is a bad one."""
    of_its_own = of_teacher(found.diagnosis)
    if is_hopeless(found.diagnosis):
        return of_its_own
    helps = any(one.claim == HELPS for one in of_its_own)
    return [
        *of_its_own,
        *([of_obstacle(found.obstacle)] if found.obstacle else of_pair(found.pair, helps)),
        *of_length(found.truncated, found.max_length),
        *(of_cost(found.cost) if found.cost else []),
    ]
