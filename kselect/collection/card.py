"""The card of a pool: a README.md that says how its runs were made, and what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCardData

from kselect.agents.stages import stage_knowledge
from kselect.collection.table import Run
from kselect.config import CollectConfig
from kselect.runs.run_log import RUNS

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

| selection | weights | runs |
|---|---|---|
{by_selection}

Where a condition has no texts without labels, their weight, `transfer`, is left out.

## Files

* `{ledger}`: one line a run, with condition, seed, selection and settings; metrics on the reward split at each mark,
  and on dev at the last; the teacher's; facts of the run; seconds. `kselect.collection.table.read_pool` reads it.
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
        strata=_table(runs, lambda run: run.stratum, _tasks, _conditions),
        by_selection=_table(runs, lambda run: run.selection, _weights),
        versions="\n".join(
            f"| {name} | {value} |" for name, value in versions.items() if name not in LEFT_OUT and value is not None
        ),
    )


def _table(runs: Sequence[Run], key: Callable[[Run], str], *columns: Callable[[Sequence[Run]], str]) -> str:
    """Return the lines of a table of runs by what `key` returns, in the order of their first, with further columns."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    rows = [[name, *(column(found) for column in columns), str(len(found))] for name, found in groups.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _tasks(runs: Sequence[Run]) -> str:
    return ", ".join(dict.fromkeys(run.task for run in runs))


def _conditions(runs: Sequence[Run]) -> str:
    return ", ".join(dict.fromkeys(run.condition for run in runs))


def _weights(runs: Sequence[Run]) -> str:
    """Return what a selection weights, stage by stage, where it has most to weight."""
    stages = max((run.stages for run in runs), key=lambda each: len(stage_knowledge(each)))
    texts = []
    for stage in stages:
        text = _listed(stage["weights"])
        text += f" moving to {_listed(stage['to'])}" if stage.get("to") else ""
        texts.append(text + (f" until {stage['until']:g}" if stage.get("until", 1) < 1 else ""))
    return "; then ".join(texts)


def _listed(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
