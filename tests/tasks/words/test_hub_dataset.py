from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Sequence, Value

from kselect.tasks.words import read_token_labels

NAMES = ["O", "B-PER", "I-PER"]
WORDS = [["Ada", "Lovelace", "wrote"], [], ["Yes"]]
IDS = [[1, 2, 0], [], [0]]


def save(folder: Path, words: list[list[str]] = WORDS, ids: list[list[int]] = IDS, label: object = None) -> Path:
    features = Features({"tokens": Sequence(Value("string")), "ner_tags": Sequence(label or ClassLabel(names=NAMES))})
    data = Dataset.from_dict({"tokens": words, "ner_tags": ids}, features=features)
    DatasetDict({"train": data, "validation": data.select([2])}).save_to_disk(folder / "saved")
    data.save_to_disk(folder / "one")
    return folder / "saved"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("data"))


def test_ids_become_names_and_rows_without_words_are_left_out(saved: Path) -> None:
    first, second = read_token_labels(saved)
    assert (first.words, first.tags) == (("Ada", "Lovelace", "wrote"), ("B-PER", "I-PER", "O"))
    assert (second.words, second.origin.place()) == (("Yes",), f"{saved} (train), row 3, word 1")
    assert [sentence.words for sentence in read_token_labels(saved, "validation")] == [("Yes",)]


def test_a_folder_with_one_data_set(saved: Path) -> None:
    assert len(read_token_labels(saved.parent / "one")) == 2


def test_data_to_predict(saved: Path) -> None:
    assert [sentence.tags for sentence in read_token_labels(saved, tag_column=None)] == [(), ()]


def test_tags_as_names(tmp_path: Path) -> None:
    data = Dataset.from_dict({"form": [["a", "b"]], "pos": [["DT", "NN"]]})
    data.save_to_disk(tmp_path)
    (sentence,) = read_token_labels(tmp_path, word_column="form", tag_column="pos")
    assert (sentence.words, sentence.tags) == (("a", "b"), ("DT", "NN"))


def test_wrong_names(saved: Path, message_of: Callable[..., str]) -> None:
    assert message_of(read_token_labels, saved, "validatio") == (
        f"{saved} has no split 'validatio': did you mean 'validation'? Splits found: train, validation."
    )
    assert "has no column 'ner_tag': did you mean 'ner_tags'?" in message_of(
        read_token_labels, saved, tag_column="ner_tag"
    )
    assert "has no column 'words'" in message_of(read_token_labels, saved, word_column="words")


def test_no_data(tmp_path: Path, message_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot be loaded as a saved data set" in message_of(read_token_labels, tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    for name in ("none/such", str(tmp_path / "none")):
        assert message_of(read_token_labels, name).startswith(f"{name} is not a folder, and not available")


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        ([["a", "b"]], [["O"]], ", row 1 has 2 words and 1 tags: fix or remove that row."),
        ([["a"], ["b", ""]], [["O"], ["O", "O"]], ", row 2, word 2 is empty or no text: fix or remove that row."),
        ([["a", None]], [["O", "O"]], ", row 1, word 2 is empty or no text: fix or remove that row."),
        ([["a"]], [[""]], ", row 1, word 1 has the tag '', expected a tag: fix or remove that row."),
        (["a"], [["O"]], ", row 1 has no list in 'tokens': name the column of lists as word_column."),
        (
            [["a"]],
            [[1]],
            " has numbers without names in 'ner_tags': write the names, or save it with datasets as a list of "
            "ClassLabel.",
        ),
        ([[]], [["O"]], ", row 1 has 0 words and 1 tags: fix or remove that row."),
    ],
)
def test_bad_rows(tmp_path: Path, message_of: Callable[..., str], words: object, tags: object, message: str) -> None:
    Dataset.from_dict({"tokens": words, "ner_tags": tags}).save_to_disk(tmp_path)
    assert message_of(read_token_labels, tmp_path) == f"{tmp_path} (train){message}"


def test_an_id_without_a_name(tmp_path: Path, message_of: Callable[..., str]) -> None:
    folder = save(tmp_path, [["a", "b"], ["c"], ["d"]], [[0, -1], [0], [0]])
    assert message_of(read_token_labels, folder) == (
        f"{folder} (train), row 1, word 2 has the tag -1, expected an id from 0 to 2: fix or remove that row."
    )


def test_no_sentences(tmp_path: Path, message_of: Callable[..., str]) -> None:
    Dataset.from_dict({"tokens": [[]], "ner_tags": [[]]}).save_to_disk(tmp_path)
    assert (
        message_of(read_token_labels, tmp_path) == f"{tmp_path} (train) holds no sentences: fill it, or give another."
    )
