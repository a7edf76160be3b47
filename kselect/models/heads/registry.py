"""Heads by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kselect.config import HEADS
from kselect.errors import KselectError, unknown
from kselect.models.heads.answer import Head
from kselect.models.heads.classes import Classes, Score
from kselect.models.heads.crf import Crf
from kselect.models.heads.labels import Labels
from kselect.models.heads.parser import Parser, SecondOrderParser
from kselect.models.heads.relations import root_relation
from kselect.models.heads.spans import Spans
from kselect.models.heads.tagger import Tagger
from kselect.models.heads.tree_tagger import ArcTags, TreeTagger
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.tagging_task import TaggingTask

TAGGING = (Tagger.name, Crf.name, Spans.name)
PARSING = (Parser.name, SecondOrderParser.name, TreeTagger.name)
assert {"text": (), "tags": TAGGING, "trees": PARSING} == HEADS
TOKEN_CLASSIFIERS = (Tagger.name, Crf.name, TreeTagger.name)
"""Heads that read the logits of a token classifier; the others read an encoder's hidden states."""

CHOICES = {
    "classes": "classes",
    "labels": "labels",
    "tagger": "tags",
    "crf": "tags",
    "spans": "spans",
    "parser": "arcs",
    "second-order-parser": "arcs",
    "tree-tagger": "arc tags",
}
"""What the classes of each head's positions are."""

RAREST_ARC_TAG = 2


def heads_of(task: Task) -> tuple[str, ...]:
    """Return the names of the heads for a task, the default first."""
    if isinstance(task, TaggingTask):
        return TAGGING
    if isinstance(task, ParsingTask):
        return PARSING
    if isinstance(task, TextTask) and task.multi_label:
        return (Labels.name,)
    return (Score.name,) if task.regression else (Classes.name,)


def check_head(name: str, task: Task) -> None:
    """Refuse an unknown head, one for other tasks, and the spans head for a scheme other than BIOES."""
    if name not in heads_of(task):
        raise unknown(f"head for {task.name}", name, heads_of(task))
    if name == Spans.name and isinstance(task, TaggingTask) and task.tag_set.scheme != "bioes":
        raise KselectError(
            f"head spans reads tags in BIOES, and these are in {task.tag_set.scheme}: give bioes as scheme.",
            setting="scheme",
        )


def output_labels(name: str, task: Task) -> tuple[str, ...]:
    """Return the labels of the token classifier before the head `name`; those of arcs are taken from train."""
    if name == TreeTagger.name:
        names = ArcTags.of(task.splits["train"].sentences, RAREST_ARC_TAG).names
        if not names:
            raise KselectError(
                f"No arc of {task.name} is in its training data {RAREST_ARC_TAG} times, as {name} needs some: give "
                f"more sentences, or another head ({', '.join(PARSING[:-1])})."
            )
        return names
    return task.labels


def new_head(
    name: str, task: Task, width: int, labels: tuple[str, ...], sizes: Mapping[str, int] | None = None
) -> Head:
    """Make a randomly initialised head.

    Args:
        name: name of the head.
        task: gives the labels.
        width: dimensions of a hidden state.
        labels: of the token classifier before the head, if it is one of `TOKEN_CLASSIFIERS`.
        sizes: of the head's own layers, by the names in `Head.sizes`; by default the usual ones.
    """
    if name == Crf.name:
        return Crf(len(labels))
    if name == TreeTagger.name:
        return TreeTagger(ArcTags.named(labels), task.labels)
    if name == Spans.name:
        assert isinstance(task, TaggingTask)
        return Spans(**{**(sizes or {}), "width": width, "labels": len(task.tag_set.labels)})
    if name in (Parser.name, SecondOrderParser.name):
        kind = Parser if name == Parser.name else SecondOrderParser
        layers = {**(sizes or {}), "width": width, "relations": len(task.labels)}
        return kind(**layers, root_relation=root_relation(task.labels))
    plain: dict[str, Callable[[], Head]] = {
        Tagger.name: Tagger,
        Classes.name: Classes,
        Labels.name: Labels,
        Score.name: Score,
    }
    return plain[name]()


def is_text(task: Task) -> bool:
    """Whether a task classifies whole texts, with transformers' classifiers."""
    return isinstance(task, TextTask)
