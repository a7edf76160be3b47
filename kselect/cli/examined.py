"""An examination in words: tables on the terminal, numbers in results.json, histograms for TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from numpy.typing import NDArray

from kselect.analysis.doctor import Advice, Examination, Outcomes, judge, tally
from kselect.analysis.doctor.calibration import BARS
from kselect.cli.console import print_table
from kselect.stats import ClusteredEstimate as Estimate

BAR = 20  # characters
HELD, TRAIN = "held out", "train"
SIDES = {HELD: "reward", TRAIN: "train"}


def print_examination(found: Examination, advice: Sequence[Advice], outcomes: Outcomes | None = None) -> None:
    """Print what was found, the advice, and where there are outcomes how often it was right."""
    _print_certainty(found)
    print()
    _print_bars(f"Confidence, share of {found.places}", *(one.confidence_shares for one in _sides(found)))
    print()
    _print_bars(f"Entropy / log {len(found.task.labels)}", *(one.entropy_shares for one in _sides(found)))
    print()
    print_table("What the teacher has to give", ["measure", "value"], _measures(found))
    print()
    print_table("What goes from teacher to student", ["knowledge", "layers", "map", "MiB", "outputs"], _fits(found))
    for fit in found.pair.fits:
        if fit.obstacle is not None:
            print(fit.obstacle)
    if found.cost is not None:
        rows = [
            [name, f"{seconds:.3f}", f"{found.cost.run_seconds(name):.0f}"]
            for name, seconds in found.cost.step_seconds.items()
        ]
        print()
        print_table(f"Time, {found.cost.steps} steps a run", ["selection", "s/step", "s/run"], rows)
    print("\nAdvice")
    for number, one in enumerate(advice, 1):
        claimed = "" if one.claim is None else f" [{one.claim}{_verdict(one, outcomes)}]"
        print(f"{number}. {one.sentence}{claimed}")
    if outcomes is not None:
        counts = tally(advice, outcomes)
        print(f"Held against {', '.join(outcomes)}: {', '.join(f'{count} {name}' for name, count in counts.items())}.")


def summarise_examination(
    found: Examination, advice: Sequence[Advice], outcomes: Outcomes | None = None
) -> dict[str, Any]:
    """Return what results.json says of an examination."""
    diagnosis = found.diagnosis
    return {
        "metrics": _metrics(found),
        "examples": found.examples,
        "max_length": found.max_length,
        "teacher_score": found.scores,
        "constant": found.constant_scores,
        "diagnosis": asdict(diagnosis),
        "pair": asdict(found.pair),
        "cost": None if found.cost is None else asdict(found.cost),
        "obstacle": found.obstacle,
        "advice": [
            asdict(one) | ({} if outcomes is None or one.claim is None else {"verdict": judge(one, outcomes)})
            for one in advice
        ],
        **({} if outcomes is None else {"verdicts": tally(advice, outcomes)}),
    }


def histograms(found: Examination) -> dict[str, NDArray[Any]]:
    """Return confidence and entropy of each place, by tag."""
    sides = {"held_out": found.samples["reward"], "train": found.samples["train"]}
    return {
        f"{what}/{side}": getattr(sample, what) for what in ("confidence", "entropy") for side, sample in sides.items()
    }


def _metrics(found: Examination) -> dict[str, float]:
    """Return single numbers by name, for TensorBoard."""
    diagnosis, (held, train) = found.diagnosis, _sides(found)
    relations = {} if diagnosis.relations is None else {"relations": diagnosis.relations.strength}
    return {
        **{f"held_out/{name}": value for name, value in found.scores.items()},
        "held_out/calibration_error": held.calibration_error,
        "held_out/confidence": held.confidence,
        "train/confidence": train.confidence,
        "ahead_of_constant": diagnosis.ahead.value,
        "information": diagnosis.information.value,
        "best_temperature": diagnosis.temperature.value,
        "rescaling_width": diagnosis.factors.width,
        **relations,
    }


def _sides(found: Examination) -> tuple[Any, Any]:
    return found.diagnosis.held, found.diagnosis.train


def _print_certainty(found: Examination) -> None:
    sides = _sides(found)
    rows = [
        [found.places, *(str(one.places) for one in sides)],
        ["right", *(_estimate(one.accuracy) for one in sides)],
        ["confidence", *(f"{one.confidence:.1%}" for one in sides)],
        ["probability of gold", *(f"{one.gold_probability:.1%}" for one in sides)],
        ["entropy / log K", *(f"{one.entropy:.1%}" for one in sides)],
        ["loss, nats", *(f"{one.loss:.3f}" for one in sides)],
        ["calibration error", *(f"{one.calibration_error:.1%}" for one in sides)],
        ["the same, bins of one size", *(f"{one.adaptive_calibration_error:.1%}" for one in sides)],
    ]
    counts = f"{found.examples['reward']} examples of reward, {found.examples['train']} of train"
    print_table(f"{found.task.name}: {counts}", ["teacher", HELD, TRAIN], rows)


def _print_bars(title: str, held: Sequence[float], train: Sequence[float]) -> None:
    """Draw two histograms of [0, 1] side by side, without the empty parts at their ends."""
    filled = [i for i in range(BARS) if held[i] or train[i]]
    rows = [
        [f"{i / BARS:.1f} to {(i + 1) / BARS:.1f}", *(cell for share in (held[i], train[i]) for cell in _bar(share))]
        for i in range(filled[0], filled[-1] + 1)
    ]
    print_table(title, ["", HELD, "", TRAIN, ""], rows)


def _bar(share: float) -> tuple[str, str]:
    return f"{share:.1%}", ("█" * round(BAR * share)).ljust(BAR)


def _measures(found: Examination) -> list[list[str]]:
    diagnosis = found.diagnosis
    best, order, softened = diagnosis.temperature, diagnosis.order, diagnosis.softened_factors
    rows = [[f"{name}, held out", f"{value:.3f}"] for name, value in found.scores.items()]
    rows += [[f"{name} of the constant prediction", f"{value:.3f}"] for name, value in found.constant_scores.items()]
    rows += [
        ["right, constant prediction", _estimate(diagnosis.constant)],
        ["ahead of it", _estimate(diagnosis.ahead)],
        ["knows more than frequencies, nats", f"{diagnosis.information.value:.3f} ± {diagnosis.information.error:.3f}"],
    ]
    if diagnosis.probe is not None and diagnosis.ahead_of_probe is not None:
        rows += [
            ["right, linear probe of the untrained student", _estimate(diagnosis.probe)],
            ["ahead of it", _estimate(diagnosis.ahead_of_probe)],
        ]
    rows += [
        ["best temperature", f"{best.value:.2f}{' (an end of the range)' if best.bounded else ''}"],
        ["loss there, held out, nats", f"{best.loss_after:.3f}"],
        [f"loss at {diagnosis.used_temperature:g}, held out, nats", f"{diagnosis.loss_in_use:.3f}"],
        *(
            [f"rescaling factors at temperature {temperature:g}", f"{factors.low:.2f} to {factors.high:.2f}"]
            for temperature, factors in {1.0: diagnosis.factors, diagnosis.used_temperature: softened}.items()
        ),
        ["right, labels in the best other order", f"{order.right_as_meant:.1%} (as named {order.right:.1%})"],
    ]
    if diagnosis.relations is not None:
        relations = diagnosis.relations
        rows += [
            ["strength of class relations", f"{relations.strength:.1%}"],
            [f"probability of all wrong classes, train, at {diagnosis.used_temperature:g}", f"{relations.mass:.1%}"],
        ]
        if relations.told_by_similarities is not None:
            rows.append(["of what it says of them, told by similarities", f"{relations.told_by_similarities:.1%}"])
    if diagnosis.top_k is not None:
        rows.append(["probabilities worth keeping", f"{diagnosis.top_k.k} of {diagnosis.top_k.classes}"])
    rows.append(["teacher and student read alike", "yes" if found.obstacle is None else "no"])
    beyond = {"texts": ("texts that are cut", found.truncated), "words": ("sentences read in pieces", found.in_pieces)}
    name, share = beyond[found.places]
    return [*rows, [name, f"{share:.1%}"]]


def _fits(found: Examination) -> list[list[str]]:
    pair, rows = found.pair, []
    for fit in pair.fits:
        layers = ",".join(f"{student}:{teacher}" for student, teacher in fit.layer_map)
        if fit.obstacle is None:
            source = "live" if not fit.cached else "kept" if fit.bytes else ""
            rows.append([fit.name, layers, "learned" if fit.projected else "", f"{fit.bytes / 2**20:.1f}", source])
        else:
            rows.append([fit.name, "", "", "", "does not fit"])
    limit = f"of {pair.limit / 2**20:.0f}"
    return [*rows, ["all together", "", "", f"{pair.bytes / 2**20:.1f}", limit]]


def _estimate(one: Estimate) -> str:
    return f"{one.value:.1%} ± {one.error:.1%}"


def _verdict(advice: Advice, outcomes: Outcomes | None) -> str:
    return "" if outcomes is None else f": {judge(advice, outcomes)}"
