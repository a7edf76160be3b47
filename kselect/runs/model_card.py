"""The model card of a saved model: what it is, its scores, and the command that repeats its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from kselect.distillation.overlap import UNKNOWN
from kselect.errors import printable
from kselect.models.heads.registry import TOKEN_CLASSIFIERS

CARD = """\
---
{front_matter}---

# {title}

{description}

## Scores

{scored_on}

{scores}
{cost}
## Use

```python
from transformers import {auto}, AutoTokenizer

model = {auto}.from_pretrained("{model_folder}")
tokenizer = AutoTokenizer.from_pretrained("{model_folder}")
```
{reading}
## Reproduce

From the folder in which it was made:

```
{command}
```
"""

WORDS = """
Words are read where their first token stands: there are {given}. {warning}What becomes of them is the head's to say:
`head.json` names it, `{head}`, with its labels, and `head.safetensors` holds what it has learned, if anything. Both are
read by `kselect predict`, and by `kselect.load_teacher("{model_folder}", task)`.
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
            "metrics"), "constant" (what the constant prediction scores) and "cost" (part to share of wall time).
        command: the command that repeats the run.
        model_folder: Folder of the model, relative to the card.
    """
    task = printable(" ".join(results["task"].split()))  # that of a file may have any characters
    results = {**results, "task": task}
    title = f"{'Student' if 'agent' in results else 'Teacher'} for {task}"
    auto, pipeline = _usage(results.get("head"))
    return CARD.format(
        front_matter=_front_matter(results, title, pipeline).to_yaml() + "\n",
        title=title,
        description=_description(results),
        scored_on=_scored_on(results),
        scores=_scores(results["metrics"], _references(results)),
        cost=_cost(results.get("cost", {})),
        command=command,
        model_folder=model_folder,
        auto=auto,
        reading=_reading(results.get("head"), model_folder),
    )


def _usage(head: str | None) -> tuple[str, str]:
    """Return the class of transformers that loads the model, and the hub's word for what such models do."""
    if head is None:
        return "AutoModelForSequenceClassification", "text-classification"
    if head in TOKEN_CLASSIFIERS:
        return "AutoModelForTokenClassification", "token-classification"
    return "AutoModel", "feature-extraction"


def _reading(head: str | None, model_folder: str) -> str:
    if head is None:
        return ""
    if head in TOKEN_CLASSIFIERS:
        given, short = "its `logits`", "The argmax of these need not be"
    else:
        given, short = "its hidden states, `last_hidden_state`", "These are not"
    warning = WARNING.format(short=short, answer=ANSWERS[head]) if head in ANSWERS else ""
    return WORDS.format(warning=warning, given=given, head=head, model_folder=model_folder)


def _front_matter(results: Mapping[str, Any], title: str, pipeline: str) -> ModelCardData:
    """Return what the Hub reads: library, task, tags, and the scores on dev."""
    task, metrics = results["task"], results["metrics"]
    scores = [EvalResult(pipeline, task, task, name, value, dataset_split="dev") for name, value in metrics.items()]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag=pipeline,
        tags=["kselect", *(["knowledge-distillation"] if "agent" in results else []), task],
        model_name=title,
        eval_results=scores,
    )


def _description(results: Mapping[str, Any]) -> str:
    seed = f" Seed {results['seed']}." if "seed" in results else ""
    kind = f"A model of words under the head `{results['head']}`," if "head" in results else "A classifier"
    if "agent" not in results:
        return f"{kind} fine-tuned on {results['task']}, made to be a teacher.{seed}"
    layers = results.get("layers")
    kept = f"layers {', '.join(map(str, layers))}" if isinstance(layers, list) else f"{layers} layers"
    keeps = f", of which it keeps {kept}" if layers else ""
    if "student" in results:
        keeps = f", starting from `{results['student']}`"
    named = results.get("teacher", "unknown")
    teachers = f"teachers `{'`, `'.join(named)}`" if isinstance(named, list) else f"teacher `{named}`"
    return (
        f"{kind} distilled on {results['task']} from the {teachers}{keeps}."
        f" What to transfer, and when, was decided by the agent `{results['agent']}`.{seed}"
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
    dev = f"On {results['examples']} examples of {results['task']}'s dev split"
    return f"{dev}{''.join(further)}. Nothing was chosen by them."


def _references(results: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """Return the metrics of reference models by column."""
    teachers = results.get("teacher_metrics", [])
    numbers = [""] if len(teachers) == 1 else [f" {number}" for number in range(1, len(teachers) + 1)]
    columns = {f"teacher{number}": metrics for number, metrics in zip(numbers, teachers, strict=True)}
    return columns | ({"constant prediction": results["constant"]} if results.get("constant") else {})


def _scores(metrics: Mapping[str, float], references: Mapping[str, Mapping[str, float]]) -> str:
    header = ["metric", "model", *references]
    models = (metrics, *references.values())
    rows = [[name, *(f"{model[name]:.4f}" if name in model else "" for model in models)] for name in metrics]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]]) + "\n"


def _cost(shares: Mapping[str, float]) -> str:
    if not shares:
        return ""
    lines = "\n".join(f"| {part} | {share:.1%} |" for part, share in shares.items())
    return f"\n## Cost of making it\n\n| part | share of wall time |\n|---|---|\n{lines}\n"
