"""Classify texts, one a line: python predict.py < texts.txt; the two texts of a pair are separated by a tab."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from runtime import Graph
from tokenizers import Tokenizer

HERE = Path(__file__).parent
FACTS = json.loads((HERE / "predict.json").read_text(encoding="utf-8"))
GRAPH = Graph(HERE / FACTS["model"])
TOKENIZER = Tokenizer.from_file(str(HERE / "tokenizer.json"))
TOKENIZER.enable_truncation(FACTS["max_length"])
TOKENIZER.enable_padding(pad_id=FACTS["padding"])
FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


def predict(texts: list[Any]) -> list[Any]:
    """Return the probability of each label, by name, for texts or pairs `(a, b)`; the score in a regression."""
    encoded = TOKENIZER.encode_batch(texts)
    feed = {name: np.array([getattr(one, FIELDS[name]) for one in encoded], dtype=np.int64) for name in GRAPH.inputs}
    logits = GRAPH.run(feed)["logits"]
    if not FACTS["labels"]:
        return logits[:, 0].tolist()
    if FACTS["head"] == "labels":  # each is present or absent by itself
        shares = 1 / (1 + np.exp(-logits))
    else:
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
    return [dict(zip(FACTS["labels"], row, strict=True)) for row in shares.tolist()]


if __name__ == "__main__":
    for line in sys.stdin:
        text = line.rstrip("\n")
        print(json.dumps(predict([tuple(text.split("\t", 1)) if FACTS["pairs"] else text])[0], ensure_ascii=False))
