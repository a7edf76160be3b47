"""Facts about a teacher and a student that stand in the way of distillation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kselect.analysis.compatibility import Compatibility
from kselect.analysis.teacher_profile import TeacherProfile
from kselect.stats import Estimate

TRUNCATED = 0.05  # share of texts from which on truncation is reported


@dataclass(frozen=True)
class Finding:
    """A fact about a teacher or a pair of models that stands in the way of distillation."""

    code: str
    message: str


def teacher_findings(profile: TeacherProfile) -> Iterator[Finding]:
    """Report what is wrong with a teacher by its held-out predictions; nothing for a sound one."""
    held_out = profile.held_out
    assert held_out is not None
    order, accuracy = held_out.order, held_out.calibration.accuracy
    if order.clear:
        names = ", ".join(profile.labels[i] for i in order.meant)
        yield Finding(
            "label-order",
            f"The labels look reordered: of {order.judged} held-out predictions {order.right:.1%} are correct with the "
            f"labels as named, {order.right_as_meant:.1%} if they mean {names} (id2label in config.json).",
        )
    if held_out.never_predicted:
        names = ", ".join(held_out.never_predicted)
        yield Finding("never-predicted", f"The teacher never predicts {names}, which the held-out examples contain.")
    gain, information = held_out.gain_over_constant, held_out.information_gain
    if gain.low <= 0 and information.low <= 0:
        yield Finding(
            "constant",
            f"The teacher is not significantly better than the constant prediction: "
            f"{_compared(accuracy, held_out.constant, gain)}, with {information.mean:+.3f} ± {information.se:.3f} nats "
            f"of information.",
        )
    elif held_out.probe is not None and held_out.gain_over_probe is not None and held_out.gain_over_probe.low <= 0:
        yield Finding(
            "probe",
            f"The teacher is not significantly better than a linear probe of the untrained student: "
            f"{_compared(accuracy, held_out.probe, held_out.gain_over_probe)}.",
        )


def pair_findings(pair: Compatibility, obstacle: str | None) -> Iterator[Finding]:
    """Report that two models have nothing in common."""
    if obstacle is not None:
        yield Finding("incompatible", f"These two models cannot be distilled. {obstacle}")
    elif all(fit.obstacle for fit in pair.fits):
        names = ", ".join(fit.name for fit in pair.fits)
        yield Finding("incompatible", f"Student and teacher have none of {names} in common.")


def length_findings(truncated: float, max_length: int) -> Iterator[Finding]:
    """Report that many texts are truncated."""
    if truncated > TRUNCATED:
        yield Finding("truncated", f"{truncated:.1%} of texts are truncated at {max_length} tokens.")


def _compared(accuracy: Estimate, baseline: Estimate, gain: Estimate) -> str:
    return (
        f"{accuracy.mean:.1%} against {baseline.mean:.1%} of {accuracy.count} held-out predictions are right, a "
        f"difference of {100 * gain.mean:+.1f} ± {100 * gain.se:.1f} points"
    )
