"""Label the words of sentences, one a line, words separated by spaces: python predict.py < sentences.txt."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from decoding import decode, named
from runtime import Graph
from tokenizers import Tokenizer

HERE = Path(__file__).parent
FACTS = json.loads((HERE / "predict.json").read_text(encoding="utf-8"))
GRAPH = Graph(HERE / FACTS["model"])
TOKENIZER = Tokenizer.from_file(str(HERE / "tokenizer.json"))
TOKENIZER.no_truncation()
TOKENIZER.no_padding()


def predict(words: list[str]) -> list[Any]:
    """Return the tag of each word or, from a parser, its head (from 1, 0 for the root) and relation."""
    spaced = [word if i == 0 else FACTS["prefix"] + word for i, word in enumerate(words)]
    encoded = TOKENIZER.encode(spaced, is_pretokenized=True, add_special_tokens=False)
    tokens: list[list[int]] = [[] for _ in words]
    for token, word in zip(encoded.ids, encoded.word_ids, strict=True):
        if word is not None:
            tokens[word].append(token)
    tokens = [each or [FACTS["unknown"]] for each in tokens]
    ids = [*FACTS["before"], *(token for each in tokens for token in each), *FACTS["after"]]
    if len(ids) > FACTS["max_length"]:
        raise ValueError(f"{len(words)} words are {len(ids)} tokens, of at most {FACTS['max_length']}: divide them.")
    starts = len(FACTS["before"]) + np.cumsum([0, *map(len, tokens[:-1])])
    batch = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
    batch |= {"token_type_ids": np.zeros((1, len(ids)), dtype=np.int64), "word_positions": starts[None]}
    batch["word_mask"] = np.ones((1, len(words)), dtype=bool)
    outputs = GRAPH.run({name: batch[name] for name in GRAPH.inputs})
    scores = {name: values[0] for name, values in outputs.items()}
    return named(decode(scores, FACTS), FACTS)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(predict(line.split()) if line.strip() else [], ensure_ascii=False))
