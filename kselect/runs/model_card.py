"""The model card of a saved model: what it is, its scores, and the command that repeats its training."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from kselect.distillation.overlap import UNKNOWN
from kselect.models.heads.registry import TOKEN_CLASSIFIERS
from kselect.runs.card_tables import (
    as_code,
    cost_table,
    facts_table,
    one_line,
    reference_scores,
    scores_table,
    selection_table,
)

CARD = """\
---
{front_matter}---

# {title}

{description}

{facts}
## Scores

{scored_on}

{scores}
{selection}{cost}
## Use

```python
import kselect

model = kselect.load({place})
print(model.predict({example}))
```

Or without kselect:

```python
from transformers import {auto}, AutoTokenizer

model = {auto}.from_pretrained({place})
tokenizer = AutoTokenizer.from_pretrained({place})
```
{reading}
## Reproduce

From the folder in which it was made:

```
{command}
```
"""

HUB_METRICS = ("accuracy", "f1", "precision", "recall")
"""Metrics that the Hub has by the same name."""

WORDS = """
Words are read where their first token stands: there are {given}. {warning}What becomes of them is the head's to say:
`head.json` names it, `{head}`, with its labels, and `head.safetensors` holds what it has learned, if anything. Both are
read by `kselect.load` and `kselect predict`.
"""
WARNING = """\
**{short} the model's answer,**
which is {answer}; `kselect predict` gives it. """
ANSWERS = {
    "crf": "the best sequence of tags, where the head scores each step from tag to tag, too",
    "spans": "the best set of spans, which the head scores and of which no two overlap",
    "parser": "the best tree, whose arcs the head scores",
    "second-order-parser": "the best tree, whose arcs, and pairs of arcs, the head scores",
    "tree-tagger": "the best tree that the head makes of all tags of arcs",
}
"""How each head predicts labels of words, for heads that do not predict them independently."""


def model_card(results: Mapping[str, Any], command: str, model_folder: str = "student") -> str:
    """Return the text of a README.md with the front matter that the Hugging Face hub reads.

    Args:
        results: what results.json holds. Read here: "task"; "metrics", name to number on the dev split, and
            "examples", how many these are; and where they apply "further_examples" (of each further split for
            reporting, by name), "teacher", "agent", "layers" (how many, or which), "seed", "head" (of a model of
            words), "teacher_overlap" (see `kselect.distillation.overlap`), "teacher_metrics" (of each teacher, as
            "metrics"), "constant" (what the constant prediction scores), "cost" (part to share of wall time),
            "seconds", "history" (the selection by phase), "best" (see `kselect.training.best_student`), "size" (see
            `kselect.models.parameters.size_of`; of teachers under "teachers"), "origin" (see
            `kselect.runs.origin.read_origin`), "datasets" (names on the Hub) and "pairs" (whether texts come in
            pairs).
        command: the command that repeats the run.
        model_folder: folder of the model, as the example loads it.
    """
    task = one_line(results["task"])
    title = f"{'Student' if 'agent' in results else 'Teacher'} for {task}"
    auto, pipeline = _usage(results.get("head"))
    return CARD.format(
        front_matter=_front_matter(results, title, pipeline).to_yaml() + "\n",
        title=title,
        description=_description(results),
        facts=facts_table(results),
        scored_on=_scored_on(results),
        scores=scores_table(results["metrics"], reference_scores(results)),
        selection=selection_table(results.get("history", []) if "agent" in results else []),
        cost=cost_table(results.get("cost", {}), results.get("seconds")),
        command=command,
        place=json.dumps(str(model_folder)),
        example=_example(results),
        auto=auto,
        reading=_reading(results.get("head")),
    )


def _example(results: Mapping[str, Any]) -> str:
    """Return an input of the model, as Python code."""
    if "head" in results:
        return '[["Some", "words"]]'
    return '[("A text", "another one")]' if results.get("pairs") else '["A text"]'


def _usage(head: str | None) -> tuple[str, str]:
    """Return the class of transformers that loads the model, and the hub's word for what such models do."""
    if head is None:
        return "AutoModelForSequenceClassification", "text-classification"
    if head in TOKEN_CLASSIFIERS:
        return "AutoModelForTokenClassification", "token-classification"
    return "AutoModel", "feature-extraction"


def _reading(head: str | None) -> str:
    if head is None:
        return ""
    if head in TOKEN_CLASSIFIERS:
        given, short = "its `logits`", "The argmax of these need not be"
    else:
        given, short = "its hidden states, `last_hidden_state`", "These are not"
    warning = WARNING.format(short=short, answer=ANSWERS[head]) if head in ANSWERS else ""
    return WORDS.format(warning=warning, given=given, head=head)


def _front_matter(results: Mapping[str, Any], title: str, pipeline: str) -> ModelCardData:
    """Return what the Hub reads: library, task, tags, origin, and the scores on dev."""
    task, metrics, origin = one_line(results["task"]), results["metrics"], results.get("origin", {})
    slug = re.sub(r"[^\w.-]+", "-", task).strip("-") or "task"
    scores = [
        EvalResult(pipeline, slug, task, name, value, dataset_split="dev")
        for name, value in metrics.items()
        if math.isfinite(value)
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag=pipeline,
        tags=["kselect", *(["knowledge-distillation"] if "agent" in results else []), slug],
        model_name=title,
        datasets=results.get("datasets") or None,
        metrics=[name for name in metrics if name in HUB_METRICS] or None,
        eval_results=scores,
        **{name: value for name, value in origin.items() if name != "licenses"},
    )


def _description(results: Mapping[str, Any]) -> str:
    seed = f" Seed {results['seed']}." if "seed" in results else ""
    kind = f"A model of words under the head `{results['head']}`," if "head" in results else "A classifier"
    if "agent" not in results:
        return f"{kind} fine-tuned on {one_line(results['task'])}, made to be a teacher.{seed}"
    layers = results.get("layers")
    kept = f"layers {', '.join(map(str, layers))}" if isinstance(layers, list) else f"{layers} layers"
    keeps = f", of which it keeps {kept}" if layers else ""
    if "student" in results:
        keeps = f", starting from {as_code(results['student'])}"
    named = results.get("teacher", "unknown")
    several = isinstance(named, list)
    teachers = f"teachers {', '.join(map(as_code, named))}" if several else f"teacher {as_code(named)}"
    return (
        f"{kind} distilled on {one_line(results['task'])} from the {teachers}{keeps}."
        f" What to transfer, and when, was decided by the agent {as_code(results['agent'])}.{seed}"
        f"{_overlap(results.get('teacher_overlap', []))}"
    )


def _overlap(teachers: Sequence[Any]) -> str:
    """Return what is known of held-out texts that the teachers were trained on; nothing where there are none."""
    known = [counts for counts in teachers if counts != UNKNOWN]
    shared = [f"{count} of {split}" for counts in known for split, count in counts.items() if count]
    seen = f" A teacher was trained on texts that are held out here: {', '.join(shared)}." if shared else ""
    unknown = " Whether a teacher was trained on texts of dev is unknown." if UNKNOWN in teachers else ""
    return seen + unknown


def _scored_on(results: Mapping[str, Any]) -> str:
    further = [
        f", and where a metric begins with `{split.removeprefix('dev_')}/` on {count} of its {split} split"
        for split, count in results.get("further_examples", {}).items()
    ]
    dev = f"On {results['examples']} examples of {one_line(results['task'])}'s dev split"
    run = f" They are those of one run, with seed {results['seed']}." if "seed" in results else ""
    return f"{dev}{''.join(further)}. Nothing was chosen by them.{run}"
