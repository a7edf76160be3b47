from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from kselect.collection.conditions import Condition
from kselect.collection.suite import read_suite
from kselect.errors import KselectError

SUITE = """
tasks:
  sst2:
  mine: {train_file: mine.tsv, text_columns: [text]}
knowledge: {knowledge: [gold, logits]}
selections:
  both: {gold: 1, logits: 1}
  late: [{until: 0.5, weights: {logits: 1}}, {weights: {gold: 1}}]
defaults:
  labelled: 100
  teacher: {examples: 300, epochs: 2.0}
conditions:
  - {name: plain, task: sst2, stratum: as it is}
  - {name: weak, task: mine, stratum: weak teacher, teacher: {examples: 50}, training: {epochs: 1.0}}
"""


def read(folder: Path, text: str) -> object:
    (folder / "suite.yaml").write_text(text)
    return read_suite(folder / "suite.yaml")


def test_a_condition_has_the_defaults_where_it_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    suite = read_suite(tmp_path / "suite.yaml")
    assert list(suite.conditions) == ["plain", "weak"]
    weak = suite.conditions["weak"]
    assert (weak.labelled, weak.teacher.examples, weak.teacher.epochs, weak.training.epochs) == (100, 50, 2.0, 1.0)
    assert suite.tasks["mine"].train_file == "mine.tsv"
    assert suite.selections["both"] == [{"weights": {"gold": 1, "logits": 1}}]
    assert len(suite.selections["late"]) == 2
    assert suite.knowledge.changed() == {"knowledge": ["gold", "logits"]}


def test_plain_values_make_the_condition_again(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    for condition in read_suite(tmp_path / "suite.yaml").conditions.values():
        assert Condition.from_dict(asdict(condition)) == condition
        assert Condition.from_dict(condition.to_dict()) == condition


def test_plain_values_leave_defaults_out(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    as_it_is, weak = read_suite(tmp_path / "suite.yaml").conditions.values()
    named = {"labelled": 100, "teacher": {"examples": 300, "epochs": 2.0}}
    assert as_it_is.to_dict() == {"name": "plain", "task": "sst2", "stratum": "as it is", **named}
    own = {"labelled": 100, "teacher": {"examples": 50, "epochs": 2.0}, "training": {"epochs": 1.0}}
    assert weak.to_dict() == {"name": "weak", "task": "mine", "stratum": "weak teacher", **own}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("task: mine, stratum", "task: mnie, stratum", "did you mean 'mine'"),
        ("name: weak", "name: plain", "condition plain twice"),
        ("teacher: {examples: 50}", "teacher: {exmples: 50}", "did you mean 'examples'"),
        ("labelled: 100", "labeled: 100", "did you mean 'labelled'"),
        ("labelled: 100", "labelled: -1", "labelled is -1"),
        ("until: 0.5, weights: {logits: 1}", "weights: {logits: 1}", "Stage 1 of agent 'late' has no end"),
        ("selections:", "selection:", "did you mean 'selections'"),
        ("task: sst2, stratum", "stratum", "task is missing"),
        ("defaults:", "agents: {chance: {agent: random-hrd}}\ndefaults:", "did you mean 'random-hard'"),
        ("defaults:", "agents: {chance: {agent: random-hard, episodes: 2}}\ndefaults:", "nothing to learn"),
        ("defaults:", "agents: {learned: {agent: paper}}\ndefaults:", "no policy yet"),
        ("defaults:", "agents: {learned: {agent: paper, episodes: -1}}\ndefaults:", "episodes is -1"),
        ("defaults:", "agents: {both: {agent: all}}\ndefaults:", "both an agent and a selection"),
        ("defaults:", "agents: {chance: random-hard}\ndefaults:", "no mapping of settings"),
        ("tasks:\n  sst2:", "tasks: 3\nothers:\n  sst2:", "tasks"),
        ("conditions:", "conditions: 3\nothers:", "conditions"),
        ("until: 0.5", "until: 1.5", "until in selection late is 1.5"),
        ("until: 0.5", "until: soon", "until in selection late is 'soon'"),
        ("until: 0.5", "until: 1", "rising shares"),
        ("{gold: 1, logits: 1}", "{gold: 1, logit: 1}", "did you mean 'logits'"),
        ("{gold: 1, logits: 1}", "3", "needs a list of stages"),
        ("{gold: 1, logits: 1}", "{gold: much}", "weight of gold"),
        ("knowledge: [gold", "knowlege: [gold", "did you mean 'knowledge'"),
        ("knowledge: [gold, logits]", "knowledge: 3", "knowledge is 3"),
        ("text_columns: [text]", "text_column: [text]", "did you mean 'text_columns'"),
        ("mine: {train_file: mine.tsv, text_columns: [text]}", "mine: 3", "give one for task mine"),
        ("  labelled: 100\n  teacher: {examples: 300, epochs: 2.0}", "  3", "defaults is 3"),
        ("teacher: {examples: 50}", "teacher: 50", r"give one for teacher of a condition \(weak\)"),
        ("teacher: {examples: 50}", "teacher: {examples: many}", "examples is 'many'"),
        ("  - {name: plain", "  - plain\n  - {name: plain", "'plain' is no mapping"),
        ("name: plain, ", "", "name is missing in a condition"),
        ("defaults:", "dev_examples: all\ndefaults:", "dev_examples is 'all'"),
        ("defaults:", "dev_examples: 0\ndefaults:", "dev_examples is 0"),
    ],
)
def test_faults_of_a_suite_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SUITE
    with pytest.raises(KselectError, match=message):
        read(tmp_path, SUITE.replace(old, new))


def test_the_registered_suites_are_valid() -> None:
    folder = Path(__file__).parents[2] / "studies" / "selecting"
    suite = read_suite(folder / "texts.yaml")
    assert len(suite.conditions) >= 40
    assert len({condition.task for condition in suite.conditions.values()}) == 8
