"""An epoch of a CRF and of a parser under gold labels alone, with their teacher's scores, and with its marginals.

    python benchmarks/epoch.py [--words 40] [--sentences 256] [--hidden_size 384] [--rounds 7]

A 6-layer teacher and its 3-layer student (BERT, heads of 32, random weights) under the same head, batches of 32 random
sentences, half as long as the longest and more. What stands beside gold labels is compared part by part (substructures,
without inference over the teacher), by the marginals of structures, or, tag by tag, by the marginals of both
(posterior). The teacher's outputs are computed beforehand; its inference is part of the epoch. All take turns in one
process; ratios are medians over the rounds, with quartiles.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any, NamedTuple

from measure import Case, ratios, read_options, report, spread, take_turns
from pair import BATCH, SPECIAL, make_distiller, make_teacher, parsing, select, tagging

from kselect.distillation.distiller import Distiller
from kselect.models.word_classifier import with_head
from kselect.tasks.words.tagging_task import WordTask

GOLD = "gold"
COLUMNS = ("student", "knowledge", "s/epoch", "/ gold")


class Way(NamedTuple):
    """What is learned from beside gold labels, and how it is set."""

    told: str
    knowledge: str
    settings: dict[str, Any]


WAYS = {
    "crf": (
        Way("substructures", "substructures", {}),
        Way("marginals", "marginals", {}),
        Way("posterior", "posterior", {}),
    ),
    "parser": (
        Way("substructures", "substructures", {}),
        Way("marginals of heads", "marginals", {"arc_marginals": "heads"}),
        Way("marginals of non-projective trees", "marginals", {"arc_marginals": "non-projective"}),
        Way("marginals of projective trees", "marginals", {"arc_marginals": "projective"}),
    ),
}


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "epoch",
        words=(40, 8, "words of the longest sentence"),
        sentences=(256, 64, "sentences of an epoch, a multiple of 32"),
        labels=(4, 2, "labels of spans; of each, two tags"),
        relations=(40, 5, "relations of arcs"),
        hidden_size=(384, 64, "width of both models, a multiple of 32"),
        rounds=(7, 2, "turns of each case"),
    )
    tasks: dict[str, WordTask[Any]] = {
        "crf": tagging(options.words, options.sentences, options.labels),
        "parser": parsing(options.words, options.sentences, options.relations),
    }
    cases: dict[str, Case] = {}
    for head, task in tasks.items():
        tokens = options.words + SPECIAL
        teacher = with_head(make_teacher(task, tokens, options.hidden_size), task, head)
        # A run so long that its warm-up never gets going: the student stays as it is, and every epoch costs the same.
        make = partial(make_distiller, task, teacher, tokens, 10**7)
        cases[_name(head, GOLD)] = _epoch(make(knowledge=[GOLD]), options.sentences, GOLD)
        for way in WAYS[head]:
            distiller = make(knowledge=[GOLD, way.knowledge], **way.settings)
            cases[_name(head, way.told)] = _epoch(distiller, options.sentences, GOLD, way.knowledge)
    seconds = take_turns(cases, options.rounds, options.clock)

    rows, data = [], {}
    for head, ways in WAYS.items():
        for told in (GOLD, *(way.told for way in ways)):
            name = _name(head, told)
            figures = {"seconds": seconds[name], "to_gold": ratios(seconds, name, _name(head, GOLD))}
            data[name] = figures
            per_epoch = f"{statistics.median(seconds[name]):.2f}"
            knowledge = told if told == GOLD else f"{GOLD} + {told}"
            rows.append([head, knowledge, per_epoch, spread(figures["to_gold"])])
    title = f"An epoch of {options.sentences} sentences, {options.words // 2} to {options.words} words"
    size = f"6 -> 3 layers, {options.hidden_size} wide, {2 * options.labels + 1} tags, {options.relations} relations"
    report(options, f"{title}, {size}, median of {options.rounds}", COLUMNS, rows, data, dtype=str(distiller.dtype))


def _name(head: str, told: str) -> str:
    return f"{head}, {told}"


def _epoch(distiller: Distiller, sentences: int, *names: str) -> Case:
    return partial(distiller.advance, select(distiller, *names), -(-sentences // BATCH))


if __name__ == "__main__":
    main()
