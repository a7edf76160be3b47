"""Tell how often the doctor's advice was right, over several examinations that were held against outcomes.

python benchmarks/verdicts.py runs/ewt-relations-doctor runs/conll2000-doctor

Prints a row for each claim, as Markdown, and how many of them were right, wrong and undecided.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

VERDICTS = ("right", "wrong", "undecided")


def claims_of(results: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return task, subject, claim and verdict of each advice that claims something.

    Args:
        results: what the results.json of an examination holds that was held against outcomes.
    """
    return [
        (results["task"], advice["kind"], _said(advice["claim"]), advice["verdict"])
        for advice in results["advice"]
        if advice["claim"] is not None
    ]


def _said(claim: dict[str, Any]) -> str:
    return f"{claim['name']} {'better' if claim['better'] else 'no better'} than {claim['other']}"


def main() -> None:
    """Read the folders that are named, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+", type=Path, help="run folder of `kselect doctor --outcomes`")
    found = {folder: json.loads((folder / "results.json").read_text("utf-8")) for folder in parser.parse_args().folder}
    for folder, results in found.items():
        if "verdicts" not in results:
            parser.error(f"{folder} was held against nothing: give `kselect doctor` the students by --outcomes.")
    rows = [row for results in found.values() for row in claims_of(results)]
    print("| task | about | claim | verdict |\n|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    counts = Counter(verdict for *_, verdict in rows)
    print(f"\n{len(rows)} claims: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS) + ".")


if __name__ == "__main__":
    main()
