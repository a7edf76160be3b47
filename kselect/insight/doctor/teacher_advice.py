"""What to do with a teacher, by what it says of a few hundred examples."""

from __future__ import annotations

from kselect.insight.doctor.advice import Advice, Claim
from kselect.insight.doctor.diagnosis import Diagnosis
from kselect.insight.doctor.estimate import Estimate

# Rules of thumb, all of them: what they are worth, `judging` is to find out.
ERASED = 0.1  # strength of class relations below which there are as good as none
FAINT = 0.01  # probability of all wrong classes together below which no student hears of them
SHARED = 0.5  # part of class relations that is of classes, from which on their similarities can stand for it
SAME = 0.1  # width of the rescaling factors below which all examples count alike
OVERSURE = 0.05  # how much surer on train than right on held-out examples
NEAR_ONE = 1.1  # a best temperature up to this is 1
SOFTEST = 8.0


def of_teacher(diagnosis: Diagnosis) -> list[Advice]:
    """Return the advice that follows from a teacher's scores alone."""
    return [
        *_labels(diagnosis),
        _worth(diagnosis),
        *_temperature(diagnosis),
        _instances(diagnosis),
        _relations(diagnosis),
        *_similarities(diagnosis),
        *_top_k(diagnosis),
    ]


def _labels(diagnosis: Diagnosis) -> list[Advice]:
    order, found = diagnosis.order, []
    if order.clear:
        numbers = {"right": order.right, "right_as_meant": order.right_as_meant, "judged": float(order.judged)}
        meant = ", ".join(diagnosis.labels[i] for i in order.meant)
        found.append(
            Advice(
                "labels",
                f"Check the order of labels first: on {order.judged} held-out answers the teacher is right on "
                f"{order.right:.1%} as its labels are named, on {order.right_as_meant:.1%} if they meant {meant} "
                f"(id2label in its config.json).",
                numbers,
                Claim("logits", "gold", better=False),
            )
        )
    if diagnosis.never_answered:
        count = len(diagnosis.never_answered)
        found.append(
            Advice(
                "labels",
                f"Look at {', '.join(diagnosis.never_answered)}: the teacher never answers {'it' if count == 1 else 'them'}, "
                f"though held-out examples have {'it' if count == 1 else 'them'} five times or more.",
                {"never_answered": float(count)},
            )
        )
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
    constant = f"the constant prediction on {diagnosis.constant.value:.1%} (difference {_points(ahead)})"
    worthless = Claim("logits", "gold", better=False)
    if ahead.below_zero:
        return Advice("worth", f"Do not distil this teacher: {right}, {constant}.", numbers, worthless)
    if not ahead.above_zero and not information.above_zero:
        return Advice(
            "worth",
            f"This teacher is not worth distilling: {right}, {constant}, and its probabilities tell no more of labels "
            f"than how frequent they are ({_nats(information)}).",
            numbers,
            worthless,
        )
    if diagnosis.probe is not None and diagnosis.ahead_of_probe is not None:
        numbers |= {"probe": diagnosis.probe.value, "ahead_of_probe": diagnosis.ahead_of_probe.value}
        if not diagnosis.ahead_of_probe.above_zero:
            return Advice(
                "worth",
                f"Expect little of this teacher: {right}, and so is a linear probe of the untrained student on "
                f"{diagnosis.probe.value:.1%} (difference {_points(diagnosis.ahead_of_probe)}).",
                numbers,
                worthless,
            )
    if not ahead.above_zero:
        return Advice(
            "worth",
            f"Distil its probabilities rather than its answers: {right}, {constant}, but its probabilities beat the "
            f"labels' frequencies by {_nats(information)}.",
            numbers,
            Claim("logits", "gold", better=True),
        )
    return Advice("worth", f"Worth distilling: {right}, {constant}.", numbers, Claim("logits", "gold", better=True))


def _temperature(diagnosis: Diagnosis) -> list[Advice]:
    best, held, train = diagnosis.temperature, diagnosis.held, diagnosis.train
    oversure = train.confidence - held.accuracy.value
    numbers = {
        "temperature": best.value,
        "loss_before": best.loss_before,
        "loss_after": best.loss_after,
        "calibration_error": held.calibration_error,
        "oversure": oversure,
    }
    told = f"held-out loss {best.loss_before:.3f} at 1, {best.loss_after:.3f} at {best.value:.2g}"
    if best.bounded:
        hot = best.value > 1
        why = "the flatter, the better" if hot else "every held-out answer is right, and nothing can be too sure"
        return [Advice("temperature", f"No temperature suits held-out labels best ({told}): {why}.", numbers)]
    used = f"--temperature {diagnosis.used_temperature:g}"
    if best.value <= NEAR_ONE:
        return [
            Advice(
                "temperature",
                f"Take --temperature 1: its probabilities are no surer than it is right ({told}; calibration error "
                f"{held.calibration_error:.1%}), and {used} would flatten them.",
                numbers,
                Claim("logits@2", "logits@1", better=False),
            )
        ]
    soft = min(best.value, SOFTEST)
    sure = f", and {oversure:.1%} surer on train than right on held-out examples" if oversure > OVERSURE else ""
    return [
        Advice(
            "temperature",
            f"Take --temperature {soft:.1f} (now {diagnosis.used_temperature:g}): the teacher is too sure of itself "
            f"({told}; calibration error {held.calibration_error:.1%}){sure}.",
            numbers,
            Claim(f"logits@{soft:.1f}", "logits@1", better=True),
        )
    ]


def _instances(diagnosis: Diagnosis) -> Advice:
    factors, soft = diagnosis.factors, diagnosis.softened_factors
    numbers = {
        "low": factors.low,
        "high": factors.high,
        "softened_low": soft.low,
        "softened_high": soft.high,
        "train_confidence": diagnosis.train.confidence,
    }
    span = f"between {factors.low:.2f} and {factors.high:.2f} for nine tenths of train"
    at = f"{soft.low:.2f} and {soft.high:.2f} at --temperature {diagnosis.used_temperature:g}"
    if factors.width < SAME:
        return Advice(
            "instances",
            f"Its confidence tells no example from another: it would rescale gradients {span} ({at}), being "
            f"{diagnosis.train.confidence:.1%} sure there: kd-pt is little more than gold labels.",
            numbers,
            Claim("kd-pt", "gold", better=False),
        )
    return Advice(
        "instances",
        f"Its confidence tells examples apart: it would rescale gradients {span} ({at}). kd-pt transfers that alone.",
        numbers,
        Claim("kd-pt", "label-smoothing", better=True),
    )


def _relations(diagnosis: Diagnosis) -> Advice:
    relations = diagnosis.relations
    if relations is None:
        return Advice(
            "relations",
            "Two classes have no relations: kd-sim is a label smoothing, kd-pt and kd-top-k are logits: leave them out.",
            {"classes": 2.0},
            Claim("logits", "kd-pt", better=False),
        )
    numbers = {"strength": relations.strength, "mass": relations.mass, "between": relations.between}
    found = f"its wrong classes are {relations.strength:.1%} of the way from alike to one alone"
    if relations.strength < ERASED:
        return Advice(
            "relations",
            f"Relations between classes are erased, as by label smoothing: {found}. logits tells no more than kd-pt.",
            numbers,
            Claim("logits", "kd-pt", better=False),
        )
    if relations.mass < FAINT:
        return Advice(
            "relations",
            f"Relations between classes are there ({found}), but all wrong classes together have {relations.mass:.2%} on "
            f"train, too little to be heard without a higher temperature.",
            numbers,
            Claim("logits", "kd-pt", better=False),
        )
    return Advice(
        "relations",
        f"It tells which wrong classes are nearly right: {found}, and have {relations.mass:.1%} on train. logits transfers "
        f"that, kd-pt does not.",
        numbers,
        Claim("logits", "kd-pt", better=True),
    )


def _similarities(diagnosis: Diagnosis) -> list[Advice]:
    relations = diagnosis.relations
    if relations is None or relations.strength < ERASED or relations.cosine_spread is None:
        return []
    numbers = {"between": relations.between, "cosine_spread": relations.cosine_spread}
    told = f"{relations.between:.1%} of them is the same for all examples of a class, and the cosines of its output weights"
    enough = relations.between >= SHARED and relations.cosine_spread >= ERASED
    sentence = (
        f"Class similarities can stand for its relations: {told} differ by {relations.cosine_spread:.2f}: try kd-pt-sim."
        if enough
        else f"Class similarities cannot stand for its relations: {told} differ by {relations.cosine_spread:.2f}."
    )
    return [Advice("similarities", sentence, numbers, Claim("kd-pt-sim", "kd-pt", better=enough))]


def _top_k(diagnosis: Diagnosis) -> list[Advice]:
    top = diagnosis.top_k
    if top is None:
        return []
    numbers = {"k": float(top.k), "classes": float(top.classes), "gain": top.gain.value, "gain_error": top.gain.error}
    if top.all_kept:
        sentence = f"Keep all {top.classes} probabilities: fewer of the largest tell less of held-out labels."
        half = max(1, round(top.classes / 2))
        return [Advice("top-k", sentence, numbers, Claim(f"kd-top-{half}", "logits", better=False))]
    told = f"the {top.k} largest of {top.classes} probabilities tell as much of held-out labels as any more do"
    gain = f"gain {_nats(top.gain)} over all of them"
    better = top.gain.above_zero
    return [
        Advice(
            "top-k",
            f"For kd-top-k take --top_k {top.share:g}: {told} ({gain}).",
            numbers,
            Claim(f"kd-top-{top.k}", "logits", better=better),
        )
    ]


def _points(difference: Estimate) -> str:
    return f"{100 * difference.value:+.1f} ± {100 * difference.error:.1f} points"


def _nats(gain: Estimate) -> str:
    return f"{gain.value:+.3f} ± {gain.error:.3f} nats"
