"""The tables of a model card: origin and size, scores next to those of other models, selection and cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kselect.errors import printable
from kselect.runs.parts import by_part

QUARTERS = ("1st quarter", "2nd", "3rd", "4th")


def reference_scores(results: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """Return the metrics of reference models by column."""
    teachers = results.get("teacher_metrics", [])
    numbers = [""] if len(teachers) == 1 else [f" {number}" for number in range(1, len(teachers) + 1)]
    columns = {f"teacher{number}": metrics for number, metrics in zip(numbers, teachers, strict=True)}
    return columns | ({"constant prediction": results["constant"]} if results.get("constant") else {})


def scores_table(metrics: Mapping[str, float], references: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of a model's metrics next to those of other models, by column."""
    header = ["metric", "model", *references]
    models = (metrics, *references.values())
    rows = [[name, *(f"{model[name]:.4f}" if name in model else "" for model in models)] for name in metrics]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]]) + "\n"


def facts_table(results: Mapping[str, Any]) -> str:
    """Return a table of where the model comes from, what it learned from, and how large it is."""
    origin, size, best = results.get("origin", {}), results.get("size", {}), results.get("best", {})
    rows = {
        "base model": ", ".join(map(as_code, origin.get("base_model", ()))),
        "licence": _licence(origin.get("licenses", [])),
        "data": ", ".join(map(as_code, results.get("datasets") or [one_line(results["task"])])),
        "knowledge": ", ".join(results.get("scales", {})),
        "size": f"{size['parameters']['total']:,} parameters, {size['mebibytes']:.1f} MiB" if size else "",
        "teacher's size": ", ".join(f"{each['parameters']['total']:,} parameters" for each in size.get("teachers", ())),
        "weights": f"those after step {best['step']}, the best on the reward split" if best.get("loaded") else "",
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value]
    return "\n".join(["| | |", "|---|---|", *lines]) + "\n"


def _licence(licences: Sequence[str | None]) -> str:
    known = list(dict.fromkeys(filter(None, licences)))
    if not known:
        return "not stated: look up that of the models and data it is made of"
    unknown = ", and one that is not stated" if None in licences else ""
    several = ": see each of the models it is made of" if len(known) > 1 or unknown else ""
    return f"{' and '.join(map(one_line, known))}{unknown}{several}"


def selection_table(history: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the mean weight of each kind of knowledge in each quarter of the run, by training steps."""
    if not history:
        return ""
    names = list(history[0]["weights"])
    weights = np.array([[phase["weights"][name] for name in names] for phase in history])
    means = by_part(weights, np.array([phase["steps"] for phase in history]), len(QUARTERS))
    rows = [[name, *(f"{mean:.2f}" for mean in row)] for name, row in zip(names, means, strict=True)]
    lines = [f"| {' | '.join(cells)} |" for cells in (["knowledge", *QUARTERS], *rows)]
    table = "\n".join([lines[0], "|" + "---|" * (1 + len(QUARTERS)), *lines[1:]])
    return f"\n## What was selected\n\nThe mean weight in each quarter of the training steps:\n\n{table}\n"


def cost_table(shares: Mapping[str, float], seconds: float | None) -> str:
    """Return a section on the wall time that a run took, by part; nothing where that is unknown."""
    if not shares:
        return ""
    lines = "\n".join(f"| {part} | {share:.1%} |" for part, share in shares.items())
    took = "" if seconds is None else f"It took {seconds:.0f} seconds.\n\n"
    return f"\n## Cost of making it\n\n{took}| part | share of wall time |\n|---|---|\n{lines}\n"


def one_line(text: Any) -> str:
    """Return a text without line breaks and other control characters."""
    return printable(" ".join(str(text).split()))


def as_code(text: Any) -> str:
    """Return a text as code in Markdown, which may have backquotes in it."""
    text = one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"
