"""The tokenizer of the synthetic suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kselect.tasks.synthetic.lexicon import vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def synthetic_tokenizer(model_max_length: int = 64, words: Sequence[str] | None = None) -> PreTrainedTokenizerBase:
    """Return BERT's fast tokenizer over `words`, or else over the grammar's, one token a word.

    There are no pieces of words, so WordPiece is word-level here: what is not among them becomes [UNK].
    Pairs get BERT's template and token types. Saved with a model it loads with `AutoTokenizer`.
    """
    from transformers import BertTokenizer

    vocab = {word: index for index, word in enumerate((*SPECIAL_TOKENS, *(words or vocabulary())))}
    return BertTokenizer(vocab=vocab, model_max_length=model_max_length)
