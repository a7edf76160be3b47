"""Makes docs/quickstart.ipynb of docs/quickstart.md: python docs/make_notebook.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "quickstart.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def cells_of(page: str) -> list[tuple[str, str]]:
    """Return the cells of a page, as kind and text: "markdown", "python", and "shell" for blocks of commands."""
    parts = BLOCK.split(page)
    cells = [("markdown", parts[0])]
    for language, code, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        cells += [(language or "shell", code), ("markdown", text)]
    return [(kind, text.strip()) for kind, text in cells]


def notebook(page: str) -> dict[str, Any]:
    """Return a page as a notebook in Jupyter's format 4, without outputs."""
    cells = []
    for number, (kind, text) in enumerate(cells_of(page)):
        if kind == "shell":
            text = "\n".join(f"!{line}" for line in text.splitlines())
        cell: dict[str, Any] = {"id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
        if kind == "markdown":
            cells.append({"cell_type": "markdown", **cell})
        else:
            cells.append({"cell_type": "code", **cell, "execution_count": None, "outputs": []})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


if __name__ == "__main__":
    made = notebook(PAGE.read_text(encoding="utf-8"))
    PAGE.with_suffix(".ipynb").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
