"""Replacements for words: what a masked-language model predicts in their place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM

from kselect.distillation.augmentation.neighbours import CANDIDATES, Neighbours, best_words
from kselect.distillation.augmentation.passages import Passage
from kselect.distillation.augmentation.vocabulary import WholeWords, pieces_of
from kselect.distillation.device import find_device, send
from kselect.errors import KselectError
from kselect.models.architecture import input_names, positions
from kselect.models.classifier import LONGEST
from kselect.models.pretrained import load_pretrained, load_tokenizer

BATCH_TOKENS = 1024  # of a batch: each has a logit for every token of the vocabulary


@dataclass(frozen=True)
class Blank:
    """A word of a passage, by their indices, that a mask token replaces in the input."""

    passage: int
    part: int
    word: str
    pieces: list[int]
    input_ids: list[int]


class MaskedWords:
    """Finds the words that a masked-language model finds most probable in place of a word, in its own text.

    Only words of a single token are predicted; others, and those beyond the model's input, have neighbours in the
    embedding space, as in the paper.
    """

    def __init__(self, path: str | Path, neighbours: Neighbours, count: int = CANDIDATES) -> None:
        """Load a pretrained encoder with its masked-language head.

        Args:
            path: its folder or hub id.
            neighbours: finds replacements for words of several tokens.
            count: words that are predicted for each.

        Raises:
            KselectError: no model there, or one without a trained masked-language head or a mask token.
        """
        model, unfit = load_pretrained(path, AutoModelForMaskedLM)
        if unfit:
            raise KselectError(
                f"{path} has no masked-language head ({', '.join(sorted(unfit)[:3])} would be random): give a "
                "pretrained encoder that was saved with it, or leave augment_model out.",
                setting="augment_model",
            )
        self.tokenizer = load_tokenizer(path, model)
        if self.tokenizer.mask_token is None:
            raise KselectError(
                f"The tokenizer in {path} has no mask token: give a masked-language model.", setting="augment_model"
            )
        self.device = find_device()
        nn.Module.to(model, self.device)
        self.model = model.eval()
        self.max_length = min(positions(model) or LONGEST, LONGEST)
        self.neighbours = neighbours
        self.count = count
        self.vocabulary = WholeWords(self.tokenizer)
        self._ids = torch.tensor(self.vocabulary.ids)

    def __call__(
        self, passages: Sequence[Passage], wanted: Sequence[Collection[int]]
    ) -> list[Mapping[int, Sequence[str]]]:
        """Return what is predicted for the wanted words, each masked alone; see `Candidates`."""
        blanks = sorted(self._blanks(passages, wanted), key=lambda blank: -len(blank.input_ids))
        found: list[dict[int, Sequence[str]]] = [{} for _ in passages]
        start = 0
        while start < len(blanks):
            batch = blanks[start : start + max(1, BATCH_TOKENS // len(blanks[start].input_ids))]
            start += len(batch)
            words = [(blank.word, blank.pieces) for blank in batch]
            predicted = best_words(self._logits(batch), self.vocabulary, words, self.count)
            for blank, candidates in zip(batch, predicted, strict=True):
                found[blank.passage][blank.part] = candidates
        rest = [sorted(set(parts) - set(known)) for parts, known in zip(wanted, found, strict=True)]
        return [{**known, **other} for known, other in zip(found, self.neighbours(passages, rest), strict=True)]

    def _blanks(self, passages: Sequence[Passage], wanted: Sequence[Collection[int]]) -> list[Blank]:
        """Return the wanted words of a single token, each in its text with a mask token in its place."""
        places = [(i, part) for i, parts in enumerate(wanted) for part in sorted(parts)]
        words = [passages[i].parts[part] for i, part in places]
        kept = [
            (*place, word, pieces)
            for place, word, pieces in zip(places, words, pieces_of(words, self.tokenizer), strict=True)
            if len(pieces) == 1 and self.vocabulary.knows(pieces)
        ]
        if not kept:
            return []
        mask, mask_id = str(self.tokenizer.mask_token), self.tokenizer.mask_token_id
        texts = [passages[i].with_parts({part: mask}).text for i, part, *_ in kept]
        encoded = self.tokenizer(texts, truncation=True, max_length=self.max_length, verbose=False)["input_ids"]
        blanks = [Blank(*place, ids) for place, ids in zip(kept, encoded, strict=True)]
        return [blank for blank in blanks if blank.input_ids.count(mask_id) == 1]

    @torch.no_grad()
    def _logits(self, batch: Sequence[Blank]) -> Tensor:
        """Return the logit of each whole word in place of each mask, `[n, V]`."""
        padded = self.tokenizer.pad({"input_ids": [blank.input_ids for blank in batch]}, return_tensors="pt")
        names = input_names(self.model)
        inputs = {name: send(value, self.device) for name, value in padded.items() if name in names}
        masked = inputs["input_ids"] == self.tokenizer.mask_token_id
        return self.model(**inputs).logits[masked].float().cpu()[:, self._ids]
