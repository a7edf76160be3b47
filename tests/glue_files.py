"""Small files in the layouts that GLUE's tasks have, their columns spelt out here anew."""

from __future__ import annotations

from pathlib import Path

FOLDERS = {
    "cola": "CoLA",
    "sst2": "SST-2",
    "mrpc": "MRPC",
    "stsb": "STS-B",
    "qqp": "QQP",
    "mnli": "MNLI",
    "qnli": "QNLI",
    "rte": "RTE",
    "wnli": "WNLI",
}
LABELS = {
    "cola": ["unacceptable", "acceptable"],
    "sst2": ["negative", "positive"],
    "mrpc": ["not_equivalent", "equivalent"],
    "stsb": [],
    "qqp": ["not_duplicate", "duplicate"],
    "mnli": ["entailment", "neutral", "contradiction"],
    "qnli": ["entailment", "not_entailment"],
    "rte": ["entailment", "not_entailment"],
    "wnli": ["not_entailment", "entailment"],
}
"""As the hub's `nyu-mll/glue` orders them."""
WRITTEN = {name: LABELS[name] if name in ("mnli", "qnli", "rte") else ["0", "1"] for name in LABELS}
_PARSES = "sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse"
HEADERS = {
    "sst2": "sentence label",
    "mrpc": "Quality #1_ID #2_ID #1_String #2_String",
    "stsb": "index genre filename year old_index source1 source2 sentence1 sentence2 score",
    "qqp": "id qid1 qid2 question1 question2 is_duplicate",
    "mnli": f"index promptID pairID genre {_PARSES} sentence1 sentence2 label1 gold_label",
    "qnli": "index question sentence label",
    "rte": "index sentence1 sentence2 label",
    "wnli": "index sentence1 sentence2 label",
}
"""Columns of train and dev; an underscore behind #1 or #2 is a space."""
TEST_HEADERS = {
    "cola": "index sentence",
    "sst2": "index sentence",
    "mrpc": "index #1_ID #2_ID #1_String #2_String",
    "stsb": "index genre filename year old_index source1 source2 sentence1 sentence2",
    "qqp": "id question1 question2",
    "mnli": f"index promptID pairID genre {_PARSES} sentence1 sentence2",
    "qnli": "index question sentence",
    "rte": "index sentence1 sentence2",
    "wnli": "index sentence1 sentence2",
}
FIRST = ("sentence1", "#1 String", "question1", "question")
SECOND = ("sentence2", "#2 String", "question2")
GOLD = ("label", "Quality", "is_duplicate", "gold_label", "score")


def text(part: str, row: int, second: bool = False) -> str:
    """The first or second text of a row; words of the synthetic grammar, so that tiny models can read them."""
    return f"{'no' if second else 'every'} {part} dog {row} runs"


def gold(task: str, row: int) -> str:
    """What the file writes as the label of a row."""
    return f"{row % 11 / 2:.3f}" if task == "stsb" else WRITTEN[task][row % len(WRITTEN[task])]


def parts(task: str, kind: str) -> list[str]:
    return [f"{kind}_matched", f"{kind}_mismatched"] if task == "mnli" else [kind]


def write_tsv(root: Path, task: str, train: int = 40, dev: int = 12, test: int = 5) -> Path:
    """Write train, dev and, where there are to be examples in it, test; returns the task's folder."""
    folder = root / FOLDERS[task]
    folder.mkdir(parents=True)
    for part, size in {
        "train": train,
        **dict.fromkeys(parts(task, "dev"), dev),
        **(dict.fromkeys(parts(task, "test"), test) if test else {}),
    }.items():
        (folder / f"{part}.tsv").write_text("\n".join(_lines(task, part, size)) + "\n", encoding="utf-8")
    return folder


def _lines(task: str, part: str, size: int) -> list[str]:
    if task == "cola" and not part.startswith("test"):
        return [f"gj04\t{gold(task, row)}\t*\t{text(part, row)}" for row in range(size)]
    header = (TEST_HEADERS if part.startswith("test") else HEADERS)[task]
    names = [name.replace("1_", "1 ").replace("2_", "2 ") if name[0] == "#" else name for name in header.split()]
    return ["\t".join(names), *("\t".join(_cell(task, part, name, row) for name in names) for row in range(size))]


def _cell(task: str, part: str, name: str, row: int) -> str:
    paired = task not in ("cola", "sst2")
    if name in FIRST or (name == "sentence" and not paired):
        return text(part, row)
    if name in SECOND or name == "sentence":
        return text(part, row, second=True)
    if name in GOLD:
        return gold(task, row)
    return str(row) if name in ("index", "id") else "-"
