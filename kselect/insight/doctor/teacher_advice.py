"""What to do with a teacher, by what it says of a few hundred examples."""

from __future__ import annotations

from kselect.insight.doctor.advice import Advice, Claim
from kselect.insight.doctor.diagnosis import Diagnosis
from kselect.insight.doctor.estimate import Estimate

# Rules of thumb, all of them: what they are worth, `judging` is to find out.
ERASED = 0.1  # strength of class relations below which there are as good as none
FAINT = 0.01  # probability of all wrong classes together below which no student hears of them
SHARED = 0.5  # part of class relations that is of classes, from which on their similarities can stand for it
SPREAD = 0.1  # of the cosines of output weights, below which classes are alike near
SAME = 0.1  # width of the rescaling factors, or of confidence, below which all examples count alike
OVERSURE = 0.05  # how much surer on train than right on held-out examples
LITTLE = 0.02  # of accuracy, and in nats, below which a teacher is ahead by as good as nothing
NEAR_ONE = 1.1  # a best temperature up to this is 1
SOFTEST = 8.0

HELPS, HELPS_NOT = (Claim("logits", "gold", better) for better in (True, False))


def of_teacher(diagnosis: Diagnosis) -> list[Advice]:
    """Return the advice that follows from a teacher's scores alone."""
    return [
        *_labels(diagnosis),
        _worth(diagnosis),
        _temperature(diagnosis),
        _instances(diagnosis),
        _relations(diagnosis),
        *_similarities(diagnosis),
        *_top_k(diagnosis),
    ]


def _labels(diagnosis: Diagnosis) -> list[Advice]:
    order, found = diagnosis.order, []
    if order.clear:
        meant = ", ".join(diagnosis.labels[i] for i in order.meant)
        sentence = (
            f"Check the order of labels first: of {order.judged} held-out answers {order.right:.1%} are right as the "
            f"labels are named, {order.right_as_meant:.1%} if they mean {meant} (id2label in its config.json)."
        )
        numbers = {"right": order.right, "right_as_meant": order.right_as_meant, "judged": float(order.judged)}
        found.append(Advice("labels", sentence, numbers, HELPS_NOT))
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
    if ahead.below_zero:
        return Advice("worth", f"Do not distil this teacher: {both}.", numbers, HELPS_NOT)
    if not ahead.above_zero and not information.above_zero:
        if ahead.below(LITTLE) and information.below(LITTLE):
            sentence = (
                f"This teacher is not worth distilling: {both}, and its probabilities say no more of labels than how "
                f"frequent they are ({_nats(information)})."
            )
            return Advice("worth", sentence, numbers, HELPS_NOT)
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
            sentence = (
                f"{'Expect little of this teacher' if little else 'Not told whether its student knows as much'}: "
                f"{right}, a linear probe of the untrained student on {diagnosis.probe.value:.1%} (difference "
                f"{_points(diagnosis.ahead_of_probe)})."
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
        "loss_before": best.loss_before,
        "loss_after": best.loss_after,
        "calibration_error": held.calibration_error,
        "oversure": oversure,
        "slope": diagnosis.oversure.value,
        "slope_error": diagnosis.oversure.error,
    }
    told = (
        f"held-out loss {best.loss_before:.3f} at 1, {best.loss_after:.3f} at {best.value:.2g}, calibration error "
        f"{held.calibration_error:.1%}"
    )
    if best.bounded:
        why = "the flatter, the better" if best.value > 1 else "nothing is too sure, where every answer is right"
        return Advice("temperature", f"No temperature suits held-out labels best: {why} ({told}).", numbers)
    if best.value <= NEAR_ONE:
        sentence = f"Take --temperature 1, not {used:g}: the teacher is no surer than it is right ({told})."
        if used == 1:
            sentence = f"Stay at --temperature 1: the teacher is no surer than it is right ({told})."
        return Advice("temperature", sentence, numbers, Claim("logits@2", "logits@1", better=False))
    if not diagnosis.oversure.above_zero:
        sentence = (
            f"Leave --temperature at {used:g}: {held.places} held-out answers do not tell whether the teacher is surer "
            f"than it is right ({told})."
        )
        return Advice("temperature", sentence, numbers)
    soft = min(best.value, SOFTEST)
    sure = f"; on train it is {100 * oversure:.0f} points surer than right on held-out" if oversure > OVERSURE else ""
    sentence = f"Take --temperature {soft:.1f} (now {used:g}): the teacher is too sure of itself ({told}{sure})."
    return Advice("temperature", sentence, numbers, Claim(f"logits@{soft:.1f}", "logits@1", better=True))


def _instances(diagnosis: Diagnosis) -> Advice:
    factors, soft, train = diagnosis.factors, diagnosis.softened_factors, diagnosis.train
    least, most = train.confidence_range
    numbers = {
        "low": factors.low,
        "high": factors.high,
        "softened_low": soft.low,
        "softened_high": soft.high,
        "train_confidence": train.confidence,
        "confidence_low": least,
        "confidence_high": most,
    }
    told = (
        f"it would rescale the gradients of nine tenths of train by {factors.low:.2f} to {factors.high:.2f} at "
        f"temperature 1, by {soft.low:.2f} to {soft.high:.2f} at {diagnosis.used_temperature:g}"
    )
    two = diagnosis.relations is None  # of two classes kd-pt is logits, which is the one to name
    name = "logits" if two else "kd-pt"
    if factors.width < SAME:
        sentence = (
            f"Its confidence, {train.confidence:.1%} on train, tells no example from another: {told}. "
            f"{'logits at temperature 1' if two else name} is little more than gold labels."
        )
        # Whether logits is better than gold is what `_worth` claims.
        return Advice("instances", sentence, numbers, None if two else Claim(name, "gold", better=False))
    if most - least < SAME:
        # A probe is surer of some examples than of others, and so factors differ under any teacher.
        sentence = (
            f"It is as sure of one example as of another, {least:.1%} to {most:.1%} on nine tenths of train: its "
            f"factors, {factors.low:.2f} to {factors.high:.2f} at temperature 1, differ by what the student knows, and "
            f"by which answers are right. {name} is little more than a label smoothing."
        )
        return Advice("instances", sentence, numbers, Claim(name, "label-smoothing", better=False))
    sentence = f"Its confidence tells examples apart: {told}. {name} transfers that{'' if two else ' alone'}."
    return Advice("instances", sentence, numbers, Claim(name, "label-smoothing", better=True))


def _relations(diagnosis: Diagnosis) -> Advice:
    relations = diagnosis.relations
    no_more = Claim("logits", "kd-pt", better=False)
    if relations is None:
        sentence = (
            "Two classes have no relations: kd-sim is a label smoothing, kd-pt and kd-top-k are logits. Leave them out."
        )
        return Advice("relations", sentence, {"classes": 2.0})  # by arithmetic, which no score need bear out
    numbers = {"strength": relations.strength, "mass": relations.mass, "between": relations.between}
    told = f"{relations.strength:.1%} of the way from all wrong classes alike to one of them alone"
    if relations.strength < ERASED:
        sentence = f"Relations of classes are erased, as by label smoothing: {told}. logits says no more than kd-pt."
        return Advice("relations", sentence, numbers, no_more)
    if relations.mass < FAINT:
        sentence = (
            f"Relations of classes are there ({told}), but all wrong classes together have {relations.mass:.2%} on "
            f"train: too little to be heard, unless at a higher temperature."
        )
        return Advice("relations", sentence, numbers, no_more)
    sentence = (
        f"It tells which wrong classes are nearly right: {told}, and they have {relations.mass:.1%} on train. logits "
        f"transfers that, kd-pt does not."
    )
    return Advice("relations", sentence, numbers, Claim("logits", "kd-pt", better=True))


def _similarities(diagnosis: Diagnosis) -> list[Advice]:
    relations = diagnosis.relations
    if relations is None or relations.strength < ERASED or relations.cosine_spread is None:
        return []
    enough = relations.between >= SHARED and relations.cosine_spread >= SPREAD
    sentence = (
        f"Similarities of classes {'can' if enough else 'cannot'} stand for these relations: {relations.between:.1%} "
        f"of them are the same for all examples of a class, and cosines of output weights spread by "
        f"{relations.cosine_spread:.2f}. {'Try kd-pt-sim.' if enough else 'Leave out kd-pt-sim.'}"
    )
    numbers = {"between": relations.between, "cosine_spread": relations.cosine_spread}
    return [Advice("similarities", sentence, numbers, Claim("kd-pt-sim", "kd-pt", better=enough))]


def _top_k(diagnosis: Diagnosis) -> list[Advice]:
    top = diagnosis.top_k
    if top is None:
        return []
    numbers = {"k": float(top.k), "classes": float(top.classes), "gain": top.gain.value, "gain_error": top.gain.error}
    if top.all_kept:
        half = max(1, min(round(top.classes / 2), top.classes - 2))  # with one class left out it would be all of them
        sentence = f"Keep all {top.classes} probabilities: fewer of the largest tell less of held-out labels."
        return [Advice("top-k", sentence, numbers, Claim(f"kd-top-{half}", "logits", better=False))]
    sentence = (
        f"For kd-top-k take --top_k {top.share:g}: the {top.k} largest of {top.classes} probabilities tell as much of "
        f"held-out labels as any more do ({_nats(top.gain)} beside all of them)."
    )
    return [Advice("top-k", sentence, numbers, Claim(f"kd-top-{top.k}", "logits", better=top.gain.above_zero))]


def _points(difference: Estimate) -> str:
    return f"{100 * difference.value:+.1f} ± {100 * difference.error:.1f} points"


def _nats(gain: Estimate) -> str:
    return f"{gain.value:+.3f} ± {gain.error:.3f} nats"
