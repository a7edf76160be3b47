"""What to do with a teacher and a student together: whether, by which knowledge, and for how long."""

from __future__ import annotations

from kselect.insight.doctor.advice import Advice, Claim
from kselect.insight.doctor.cost import Cost
from kselect.insight.doctor.pair import Pair

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
