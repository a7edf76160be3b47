from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kselect.tasks.words import (
    PLAIN,
    SCHEMES,
    Span,
    TaggedSentence,
    convert,
    detect,
    read_columns,
    read_spans,
    repair,
    write_spans,
)

Make = Callable[[str], TaggedSentence]

BY_HAND = {
    "iob1": "I-X I-X B-X O I-Y I-X",
    "iob2": "B-X I-X B-X O B-Y B-X",
    "bioes": "B-X E-X S-X O S-Y S-X",
    "bilou": "B-X L-X U-X O U-Y U-X",
}
SPANS = [Span(0, 1, "X"), Span(2, 2, "X"), Span(4, 4, "Y"), Span(5, 5, "X")]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_by_hand(scheme: str) -> None:
    tags = tuple(BY_HAND[scheme].split())
    assert read_spans(tags) == SPANS
    assert write_spans(reversed(SPANS), 6, scheme) == tags
    for other in SCHEMES:
        assert convert(tags, other) == tuple(BY_HAND[other].split())


def possible(tags: tuple[str, ...], scheme: str) -> bool:
    """Whether each tag may follow the one before and, in BIOES and BILOU, the last may be the last: from the tables."""
    end = {"bioes": "E", "bilou": "L"}.get(scheme)
    for before, tag in zip(("O", *tags), (*tags, "O"), strict=True):
        continues = before[0] in "BI" and before[1:] == tag[1:]
        if scheme == "iob2" and tag[0] == "I" and not continues:
            return False
        if scheme == "iob1" and tag[0] == "B" and not continues:
            return False
        if end:
            inside = tag[0] in ("I", end)
            if inside != (before[0] in "BI") or (inside and not continues):
                return False
    return True


LETTERS = {"iob1": "BI", "iob2": "BI", "bioes": "BIES", "bilou": "BILU"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_short_sequence(scheme: str, sentence: Make) -> None:
    names = ["O", *(f"{letter}-{label}" for letter in LETTERS[scheme] for label in "XY")]
    for length in range(1, 5 if len(names) < 6 else 4):
        for tags in product(names, repeat=length):
            (repaired,), changed = repair([sentence(" ".join(tags))], scheme)
            assert (not changed) == possible(tags, scheme)
            assert changed == [
                f"train.txt:{i}" for i, (a, b) in enumerate(zip(tags, repaired.tags, strict=True), start=1) if a != b
            ]
            assert possible(repaired.tags, scheme)
            assert read_spans(repaired.tags) == read_spans(tags)


@st.composite
def span_sets(draw: st.DrawFn) -> tuple[int, list[Span]]:
    spans, end = [], 0
    for gap, size, label in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["X", "Y", "B-X", "", "a b"])))
    ):
        spans.append(Span(end + gap, end + gap + size - 1, label))
        end += gap + size
    return end + draw(st.integers(0, 2)), spans


@settings(max_examples=60, deadline=None)
@given(span_sets(), st.sampled_from(list(SCHEMES)), st.sampled_from(list(SCHEMES)))
def test_spans_survive_every_scheme(drawn: tuple[int, list[Span]], one: str, other: str) -> None:
    length, spans = drawn
    tags = write_spans(spans, length, one)
    assert len(tags) == length
    assert read_spans(tags) == spans
    assert read_spans(convert(tags, other)) == spans
    assert convert(convert(tags, other), one) == tags


@settings(max_examples=60, deadline=None)
@given(span_sets(), st.sampled_from(list(SCHEMES)))
def test_seqeval_finds_the_same_spans(drawn: tuple[int, list[Span]], scheme: str) -> None:
    from seqeval import scheme as seqeval_schemes

    length, spans = drawn
    spans = [span._replace(label={"X": "X"}.get(span.label, "Y")) for span in spans]
    tags = list(write_spans(spans, length, scheme))
    reader = {"iob1": "IOB1", "iob2": "IOB2", "bioes": "IOBES", "bilou": "BILOU"}[scheme]
    found = seqeval_schemes.Tokens(tags, getattr(seqeval_schemes, reader)).entities
    assert [Span(entity.start, entity.end - 1, entity.tag) for entity in found] == spans


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["O", *(f"{letter}-{label}" for letter in "BIESLU" for label in "XY")])))
def test_a_repaired_sequence_stays_as_it_is(tags: list[str]) -> None:
    for scheme in SCHEMES:
        assert convert(convert(tags, scheme), scheme) == convert(tags, scheme)


@pytest.mark.parametrize(
    ("scheme", "tags", "repaired", "lines"),
    [
        ("iob2", "O I-X I-X", "O B-X I-X", [2]),
        ("iob2", "B-X I-Y I-X", "B-X B-Y B-X", [2, 3]),
        ("iob1", "O B-X I-X", "O I-X I-X", [2]),
        ("bioes", "E-X O", "S-X O", [1]),
        ("bioes", "B-X O", "S-X O", [1]),
        ("bioes", "B-X I-X S-X", "B-X E-X S-X", [2]),
        ("bioes", "O I-X E-X", "O B-X E-X", [2]),
        ("iob2", "S-X E-X", "B-X B-X", [1, 2]),
        ("plain", "I-X O", "I-X O", []),
    ],
)
def test_repair_by_hand(sentence: Make, scheme: str, tags: str, repaired: str, lines: list[int]) -> None:
    places = [f"train.txt:{line}" for line in lines]
    assert repair([sentence("O"), sentence(tags)], scheme) == ([sentence("O"), sentence(repaired)], places)


def test_strict_refuses_with_the_place(sentence: Make, message_of: Callable[..., str]) -> None:
    assert repair([sentence("O B-X I-X")], "iob2", strict=True)[1] == []
    assert message_of(repair, [sentence("O I-X I-X")], "iob2", strict=True) == (
        "train.txt:2 has the tag 'I-X', impossible there in IOB2, where it would be 'B-X': "
        "fix it, or do without strict to have it repaired."
    )


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["B-X I-X O", "B-X B-X"], "iob2"),
        (["I-X I-X O", "I-X B-X"], "iob1"),
        (["B-X I-X E-X", "S-Y O"], "bioes"),
        (["S-Y O"], "bioes"),
        (["B-X I-X L-X", "U-Y"], "bilou"),
        (["O O"], "iob2"),
        (["B I O"], "iob2"),
        (["B-X O", "B-X O", "I-X O"], "iob2"),  # one slip
        (["I-X O", "I-X I-X", "B-X O"], "iob1"),  # one slip
        (["B-X O", "I-X O"], "iob2"),  # as many faults in either
        (["DT NN VBZ", "B IN O"], PLAIN),
        (["-LRB- NN"], PLAIN),
    ],
)
def test_detect_infers_schemes_from_tags(sentence: Make, tags: list[str], scheme: str) -> None:
    assert detect([sentence(line) for line in tags]) == scheme


def test_tags_partly_of_a_scheme_are_refused(sentence: Make, message_of: Callable[..., str]) -> None:
    message = (
        "train.txt:3 has the tag '0', expected O or one like B-LABEL: fix it, or give plain as file_scheme "
        "if the tags spell no spans."
    )
    assert message_of(detect, [sentence("O"), sentence("B-X O 0")]) == message
    assert message_of(repair, [sentence("B-X O 0")], "iob2") == message
    with pytest.raises(ValueError, match="no scheme"):
        read_spans(["NN"])


def test_unknown_scheme(sentence: Make, message_of: Callable[..., str]) -> None:
    assert "Unknown tagging scheme 'iobes': did you mean 'bioes'?" in message_of(repair, [sentence("O")], "iobes")
    assert "Unknown tagging scheme 'BIO'" in message_of(convert, ["O"], "BIO")


@pytest.mark.parametrize("spans", [[(0, 1), (1, 2)], [(-1, 0)], [(2, 3)], [(1, 0)]])
def test_spans_that_fit_no_sentence(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        write_spans([Span(*span, "X") for span in spans], 3, "iob2")


@pytest.mark.slow
@pytest.mark.parametrize("file", ["ner/wnut17/train.conll", "ner/wikiann-en/train.txt", "chunk/conll2000/train.txt"])
def test_real_files_are_in_iob2_without_a_fault(real_file: Callable[[str], Path], file: str) -> None:
    sentences = read_columns(real_file(file)).sentences
    assert detect(sentences) == "iob2"
    assert repair(sentences, "iob2", strict=True) == (list(sentences), [])
    for scheme in SCHEMES:
        other = [sentence.tagged(convert(sentence.tags, scheme)) for sentence in sentences]
        assert detect(other) == scheme
        assert all(convert(a.tags, "iob2") == b.tags for a, b in zip(other, sentences, strict=True))
