"""Set ladders side by side: what each level of knowledge gained over fine-tuning, and what the teachers say.

python benchmarks/levels.py benchmarks/results/explain/*.json

Reads the results.json of `kselect explain`; prints Markdown. Gains are means ± standard errors of differences seed by
seed; one that is told from nothing, with 95 % by Student's t, is bold.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kselect.analysis.ablation.effects import ORDER
from kselect.analysis.ablation.levels import BOTH, DOMAIN, FINE_TUNE, INSTANCE, KD, UNIVERSE
from kselect.stats import Estimate, paired_difference

LEVELS = (UNIVERSE, DOMAIN, INSTANCE, BOTH, KD)
MEASURES: dict[str, Callable[[dict[str, float]], float]] = {
    "points of score": lambda metrics: 100 * metrics["score"],
    "thousandths of a nat of cross-entropy": lambda metrics: -1000 * metrics["loss"],
}


def lead(results: dict[str, Any], first: str, second: str, value: Callable[[dict[str, float]], float]) -> Estimate:
    """Return by how much students under the first rung are better than under the second."""
    ours, theirs = (results["rungs"][name]["metrics"] for name in (first, second))
    return paired_difference([value(ours[seed]) for seed in ours], [value(theirs[seed]) for seed in ours])


def told(estimate: Estimate) -> str:
    """Return a difference with its standard error."""
    said = f"{estimate.mean:+.2f} ± {estimate.se:.2f}"
    return f"**{said}**" if estimate.is_significant else said


def gains(found: list[dict[str, Any]], value: Callable[[dict[str, float]], float]) -> list[list[str]]:
    """Return a row for each ladder; a rung that is another by arithmetic is empty."""
    rows = []
    for results in found:
        rungs = results["rungs"]
        cells = [told(lead(results, name, FINE_TUNE, value)) if not rungs[name]["same_as"] else "" for name in LEVELS]
        rows.append([results["task"], str(len(results["seeds"])), *cells])
    return rows


def leads(found: list[dict[str, Any]], value: Callable[[dict[str, float]], float]) -> list[list[str]]:
    """Return a row for each ladder of more than two classes: by how much each level is above the next."""
    return [
        [results["task"], *(told(lead(results, *pair, value)) for pair in ORDER)]
        for results in found
        if results["classes"] > 2
    ]


def teachers(found: list[dict[str, Any]]) -> list[list[str]]:
    """Return a row for each ladder: teacher and students on dev, and what the teacher says of train."""
    rows = []
    for results in found:
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


def show(columns: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    for row in (columns, ["---"] * len(columns), *rows):
        print("| " + " | ".join(row) + " |")
    print()


def main() -> None:
    """Read the files that are named, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+", type=Path, help="results.json of `kselect explain`")
    found = [json.loads(file.read_text("utf-8")) for file in parser.parse_args().file]
    show(
        [
            *("task", "classes", "constant", "fine-tune", "teacher", "left to wrong classes", "nats"),
            *("instance / domain / rest", "strength of relations", "told by likeness"),
        ],
        teachers(found),
    )
    for measure, value in MEASURES.items():
        print(f"Gain over fine-tuning, {measure}\n")
        show(["task", "seeds", *LEVELS], gains(found, value))
        print(f"By how much one level is above another, {measure}\n")
        show(["task", *(f"{first} over {second}" for first, second in ORDER)], leads(found, value))


if __name__ == "__main__":
    main()
