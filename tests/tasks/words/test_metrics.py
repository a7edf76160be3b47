from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kselect.tasks.words import (
    SCHEMES,
    ConstantTree,
    Origin,
    ParsedSentence,
    TaggedSentence,
    accuracy,
    constant_tag,
    convert,
    find_tree_error,
    read_spans,
    span_scores,
    tag_scores,
    tree_scores,
)

GOLD = [["B-X", "I-X", "O", "B-Y"], ["O", "B-X"]]


def parsed(heads: tuple[int, ...], relations: str) -> ParsedSentence:
    names = tuple(relations.split())
    return ParsedSentence(names, names, heads, names, Origin("dev"))


def test_spans_by_hand() -> None:
    # Spans: 3 gold; predicted X 0-1 (right), Y 2-3 (too long), X of the second sentence under another label.
    predicted = [["B-X", "I-X", "B-Y", "I-Y"], ["O", "B-Y"]]
    assert span_scores(predicted, GOLD, "iob2") == pytest.approx({"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3})
    predicted = [["B-X", "I-X", "O", "O"], ["O", "B-X"]]
    assert tag_scores(predicted, GOLD, "iob2") == pytest.approx(
        {"precision": 1.0, "recall": 2 / 3, "f1": 0.8, "accuracy": 5 / 6}
    )


def test_impossible_predictions_are_no_spans() -> None:
    predicted = [["I-X", "I-X", "O", "B-Y"], ["O", "B-X"]]
    assert span_scores(predicted, GOLD, "iob2")["recall"] == pytest.approx(2 / 3)
    repaired = [convert(tags, "iob2") for tags in predicted]
    assert span_scores(repaired, GOLD, "iob2")["recall"] == 1.0
    assert span_scores([["B-X", "O"]], [["S-X", "O"]], "bioes")["f1"] == 0.0


LETTERS = {"iob1": "BI", "iob2": "BI", "bioes": "BIES", "bilou": "BILU"}


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(list(SCHEMES)))
def test_spans_of_possible_tags_are_counted_as_sets(data: st.DataObject, scheme: str) -> None:
    names = ["O", *(f"{letter}-{label}" for letter in LETTERS[scheme] for label in "XY")]
    lengths = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    sides = [
        [convert(data.draw(st.lists(st.sampled_from(names), min_size=n, max_size=n)), scheme) for n in lengths]
        for _ in range(2)
    ]
    ours, gold = ({(i, span) for i, tags in enumerate(side) for span in read_spans(tags)} for side in sides)
    hits = len(ours & gold)
    expected = {
        "precision": hits / len(ours) if ours else 0.0,
        "recall": hits / len(gold) if gold else 0.0,
        "f1": 2 * hits / (len(ours) + len(gold)) if hits else 0.0,
    }
    assert span_scores(sides[0], sides[1], scheme) == pytest.approx(expected)


def test_constant_tags(sentence: Callable[[str], TaggedSentence]) -> None:
    train = [sentence("B-X I-X"), sentence("B-X")]
    assert constant_tag(train, "iob2") == "O"
    assert constant_tag([sentence("NN DT DT NN VB")], "plain") == "DT"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = tag_scores([["O"] * len(tags) for tags in GOLD], GOLD, "iob2")
    assert scores == pytest.approx({"precision": 0.0, "recall": 0.0, "f1": 0.0, "accuracy": 1 / 3})


def test_plain_tags_have_accuracy_alone() -> None:
    assert tag_scores([["NN", "DT"]], [["NN", "NN"]], "plain") == {"accuracy": 0.5}
    with pytest.raises(ValueError, match="spell no spans"):
        span_scores([["NN"]], [["NN"]], "plain")


def test_trees_by_hand() -> None:
    gold = [parsed((2, 0, 2), "nsubj:pass root punct"), parsed((0,), "root")]
    heads, relations = [(2, 0, 1), (0,)], [("nsubj", "root", "punct"), ("dep",)]
    assert tree_scores(heads, relations, gold) == {"uas": 3 / 4, "las": 2 / 4}
    assert tree_scores([s.heads for s in gold], [s.relations for s in gold], gold) == {"uas": 1.0, "las": 1.0}


def test_constant_trees() -> None:
    left = [parsed((0, 1, 2, 1), "root a b c"), parsed((2, 0), "z root")]
    constant = ConstantTree.of(left)
    assert constant == ConstantTree(-1, "a")
    assert constant.parse(3) == ((0, 1, 2), ("root", "a", "a"))
    right = ConstantTree.of([parsed((2, 3, 0), "x y root"), parsed((2, 0), "y root")])
    assert right == ConstantTree(1, "y")
    assert right.parse(3) == ((2, 3, 0), ("y", "y", "root"))
    assert ConstantTree.of([parsed((0,), "root")]).parse(1) == ((0,), ("root",))
    for length in range(1, 6):
        for tree in (constant, right):
            assert find_tree_error(tree.parse(length)[0]) is None


@pytest.mark.parametrize("sides", [([], []), ([["O"]], [["O", "O"]]), ([["O"]], [["O"], ["O"]])])
def test_sides_that_do_not_fit(sides: tuple[list[list[str]], list[list[str]]]) -> None:
    for score in (accuracy, lambda ours, gold: span_scores(ours, gold, "iob2")):
        with pytest.raises(ValueError, match="predicted sentences"):
            score(*sides)
    with pytest.raises(ValueError, match="predicted sentences"):
        tree_scores([(0,)], [("root",)], [parsed((0, 1), "root x")])
