"""The card of a pool: a README.md that says how its runs were made, and what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCardData

from kselect.collection.table import RUNS, Run
from kselect.config import CollectConfig

CARD = """\
---
{front_matter}
---

# {title}

{count} students, each distilled from a teacher under one of {conditions} conditions, by one of {selections} selections
of knowledge and texts, and under one of the seeds {seeds}. A run is an episode of kselect's environment: what was
observed before each decision, what was selected, and the reward; with the student's scores at {marks} of the
run.{failed}

## How it was made

The suite `{suite}` declares tasks, conditions and selections. Every teacher was fine-tuned from `{encoder}`. The last
command was

```
{command}
```

It resumes the pool where runs are missing, and with more conditions, selections or seeds it extends the pool.

| condition's stratum | tasks | conditions | runs |
|---|---|---|---|
{strata}

| selection | conditions | runs |
|---|---|---|
{by_selection}

## Files

* `{ledger}`: one line a run, with condition, seed, selection and settings; metrics on the reward split and on dev at
  each mark; the teacher's; facts of the run; seconds. `kselect.collection.table.read_pool` reads it.
* `conditions/CONDITION-SEED/SELECTION.npz`: observations (`context`, `knowledge`), `weights`, `reward` and `step` of
  each decision, and the student's logits on the reward split.
* `conditions/CONDITION-SEED/data`: the examples that were drawn.
* `teachers`: the teachers.

The reward split is held out of what a student learns from. Dev is for reporting: choose nothing by it.

## Versions

Those of the last command.

| | |
|---|---|
{versions}

## Licences

Texts and labels are samples of the tasks' data sets, and models descend from the encoder: the licences of these apply.
"""

LEFT_OUT = ("seed", "threads", "cores")  # of `kselect.runs.provenance.describe`: not versions


def pool_card(
    runs: Sequence[Run], failed: int, config: CollectConfig, command: str, versions: Mapping[str, Any]
) -> str:
    """Return the text of a README.md with the front matter that the Hugging Face hub reads.

    Args:
        runs: the finished runs of the pool, of earlier commands, too.
        failed: number of runs that failed.
        config: settings of the last command.
        command: the last command.
        versions: what `kselect.runs.provenance.describe` returns.
    """
    title = f"Distillation runs of {Path(config.suite).stem}"
    tags = ["kselect", "knowledge-distillation", "offline-rl"]
    return CARD.format(
        front_matter=DatasetCardData(license="other", pretty_name=title, tags=tags, language=None).to_yaml(),
        title=title,
        count=len(runs),
        conditions=len({run.condition for run in runs}),
        selections=len({run.selection for run in runs}),
        seeds=", ".join(map(str, sorted({run.seed for run in runs}))) or "none",
        marks=", ".join(f"{mark:g}" for mark in sorted({mark for run in runs for mark in run.marks})) or "no share",
        failed=f" Of further runs, {failed} failed." if failed else "",
        suite=config.suite,
        encoder=config.encoder,
        command=command,
        ledger=config.ledger or RUNS,
        strata=_table(runs, lambda run: run.stratum, tasks=True),
        by_selection=_table(runs, lambda run: run.selection),
        versions="\n".join(
            f"| {name} | {value} |" for name, value in versions.items() if name not in LEFT_OUT and value is not None
        ),
    )


def _table(runs: Sequence[Run], key: Callable[[Run], str], tasks: bool = False) -> str:
    """Return the lines of a table of how many runs there are by what `key` returns, in the order of their first."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    lines = []
    for name, found in groups.items():
        of_tasks = [", ".join(dict.fromkeys(run.task for run in found))] if tasks else []
        cells = [name, *of_tasks, str(len({run.condition for run in found})), str(len(found))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
