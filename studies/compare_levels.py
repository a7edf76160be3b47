"""Compare ablations: the gain of each level of knowledge over fine-tuning, and the teachers.

python studies/compare_levels.py studies/results/explain/*.json

Reads the results.json of `kselect explain` and prints Markdown. Gains are means ± standard errors of differences paired
by seed; those significant at 95 % by Student's t are bold.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from study_settings import print_table

from kselect.analysis.ablation.effects import ORDER
from kselect.analysis.ablation.levels import BOTH, DOMAIN, FINE_TUNE, INSTANCE, KD, UNIVERSE
from kselect.stats import Estimate, paired_difference

LEVELS = (UNIVERSE, DOMAIN, INSTANCE, BOTH, KD)
MEASURES: dict[str, Callable[[dict[str, float]], float]] = {
    "points of score": lambda metrics: 100 * metrics["score"],
    "thousandths of a nat of cross-entropy": lambda metrics: -1000 * metrics["loss"],
}


def lead(results: dict[str, Any], first: str, second: str, value: Callable[[dict[str, float]], float]) -> Estimate:
    """Return the lead of students under the first condition over those under the second."""
    values, baseline = (results["rungs"][name]["metrics"] for name in (first, second))
    return paired_difference([value(values[seed]) for seed in values], [value(baseline[seed]) for seed in values])


def with_error(estimate: Estimate) -> str:
    """Return a difference with its standard error."""
    text = f"{estimate.mean:+.2f} ± {estimate.se:.2f}"
    return f"**{text}**" if estimate.is_significant else text


def gains(ablations: list[dict[str, Any]], value: Callable[[dict[str, float]], float]) -> list[list[str]]:
    """Return a row for each ablation; a condition that is identical to another is empty."""
    rows = []
    for results in ablations:
        rungs = results["rungs"]
        trained = [not rungs[name]["same_as"] for name in LEVELS]
        leads = [lead(results, name, FINE_TUNE, value) for name in LEVELS]
        cells = [with_error(each) if own else "" for each, own in zip(leads, trained, strict=True)]
        rows.append([results["task"], str(len(results["seeds"])), *cells])
    return rows


def leads(ablations: list[dict[str, Any]], value: Callable[[dict[str, float]], float]) -> list[list[str]]:
    """Return a row for each ablation of more than two classes with the lead of each level over the next."""
    return [
        [results["task"], *(with_error(lead(results, *pair, value)) for pair in ORDER)]
        for results in ablations
        if results["classes"] > 2
    ]


def teachers(ablations: list[dict[str, Any]]) -> list[list[str]]:
    """Return a row for each ablation: teacher and students on dev, and the teacher's outputs on train."""
    rows = []
    for results in ablations:
        teacher, students = results["teacher"], results["rungs"][FINE_TUNE]["metrics"].values()
        now, relations = teacher["contents"][0], teacher["relations"] or {}
        parts = [now[part] for part in ("instance", "domain", "rest")]
        similar = relations.get("told_by_similarities")
        rows.append(
            [
                results["task"],
                str(results["classes"]),
                f"{100 * results['constant']['score']:.1f}",
                f"{100 * sum(one['score'] for one in students) / len(students):.1f}",
                f"{100 * teacher['metrics']['score']:.1f}",
                f"{100 * teacher['left']['the teacher']:.1f} %",
                f"{sum(parts):.3f}",
                " / ".join(f"{100 * part / sum(parts):.0f}" for part in parts),
                f"{relations['strength']:.2f}" if relations else "",
                f"{100 * similar:.0f} %" if similar is not None else "",
            ]
        )
    return rows


def main() -> None:
    """Read the files that are named, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+", type=Path, help="results.json of `kselect explain`")
    ablations = [json.loads(file.read_text("utf-8")) for file in parser.parse_args().file]
    print_table(
        [
            *("task", "classes", "constant", "fine-tune", "teacher", "left to wrong classes", "nats"),
            *("instance / domain / rest", "strength of relations", "share explained by similarity"),
        ],
        teachers(ablations),
    )
    for measure, value in MEASURES.items():
        print(f"Gain over fine-tuning, {measure}")
        print_table(["task", "seeds", *LEVELS], gains(ablations, value))
        print(f"Lead of one level over another, {measure}")
        print_table(["task", *(f"{first} over {second}" for first, second in ORDER)], leads(ablations, value))


if __name__ == "__main__":
    main()
