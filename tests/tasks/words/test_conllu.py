from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import conllu
import pytest

from kselect.tasks.words import is_projective, read_treebank, universal

Write = Callable[[str | bytes], Path]


def row(id: object, form: str, head: object, relation: str, upos: str = "X") -> str:
    return f"{id}\t{form}\t_\t{upos}\t_\t_\t{head}\t{relation}\t_\tA=b=c|D"


SENTENCE = [
    "# sent_id = s1",
    "# note",
    "# text = a = b",
    row("1-2", "won't", "_", "_", "_"),
    row(1, "will", 3, "aux:x", "AUX"),
    row(2, "not", 3, "advmod", "PART"),
    row("2.1", "gap", "_", "_"),
    row(3, "go", 0, "root", "VERB"),
]
TEXT = "\n".join([*SENTENCE, "", "", "# sent_id = s2", row(1, "2 000", 2, "nummod"), row(2, "_", 0, "root"), "", ""])


def test_words_trees_and_places(write: Write) -> None:
    path = write(TEXT)
    first, second = read_treebank(path).sentences
    assert first.words == ("will", "not", "go")
    assert first.upos == first.with_upos.tags == ("AUX", "PART", "VERB")
    assert (first.heads, first.relations) == ((3, 3, 0), ("aux:x", "advmod", "root"))
    assert (second.words, second.heads) == (("2 000", "_"), (2, 0))
    assert second.origin.place(1) == f"{path}:13 (sentence s2)"


def test_universal_relations(write: Write) -> None:
    assert read_treebank(write(TEXT), universal_relations=True).sentences[0].relations == ("aux", "advmod", "root")
    assert [universal(name) for name in ("nsubj:pass", "root")] == ["nsubj", "root"]


def test_predictions_replace_heads_and_relations_and_nothing_else(write: Write) -> None:
    text = read_treebank(write(TEXT)).text([(0, 1, 2), (0, 1)], [("root", "a", "b"), ("root", "c")])
    expected = TEXT.replace("\t3\taux:x\t", "\t0\troot\t").replace("\t3\tadvmod\t", "\t1\ta\t")
    expected = expected.replace("VERB\t_\t_\t0\troot\t", "VERB\t_\t_\t2\tb\t")
    assert text == expected.replace("\t2\tnummod\t", "\t0\troot\t").replace(
        "_\t_\tX\t_\t_\t0\troot", "_\t_\tX\t_\t_\t1\tc"
    )
    assert "AUX" not in read_treebank(write(TEXT)).text(upos=[("A", "B", "C"), ("D", "E")])
    with pytest.raises(ValueError, match="zip"):
        read_treebank(write(TEXT)).text([(0, 1), (0, 1)])


@pytest.mark.parametrize(
    "text", [TEXT, TEXT.rstrip("\n"), TEXT.replace("\n", "\r\n"), "\n# alone\n\n" + TEXT, "\ufeff" + TEXT]
)
def test_what_was_read_is_written_byte_for_byte(write: Write, text: str) -> None:
    path = write(text)
    bank = read_treebank(path)
    assert (
        bank.text([s.heads for s in bank.sentences], [s.relations for s in bank.sentences]).encode()
        == path.read_bytes()
    )
    assert len(bank.sentences) == 2


def test_a_file_to_predict_needs_no_trees(write: Write) -> None:
    bank = read_treebank(write(row(1, "a", "_", "_", "_") + "\n" + row(2, "b", "_", "_", "_") + "\n"), trees=False)
    assert (bank.sentences[0].words, bank.sentences[0].heads, bank.sentences[0].relations) == (("a", "b"), (), ())
    assert "\t0\troot\t" in bank.text([(0, 1)], [("root", "x")])


def test_non_projective_trees_are_kept(write: Write) -> None:
    rows = [row(1, "a", 3, "x"), row(2, "b", 4, "x"), row(3, "c", 0, "root"), row(4, "d", 3, "x")]
    (sentence,) = read_treebank(write("\n".join(rows))).sentences
    assert sentence.heads == (3, 4, 0, 3)
    assert not is_projective(sentence.heads)


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ([row(1, "a", 2, "x"), row(2, "b", 1, "x"), row(3, "c", 0, "root")], 2,
         "is in a cycle of heads: words 1, 2: fix or remove that sentence."),
        ([row(1, "a", 0, "root"), row(2, "b", 2, "x")], 3,
         "is in a cycle of heads: word 2: fix or remove that sentence."),
        ([row(1, "a", 2, "x"), row(2, "b", 1, "x")], 2,
         "begins a sentence without a root: no word has the head 0: fix or remove that sentence."),
        ([row(1, "a", 0, "root"), row("1.1", "", "_", "_"), row(2, "b", 0, "root")], 4,
         "is a second root after word 1: fix or remove that sentence."),
        ([row(1, "a", 0, "root"), row(2, "b", 3, "x")], 3,
         "has the head 3, and the sentence 2 words: fix or remove that sentence."),
        ([row(1, "a", -1, "root")], 2, "has the head -1, and the sentence 1 word: fix or remove that sentence."),
        ([row(1, "a", "_", "root")], 2, "has the head '_', expected a word's id or 0: fix that line."),
        ([row(1, "a", "x", "root")], 2, "has the head 'x', expected a word's id or 0: fix that line."),
        ([row(1, "a", 0, "root") + "\tb"], 2, "has 11 columns, expected ten separated by tabs: fix or remove that "
         "line."),
        (["1 a"], 2, "has 1 column, expected ten separated by tabs: fix or remove that line."),
        ([row(2, "a", 0, "root")], 2, "has the id '2', expected 1: number the words from 1."),
        ([row(1, "a", 0, "root"), row(1, "a", 1, "x")], 3, "has the id '1', expected 2: number the words from 1."),
        ([row("one", "a", 0, "root")], 2, "has the id 'one', expected 1: number the words from 1."),
        ([row("_", "a", 0, "root")], 2, "has the id '_', expected 1: number the words from 1."),
        ([row(1, "", 0, "root")], 2, "has nothing in FORM: fix that line."),
        ([row(1, "a", 0, "root", "")], 2, "has nothing in UPOS: fix that line."),
        ([row(1, "a", 0, "_")], 2, "has nothing in DEPREL: fix that line."),
    ],
)  # fmt: skip
def test_bad_sentences(write: Write, message_of: Callable[..., str], rows: list[str], line: int, message: str) -> None:
    path = write("\n".join(["# sent_id = s", *rows, ""]))
    assert message_of(read_treebank, path) == f"{path}:{line} (sentence s) {message}"


def test_a_sentence_without_a_name_is_identified_by_its_line(write: Write, message_of: Callable[..., str]) -> None:
    path = write(TEXT + row(1, "a", 1, "x"))
    assert message_of(read_treebank, path).startswith(f"{path}:15 begins a sentence without a root")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", " holds no sentences: fill it, or give another."),
        (b"# sent_id = 1\n\n", " holds no sentences: fill it, or give another."),
        (b"# \xff\n", ":1 is not UTF-8: save the file in that encoding."),
    ],
)
def test_bad_files(write: Write, message_of: Callable[..., str], content: bytes, message: str) -> None:
    path = write(content)
    assert message_of(read_treebank, path) == f"{path}{message}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "sentences", "words", "crossing"),
    [
        ("ud/UD_English-Atis/en_atis-ud-train.conllu", 4274, 48655, 80),
        ("ud/UD_English-Atis/en_atis-ud-dev.conllu", 572, 6644, 18),
        ("ud/UD_English-EWT/en_ewt-ud-dev.conllu", 2001, 25147, 31),
        ("ud/UD_Turkish-IMST/tr_imst-ud-dev.conllu", 1100, 10542, 41),
        ("ud/UD_Turkish-IMST/tr_imst-ud-train.conllu", 3435, 37522, 171),
        ("ud/UD_English-EWT/en_ewt-ud-train.conllu", 12544, 204577, 288),
    ],
)
def test_real_treebanks(real_file: Callable[[str], Path], file: str, sentences: int, words: int, crossing: int) -> None:
    path = real_file(file)
    bank = read_treebank(path)
    assert len(bank.sentences) == sentences
    assert sum(map(len, bank.sentences)) == words
    assert sum(not is_projective(sentence.heads) for sentence in bank.sentences) == crossing
    heads, relations = [s.heads for s in bank.sentences], [s.relations for s in bank.sentences]
    assert bank.text(heads, relations, [s.upos for s in bank.sentences]).encode() == path.read_bytes()


def test_conllu_reads_the_same(real_file: Callable[[str], Path]) -> None:
    path = real_file("ud/UD_English-EWT/en_ewt-ud-dev.conllu")
    for ours, theirs in zip(read_treebank(path).sentences, conllu.parse(path.read_text(encoding="utf-8")), strict=True):
        tokens = [token for token in theirs if isinstance(token["id"], int)]
        assert ours.origin.name == theirs.metadata["sent_id"]
        assert ours.words == tuple(token["form"] for token in tokens)
        assert ours.heads == tuple(token["head"] for token in tokens)
        assert ours.relations == tuple(token["deprel"] for token in tokens)
        assert ours.upos == tuple(token["upos"] for token in tokens)


def test_read_treebank_strips_fields(write: Callable[[str | bytes], Path]) -> None:
    (sentence,) = read_treebank(write(row("1 ", "a", " 0", "root\u200b", "NOUN\u00a0") + "\n")).sentences
    assert (sentence.upos, sentence.heads, sentence.relations) == (("NOUN",), (0,), ("root",))


@pytest.mark.parametrize("column", ["id", "head"])
def test_read_treebank_refuses_numbers_of_thousands_of_digits(
    column: str, write: Callable[[str | bytes], Path], message_of: Callable[..., str]
) -> None:
    digits = "1" * 5000
    path = write((row(digits, "a", 0, "root") if column == "id" else row(1, "a", digits, "root")) + "\n")
    message = message_of(read_treebank, path)
    assert message.startswith(f"{path}:1 has the {column} '{digits[:30]}...'")
