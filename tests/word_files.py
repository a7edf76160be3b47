"""Files of generated sentences with tags and trees, and a tiny encoder that reads them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer

POSITIONS = 16
"""Tokens that the encoder takes, special ones included."""
NOUNS = {"dog": "animal", "cat": "animal", "poet": "person", "doctor": "person"}
SENTENCES = [
    f"the {adjective} {subject} sees a {object} today"
    for adjective, subject, object in product(("old", "small"), NOUNS, NOUNS)
]
LONG = " ".join(SENTENCES[:3])
"""A sentence of 21 words."""
HEADS = (3, 3, 4, 0, 6, 4, 4)
RELATIONS = ("det", "amod", "nsubj", "root", "det", "obj", "advmod")
UPOS = ("DET", "ADJ", "NOUN", "VERB", "DET", "NOUN", "ADV")


def tags_of(sentence: str) -> list[str]:
    """IOB2 tags: the noun's kind, on its adjective too."""
    words = sentence.split()
    kinds = [NOUNS.get(word, NOUNS[words[i + 1]] if word in ("old", "small") else "") for i, word in enumerate(words)]
    inside = [i > 0 and words[i - 1] in ("old", "small") for i in range(len(words))]
    return [f"{'I' if i else 'B'}-{kind}" if kind else "O" for kind, i in zip(kinds, inside, strict=True)]


def columns(sentences: list[str], tagged: bool = True) -> str:
    """Words, their position and, if `tagged`, their tag; a comment, and two blank lines in places."""
    blocks = ["# generated\t\n"]
    for number, sentence in enumerate(sentences):
        rows = enumerate(zip(sentence.split(), tags_of(sentence), strict=True))
        lines = ["\t".join([word, f"p{i}", *([tag] if tagged else [])]) for i, (word, tag) in rows]
        blocks.append("".join(f"{line}\n" for line in lines) + "\n" * (1 + number % 2))
    return "".join(blocks)


def treebank(sentences: list[str], heads: tuple[int, ...] = HEADS) -> str:
    """CoNLL-U with comments and a multiword token in each sentence."""
    blocks = []
    for number, sentence in enumerate(sentences):
        rows = zip(sentence.split(), UPOS, heads, RELATIONS, strict=True)
        lines = [f"# sent_id = s{number}", "1-2\tthat\t_\t_\t_\t_\t_\t_\t_\t_"]
        lines += [f"{i}\t{word}\t_\t{upos}\t_\t_\t{h}\t{r}\t_\tx=y" for i, (word, upos, h, r) in enumerate(rows, 1)]
        blocks.append("\n".join(lines) + "\n\n")
    return "".join(blocks)


def write(folder: Path) -> None:
    """Write train, dev and test of both kinds, and the encoder."""
    train, dev = SENTENCES[::2] * 3, SENTENCES[1::4]
    for suffix, content in (("conll", columns), ("conllu", treebank)):
        for part, sentences in (("train", train), ("dev", dev)):
            (folder / f"{part}.{suffix}").write_text(content(sentences))
    (folder / "long.conll").write_text(columns([*dev, LONG]))
    (folder / "untagged.conll").write_text(columns(dev, tagged=False))
    save_encoder(folder / "encoder")


def save_encoder(folder: Path) -> None:
    """A random encoder of two layers, and the tokenizer of the generated words."""
    tokenizer = synthetic_tokenizer(POSITIONS)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
