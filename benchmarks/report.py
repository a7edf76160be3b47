"""All results as Markdown.

    python benchmarks/report.py [NAME ...]

Prints the table of every file in benchmarks/results, or of those named, with the machine it is from.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from measure import RESULTS


def markdown(name: str, result: dict[str, Any]) -> str:
    """Return one benchmark's table under its title."""
    setup, table = result["setup"], result["table"]
    machine = f"{setup['processor']}, {setup['device']}, {setup['threads']} of {setup['cores']} threads"
    versions = f"torch {setup['torch']}, transformers {setup['transformers']}, commit {str(setup.get('commit'))[:7]}"
    head = [f"### {name}", "", f"{table['title']} ({machine}, {versions}).", ""]
    lines = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    return "\n".join([*head, *(f"| {' | '.join(cells)} |" for cells in lines), ""])


def main() -> None:
    """Print the tables."""
    names = sys.argv[1:] or sorted(path.stem for path in RESULTS.glob("*.json"))
    for name in names:
        result = json.loads((RESULTS / f"{name}.json").read_text())
        print(markdown(name, result))


if __name__ == "__main__":
    main()
