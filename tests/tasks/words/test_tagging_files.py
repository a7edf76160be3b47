from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

import pytest

from kselect.tasks.words import IGNORED, TaggedSentence, TagSet, convert, tagged_data

Make = Callable[[str], TaggedSentence]


def test_labels_of_train_come_with_all_of_their_tags(sentence: Make) -> None:
    train = [sentence("S-b O"), sentence("B-a E-a")]
    tag_set = TagSet.of(train, "bioes")
    assert tag_set.tags == ("O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b", "E-b", "S-b")
    assert TagSet.of([sentence("B-a")], "iob2").tags == TagSet.of([sentence("I-a")], "iob1").tags == ("O", "B-a", "I-a")
    assert TagSet.of([sentence("B I")], "iob2").tags == ("O", "B", "I")
    assert TagSet.of([sentence("U-a")], "bilou").tags == ("O", "B-a", "I-a", "L-a", "U-a")


def test_plain_tags_are_those_of_train(sentence: Make) -> None:
    assert TagSet.of([sentence("NN DT"), sentence("NN O")], "plain").tags == ("DT", "NN", "O")


def test_ids_and_names(sentence: Make) -> None:
    tag_set = TagSet.of([sentence("B-a O")], "iob2")
    assert tag_set.ids(["O", "I-a", "B-new"]) == [0, 2, IGNORED]
    assert tag_set.names([0, 2]) == ("O", "I-a")
    for wrong in (-100, 3):
        with pytest.raises(ValueError, match="0 to 2"):
            tag_set.names([wrong])


def test_parts_are_repaired_converted_and_reported(sentence: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "kselect"):
        data = tagged_data(
            {"train": [sentence("B-a I-a O B-a")], "dev": [sentence("I-a O"), sentence("B-b I-b B-c")]},
            model_scheme="bioes",
        )
    assert data.file_scheme == "iob2"
    assert data.tag_set.tags == ("O", "B-a", "I-a", "E-a", "S-a")
    assert [s.tags for s in data.parts["train"]] == [("B-a", "E-a", "O", "S-a")]
    assert [s.tags for s in data.parts["dev"]] == [("S-a", "O"), ("B-b", "E-b", "S-c")]
    assert data.repaired == {"train": [], "dev": ["train.txt:1"]}
    assert data.unseen == {"train": Counter(), "dev": Counter({"B-b": 1, "E-b": 1, "S-c": 1})}
    assert caplog.messages == [
        "train.txt has 1 tag impossible in IOB2, at train.txt:1, now repaired.",
        "train.txt has 3 tags that train does not have and no prediction gets right: B-b, E-b, S-c.",
    ]


def test_the_first_of_several_repairs_is_reported(sentence: Make, caplog: pytest.LogCaptureFixture) -> None:
    tagged_data({"train": [sentence("B-a I-a O"), sentence("O O I-a I-a O I-a")]}, scheme="iob2")
    assert caplog.messages == ["train.txt has 2 tags impossible in IOB2, the first at train.txt:3, now repaired."]


def test_a_single_unseen_tag_is_reported_in_the_singular(sentence: Make, caplog: pytest.LogCaptureFixture) -> None:
    tagged_data({"train": [sentence("B-a I-a O")], "dev": [sentence("B-b O B-a")]}, scheme="iob2")
    assert caplog.messages == ["train.txt has 1 tag that train does not have and no prediction gets right: B-b."]


def test_sound_data_is_met_with_silence(sentence: Make, caplog: pytest.LogCaptureFixture) -> None:
    data = tagged_data({"train": [sentence("DT NN")], "dev": [sentence("NN")]})
    assert (data.file_scheme, data.tag_set.tags, caplog.messages) == ("plain", ("DT", "NN"), [])


def test_wrong_schemes(sentence: Make, message_of: Callable[..., str]) -> None:
    plain, spans = {"train": [sentence("DT NN")]}, {"train": [sentence("B-a O")]}
    assert message_of(tagged_data, plain, model_scheme="bioes") == (
        "Tags in the scheme plain cannot be converted to bioes: give the same as scheme and as file_scheme."
    )
    assert "plain" in message_of(tagged_data, spans, model_scheme="plain")
    assert "did you mean 'bioes'" in message_of(tagged_data, spans, model_scheme="bioess")
    assert "Unknown tagging scheme 'x'" in message_of(tagged_data, spans, scheme="x")
    assert "impossible there in IOB2" in message_of(
        tagged_data, {"train": [sentence("O I-a")]}, scheme="iob2", strict=1
    )
    assert "'DT', expected O" in message_of(tagged_data, plain, scheme="iob2")


def test_tagged_data_reads_bmes_as_bioes(sentence: Make) -> None:
    for tags, scheme in (("B-a M-a E-a S-a O", "bmes"), ("B-a M-a E-a W-a O", "bmewo"), ("B M E W", "bmewo")):
        data = tagged_data({"train": [sentence(tags)]})
        assert (data.file_scheme, data.tag_set.scheme, data.repaired["train"]) == (scheme, "bioes", [])
        (read,) = data.parts["train"]
        assert " ".join(read.tags) == tags.replace("M", "I").replace("W", "S")
        assert " ".join(convert(read.tags, scheme)) == tags


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("B-PER O B-Per", "train.txt:3 has the tag 'B-Per', and train.txt:1 'B-PER': write them alike."),
        ("B-cafe\u0301 O B-caf\u00e9", "train.txt:3 has the tag 'B-caf\u00e9'"),
        ("N V N\u200bN NN", "train.txt:4 has the tag 'NN'"),
    ],
)
def test_tagged_data_refuses_two_spellings_of_a_tag(
    tags: str, message: str, sentence: Make, message_of: Callable[..., str]
) -> None:
    assert message_of(tagged_data, {"train": [sentence(tags)]}).startswith(message)


def test_tagged_data_reads_plain_tags_that_differ_in_case(sentence: Make) -> None:
    assert tagged_data({"train": [sentence("n N v")]}).tag_set.tags == ("N", "n", "v")


@pytest.mark.parametrize(
    ("tags", "advice"),
    [
        ("O B_PER I_PER O", "write 'B-PER' in place of 'B_PER'"),
        ("o b-per i-per o", "write 'B-per' in place of 'b-per'"),
        ("O PER-B PER-I O", "write 'B-PER' in place of 'PER-B'"),
        ("O PER PER O O", "write B-PER on a span's first word, and I-PER on others, in place of 'PER'"),
    ],
)
def test_tagged_data_warns_of_tags_that_look_like_spans(
    tags: str, advice: str, sentence: Make, caplog: pytest.LogCaptureFixture
) -> None:
    assert tagged_data({"train": [sentence(tags)]}).file_scheme == "plain"
    assert advice in caplog.text
    caplog.clear()
    tagged_data({"train": [sentence(tags)]}, scheme="plain")
    assert caplog.text == ""


def test_tagged_data_does_not_warn_of_parts_of_speech(sentence: Make, caplog: pytest.LogCaptureFixture) -> None:
    for tags in ("DT NN VBD DT NN .", "N V O P N N", "NN|S VB-1 XY"):
        tagged_data({"train": [sentence(tags)]})
    assert caplog.text == ""
