from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kselect.tasks.words import read_columns

Write = Callable[[str | bytes], Path]

CHUNKS = "He PRP B-NP\nran VBD B-VP\n. . O\n\n-DOCSTART- -X- O\n\n\nStop VB B-VP\n"
PREDICTED = [["B-NP", "O", "O"], ["B-NP"]]


def test_words_tags_and_places(write: Write) -> None:
    path = write(CHUNKS)
    first, second = read_columns(path).sentences
    assert (first.words, first.tags) == (("He", "ran", "."), ("B-NP", "B-VP", "O"))
    assert (second.words, second.tags, second.origin.place()) == (("Stop",), ("B-VP",), f"{path}:8")


def test_any_column_may_hold_words_and_tags(write: Write) -> None:
    (sentence,) = read_columns(write("1\tHe\tPRP\tO\n2\tran\tVBD\tO\n"), word_column=1, tag_column=-2).sentences
    assert (sentence.words, sentence.tags) == (("He", "ran"), ("PRP", "VBD"))


def test_predictions_replace_the_tags_and_nothing_else(write: Write) -> None:
    text = read_columns(write(CHUNKS)).text(PREDICTED)
    assert text == "He PRP B-NP\nran VBD O\n. . O\n\n-DOCSTART- -X- O\n\n\nStop VB B-NP\n"


def test_predictions_in_one_more_column(write: Write) -> None:
    text = read_columns(write(CHUNKS)).text(PREDICTED, append=True)
    assert text == "He PRP B-NP B-NP\nran VBD B-VP O\n. . O O\n\n-DOCSTART- -X- O\n\n\nStop VB B-VP B-NP\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [("He PRP\nran VBD", "He PRP O\nran VBD B"), ("He\tx\r\nran\ty\r\n", "He\tx\tO\r\nran\ty\tB\r\n")],
)
def test_a_file_without_tags_gets_a_column(write: Write, before: str, after: str) -> None:
    file = read_columns(write(before), tag_column=None)
    assert [(sentence.words, sentence.tags) for sentence in file.sentences] == [(("He", "ran"), ())]
    assert file.text([["O", "B"]]) == after


@pytest.mark.parametrize(
    "text",
    [
        CHUNKS,
        "a\tO\nb\tO",
        "a\tO\r\n\r\nb\tO\r\n",
        "\n\na O\n \t\nb O\n\n\n",
        "  a   x  O  \nb\tx O\n",
        "# id = 1\na O\n\n# id = 2\nb O\n",
        "a\tO\n\t\nb\tO\n\t\n",
        "\ufeffa\tO\nb\tO\n",
    ],
)
def test_what_was_read_is_written_byte_for_byte(write: Write, text: str) -> None:
    path = write(text)
    file = read_columns(path)
    assert file.text().encode() == path.read_bytes()
    assert file.text([sentence.tags for sentence in file.sentences]).encode() == path.read_bytes()


def test_comments_are_distinguished_from_words_that_begin_alike(write: Write) -> None:
    file = read_columns(write("# source: a b c d\n#tag\tO\n#\tO\n\n#\thttp://a\tb\na\tO\n"))
    assert [sentence.words for sentence in file.sentences] == [("#tag", "#"), ("a",)]
    pounds = read_columns(write("# # B-NP\n10 CD I-NP\n"))
    assert pounds.sentences[0].words == ("#", "10")


def test_a_comment_before_every_sentence_may_have_as_many_columns_as_words(write: Write) -> None:
    text = "# id 5239\tdomain=en\na _ _ B-X\nb _ _ O\n\n# id 77\tdomain=en\n# _ _ O\n1 _ _ O\n"
    file = read_columns(write(text))
    assert [sentence.words for sentence in file.sentences] == [("a", "b"), ("#", "1")]
    assert file.text([["B-X", "B-X"], ["B-X", "B-X"]]) == text.replace(" O", " B-X")
    one = read_columns(write("# a O\nb a O\n\nc a O\n"))
    assert [sentence.words for sentence in one.sentences] == [("#", "b"), ("c",)]
    pounds = read_columns(write("# O\n\n# O\n"))
    assert [sentence.words for sentence in pounds.sentences] == [("#",), ("#",)]


def test_comments_can_be_named(write: Write) -> None:
    file = read_columns(write("#id a\nx O\n#id b\ny O\n"), comment="#id")
    assert [sentence.words for sentence in file.sentences] == [("x", "y")]


def test_language_prefix_is_taken_off_and_written_back(write: Write) -> None:
    file = read_columns(write("en:Bonn\tB-LOC\nen::\tO\n\nzh-yue:http://a\tO\n"))
    assert [sentence.words for sentence in file.sentences] == [("Bonn", ":"), ("http://a",)]
    assert file.text([["O", "O"], ["B-LOC"]]) == "en:Bonn\tO\nen::\tO\n\nzh-yue:http://a\tB-LOC\n"


def test_a_colon_alone_makes_no_language(write: Write) -> None:
    path = write("en:Bonn\tO\nhere\tO\n")
    assert read_columns(path).sentences[0].words == ("en:Bonn", "here")
    alone = write("http://a\tO\n")
    assert read_columns(alone, language_prefix=False).sentences[0].words == ("http://a",)


def test_words_keep_what_is_no_separator(write: Write) -> None:
    (sentence,) = read_columns(write("New York\tO\na\u2028b\x85c\xa0d\tO\n")).sentences
    assert sentence.words == ("New York", "a\u2028b\x85c\xa0d")


def test_byte_order_mark_is_no_part_of_a_word(write: Write) -> None:
    assert read_columns(write(b"\xef\xbb\xbfa O\n")).sentences[0].words == ("a",)


@pytest.mark.parametrize(
    ("content", "options", "line", "message"),
    [
        ("a O\nb\n", {}, ":2", "has 1 column, expected 2 as in line 1: fix or remove that line."),
        ("a\tO\nb\tO\tO\n", {}, ":2", "has 3 columns, expected 2 as in line 1: fix or remove that line."),
        ("a O\n# b c\n", {}, ":2", "has 3 columns, expected 2 as in line 1: fix or remove that line."),
        ("", {}, "", "holds no sentences: fill it, or give another."),
        ("\n \n-DOCSTART- O\n\t\n", {}, "", "holds no sentences: fill it, or give another."),
        ("#id\n", {"comment": "#id"}, "", "holds no sentences: fill it, or give another."),
        (b"a O\n\xff O\n", {}, ":2", "is not UTF-8: save the file in that encoding."),
        ("a O\rb O\r", {}, "", "ends its lines with carriage returns alone: save it with line feeds."),
        ("\na\n", {}, ":2", "has no tag next to the word (column 0, counted from 0, of 1): add a column of tags, or "
         "name another."),
        ("a O\n", {"tag_column": 3}, ":1", "has 2 columns, and tag_column is 3: give one from 0 to 1, or from -1 "
         "backwards."),
        ("a O\n", {"word_column": -3}, ":1", "has 2 columns, and word_column is -3: give one from 0 to 1, or from -1 "
         "backwards."),
        ("a\tO\nb\t\n", {}, ":2", "has an empty tag: fix or remove that line."),
        ("a\tO\n \tO\n", {}, ":2", "has an empty word: fix or remove that line."),
        ("en:a\tO\nen:\tO\n", {}, ":2", "has 'en:', expected a word after its language as in 'en:word': fix that "
         "line."),
        ("a\tO\n", {"language_prefix": True}, ":1", "has 'a', expected a word after its language as in 'en:word': fix "
         "that line."),
    ],
)  # fmt: skip
def test_bad_files(
    write: Write,
    message_of: Callable[..., str],
    content: str | bytes,
    options: dict[str, object],
    line: str,
    message: str,
) -> None:
    path = write(content)
    assert message_of(read_columns, path, **options) == f"{path}{line} {message}"


def test_missing_file(tmp_path: Path, message_of: Callable[..., str]) -> None:
    path = tmp_path / "dev.txt"
    assert message_of(read_columns, path) == f"{path} does not exist: put the file there, or give another path."


def test_tags_that_cannot_be_written(write: Write, message_of: Callable[..., str]) -> None:
    file = read_columns(write("a O\n"))
    for tag in ("B-time of day", "", "a\tb", "a\n"):
        assert message_of(file.text, [[tag]]).startswith(f"The tag {tag!r} cannot be written")
    assert read_columns(write("a\tO\n")).text([["B-time of day"]]) == "a\tB-time of day\n"


@pytest.mark.parametrize("tags", [[], [["O"], ["O"]], [["O", "O"]]])
def test_predictions_for_other_sentences(write: Write, tags: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="zip"):
        read_columns(write("a O\n")).text(tags)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "sentences", "words", "labels"),
    [
        ("ner/wnut17/train.conll", 3394, 62730, 6),
        ("ner/wnut17/dev.conll", 1009, 15733, 6),
        ("ner/wikiann-en/train.txt", 20000, 160394, 3),
        ("ner/wikiann-en/dev.txt", 10000, 80536, 3),
        ("chunk/conll2000/train.txt", 8036, 190449, 11),
        ("chunk/conll2000/dev.txt", 900, 21278, 10),
    ],
)
def test_real_files(real_file: Callable[[str], Path], file: str, sentences: int, words: int, labels: int) -> None:
    path = real_file(file)
    read = read_columns(path)
    assert len(read.sentences) == sentences
    assert sum(map(len, read.sentences)) == words
    assert len({tag[2:] for sentence in read.sentences for tag in sentence.tags if tag != "O"}) == labels
    if "wikiann" in file:
        assert not any(word.startswith("en:") for sentence in read.sentences[:50] for word in sentence.words)
    assert read.text([sentence.tags for sentence in read.sentences]).encode() == path.read_bytes()


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u200b", "\ufeff"])
def test_read_columns_strips_tags(blank: str, write: Write) -> None:
    file = read_columns(write(f"a\tB-X{blank}\nb\t{blank}I-X\n"))
    assert file.sentences[0].tags == ("B-X", "I-X")
    assert file.values(1) == {"B-X", "I-X"}
    assert file.text([("O", "S-Y")]) == "a\tO\nb\tS-Y\n"


def test_read_columns_skips_comments_of_other_columns(write: Write) -> None:
    content = "#begin document (a/b); part 000\nin\tO\n\n#sent1\n#tag\tB-X\nb\tO\n\n#end document\n"
    file = read_columns(write(content))
    assert [sentence.words for sentence in file.sentences] == [("in",), ("#tag", "b")]
    assert file.text([("O",), ("B-Y", "O")]) == content.replace("B-X", "B-Y")


def test_read_columns_refuses_a_carriage_return_in_a_tag(write: Write, message_of: Callable[..., str]) -> None:
    path = write("a\tO\r;\nb\tB-X")
    assert message_of(read_columns, path) == f"{path}:1 has a carriage return in its tag: fix or remove that line."


def test_column_file_refuses_to_turn_a_comment_into_a_word(write: Write, message_of: Callable[..., str]) -> None:
    path = write("a\tO\n\n# x\ty\tz\nb\tO\n")
    file = read_columns(path)
    assert len(file.sentences) == 2
    assert message_of(file.text, [("O",), ("O",)], append=True).startswith(f"{path}:3 is a comment with as many")
    assert file.text([("B-X",), ("O",)]).startswith("a\tB-X")
