"""A pruned vocabulary: what remains has the same tokens, under new ids, and the same outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertTokenizer

from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.loading import load_classifier
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.models.parameters import parameters_by_part
from kselect.models.vocabulary import prune_vocabulary
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.splits import Split
from tests.architectures import classifier
from tests.tiny import tiny_task
from tests.words import byte_tokenizer, task_for, word_classifier

PIECES = (
    "un",
    "##happi",
    "##ness",
    "happy",
    "sad",
    "##ly",
    "##s",
    *"abdehilnpsuy",
    *(f"##{c}" for c in "abdehilnpsuy"),
)
WORDS = ("unhappiness", "sadly", "happy", "sads", "happyly", "xyz")
ARCHITECTURES = ("bert", "distilbert", "electra", "mpnet", "mobilebert")


def model(architecture: str) -> Classifier:
    made = classifier(architecture, tiny_task(), layers=2)
    special = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
    made.tokenizer = BertTokenizer(vocab={token: i for i, token in enumerate((*special, *PIECES))}, model_max_length=40)
    return made


def encoded(made: Classifier, texts: list[str]) -> EncodedSplit:
    return tiny_task().encode(Split(texts, None, [0] * len(texts)), made.tokenizer, 40)


def logits(made: Classifier, split: EncodedSplit) -> torch.Tensor:
    with torch.no_grad():
        return forward(made.model.eval(), split.batch(range(len(split))), Needs()).output


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_words_that_remain_have_the_same_tokens_and_outputs(architecture: str, tmp_path: Path) -> None:
    made = model(architecture)
    texts = [" ".join(WORDS[i : i + 3]) for i in range(4)]
    before = encoded(made, texts)
    pruned = prune_vocabulary(made, np.concatenate(before.input_ids).tolist())
    after = encoded(pruned, texts)
    old, new = made.tokenizer.convert_ids_to_tokens, pruned.tokenizer.convert_ids_to_tokens
    for one, other in zip(before.input_ids, after.input_ids, strict=True):
        assert old(one.tolist()) == new(other.tolist())
    assert torch.equal(logits(made, before), logits(pruned, after))
    fewer = parameters_by_part(made)["total"] - parameters_by_part(pruned)["total"]
    (width,) = {table.shape[1] for table in made.model.get_input_embeddings().parameters()}
    assert fewer == (made.model.config.vocab_size - len(pruned.tokenizer)) * width
    pruned.save_pretrained(tmp_path)
    assert torch.equal(logits(load_classifier(tmp_path, tiny_task()), after), logits(pruned, after))


def test_unused_pieces_are_gone_and_single_characters_stay() -> None:
    made = model("bert")
    pruned = prune_vocabulary(made, np.concatenate(encoded(made, ["unhappiness"]).input_ids).tolist())
    assert {"sad", "##ly", "happy"}.isdisjoint(pruned.tokenizer.get_vocab())
    assert pruned.tokenizer.tokenize("sadly") == ["s", "##a", "##d", "##l", "##y"]
    assert sorted(pruned.tokenizer.get_vocab().values()) == list(range(len(pruned.tokenizer)))
    assert made.tokenizer.tokenize("sadly") == ["sad", "##ly"]  # the original is as it was
    assert made.model.config.vocab_size > pruned.model.config.vocab_size == len(pruned.tokenizer)


def test_a_model_of_words_is_pruned() -> None:
    made, task = word_classifier("crf"), task_for("crf")
    before = task.encode(task.splits["dev"], made.tokenizer, 24)
    pruned = prune_vocabulary(made, np.concatenate(before.input_ids).tolist())
    after = task.encode(task.splits["dev"], pruned.tokenizer, 24)
    assert torch.equal(logits(made, before), logits(pruned, after))


def test_other_tokenizers_are_refused() -> None:
    made = model("roberta")
    made.tokenizer = byte_tokenizer()
    with pytest.raises(KselectError, match=r"takes WordPiece tokenizers, .* and this is a RobertaTokenizer \(BPE\)"):
        prune_vocabulary(made, [0])
