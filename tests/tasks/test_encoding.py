from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from kselect.tasks import Split, encode, load_task, synthetic_tokenizer
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS

TOKENIZER = synthetic_tokenizer()
SINGLES = Split(["the dog sleeps", "many small cats near a horse sing often", "a dog"], None, [1, 0, 1])
PAIRS = Split(["every small dog runs", "no cat"], ["every dog moves today", "some cat"], [1, 0])


@pytest.mark.parametrize("split", [SINGLES, PAIRS])
def test_batch_equals_the_tokenizer_called_plainly(split: Split) -> None:
    encoded = encode(split, TOKENIZER, max_length=32)
    rows = [len(split) - 1, 0]
    texts = [column for column in (split.take(rows).text_a, split.take(rows).text_b) if column]
    plain = TOKENIZER(*texts, padding=True, pad_to_multiple_of=8, return_tensors="pt")
    batch = encoded.batch(rows)
    assert set(batch) == {"input_ids", "attention_mask", "token_type_ids", "labels"}
    for name, expected in plain.items():
        assert torch.equal(batch[name], expected), name
    assert batch["labels"].tolist() == [split.labels[row] for row in rows]
    assert all(tensor.dtype == torch.int64 for tensor in batch.values())


def test_lengths_labels_and_types() -> None:
    encoded = encode(SINGLES, TOKENIZER, max_length=32)
    assert len(encoded) == 3
    assert encoded.lengths.tolist() == [5, 10, 4]
    assert encoded.labels.tolist() == [1, 0, 1]
    assert encoded.truncated == 0
    assert (encoded.lengths.dtype, encoded.labels.dtype) == (np.int32, np.int64)
    assert {ids.dtype for ids in encoded.input_ids} == {np.dtype(np.int32)}


@pytest.mark.parametrize(("multiple", "width"), [(8, 16), (1, 10), (4, 12)])
def test_padding(multiple: int, width: int) -> None:
    batch = encode(SINGLES, TOKENIZER, max_length=32).batch([0, 1], pad_to_multiple_of=multiple)
    assert batch["input_ids"].shape == (2, width)
    assert batch["attention_mask"].sum(1).tolist() == [5, 10]
    assert (batch["input_ids"][0, 5:] == TOKENIZER.pad_token_id).all()


def test_a_batch_is_no_wider_than_its_longest_example_needs() -> None:
    assert encode(SINGLES, TOKENIZER, max_length=32).batch([0, 2])["input_ids"].shape == (2, 8)


def test_padding_stays_within_max_length() -> None:
    # A model with positions for 10 tokens only must be able to read the batch.
    assert encode(SINGLES, TOKENIZER, max_length=10).batch([1])["input_ids"].shape == (1, 10)


def test_truncation_is_counted_and_equals_the_tokenizers_own() -> None:
    encoded = encode(SINGLES, TOKENIZER, max_length=6)
    assert encoded.truncated == 1
    plain = TOKENIZER(SINGLES.text_a, truncation=True, max_length=6)["input_ids"]
    assert [ids.tolist() for ids in encoded.input_ids] == plain
    pairs = encode(PAIRS, TOKENIZER, max_length=8)
    assert pairs.truncated == 1
    plain_pairs = TOKENIZER(PAIRS.text_a, PAIRS.text_b, truncation=True, max_length=8)
    assert [ids.tolist() for ids in pairs.input_ids] == plain_pairs["input_ids"]
    assert pairs.token_type_ids is not None
    assert [ids.tolist() for ids in pairs.token_type_ids] == plain_pairs["token_type_ids"]


def test_a_tokenizer_without_token_types() -> None:
    tokenizer = synthetic_tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    encoded = encode(PAIRS, tokenizer, max_length=32)
    assert encoded.token_type_ids is None
    assert set(encoded.batch([0])) == {"input_ids", "attention_mask", "labels"}


def test_a_tokenizer_that_cannot_pad(message_of: Callable[..., str]) -> None:
    tokenizer = synthetic_tokenizer()
    tokenizer.pad_token = None
    assert message_of(encode, SINGLES, tokenizer, 32) == (
        "BertTokenizer has no padding token: set its pad_token and save it again."
    )


@pytest.mark.parametrize("name", list(SYNTHETIC_TASKS))
def test_the_grammar_has_no_unknown_word_and_one_token_a_word(name: str) -> None:
    tokenizer = synthetic_tokenizer(words=SYNTHETIC_TASKS[name].vocabulary())
    for split in load_task(name).splits.values():
        encoded = encode(split, tokenizer, max_length=64)
        assert encoded.truncated == 0
        for row in range(len(split)):
            assert tokenizer.unk_token_id not in encoded.input_ids[row]
            second = "" if split.text_b is None else split.text_b[row]
            words = len(split.text_a[row].split()) + len(second.split())
            assert encoded.lengths[row] == words + (3 if second else 2)


@pytest.mark.parametrize("beside_a_model", [False, True])
def test_synthetic_tokenizer_survives_saving(tmp_path: Path, beside_a_model: bool) -> None:
    from transformers import AutoTokenizer, BertConfig

    if beside_a_model:
        BertConfig(vocab_size=len(TOKENIZER)).save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.is_fast
    assert loaded.model_max_length == TOKENIZER.model_max_length
    assert loaded.get_vocab() == TOKENIZER.get_vocab()
    assert dict(loaded(PAIRS.text_a, PAIRS.text_b)) == dict(TOKENIZER(PAIRS.text_a, PAIRS.text_b))
    ids = loaded("The dog sleeps xyzzy")["input_ids"]
    assert loaded.convert_ids_to_tokens(ids) == ["[CLS]", "the", "dog", "sleeps", "[UNK]", "[SEP]"]


def test_pairs_have_berts_template() -> None:
    encoded = TOKENIZER("no cat", "some cat runs")
    tokens = TOKENIZER.convert_ids_to_tokens(encoded["input_ids"])
    assert tokens == ["[CLS]", "no", "cat", "[SEP]", "some", "cat", "runs", "[SEP]"]
    assert encoded["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1, 1]
