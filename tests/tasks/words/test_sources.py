"""Tasks of words from files: what is read, held out, and written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Sequence

from kselect.config import TaskConfig
from kselect.tasks import load_task
from kselect.tasks.registry import make_task, resolve_paths
from kselect.tasks.words import TaggedSource, TagSet, TreeSource
from kselect.tasks.words.tagging_task import TaggingTask
from tests.word_files import SENTENCES, columns, tags_of, treebank

Refuse = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.conll").write_text(columns(SENTENCES))
    (tmp_path / "train.conllu").write_text(treebank(SENTENCES))
    return tmp_path


def test_dev_and_reward_are_held_out_of_train(folder: Path) -> None:
    for source in (TaggedSource(str(folder / "train.conll")), TreeSource(str(folder / "train.conllu"))):
        task = load_task("mine", files=source, reward_fraction=0.2)
        sizes = {part: len(split) for part, split in task.splits.items()}
        assert sizes == {"train": 23, "reward": 6, "dev": 3}
        places = [sentence.origin for split in task.splits.values() for sentence in split.sentences]
        assert len(set(places)) == 32
        again = load_task("mine", files=source, reward_fraction=0.2)
        assert [s.origin for s in again.splits["dev"].sentences] == [s.origin for s in task.splits["dev"].sentences]
        limited = load_task("mine", files=source, train_limit=10)
        assert {part: len(split) for part, split in limited.splits.items()} == {"train": 10, "reward": 3, "dev": 3}
        assert limited.labels == task.labels  # whatever the slice has


@pytest.mark.parametrize("suffix", ["conll", "conllu"])
def test_what_is_learned_from_may_have_no_tags(folder: Path, suffix: str, message_of: Refuse) -> None:
    other = folder / f"other.{suffix}"
    other.write_text((columns if suffix == "conll" else treebank)(SENTENCES[:12]).replace("B-person", "B-place"))
    plain = load_task("mine", files=TaggedSource(str(folder / f"train.{suffix}")))
    task = load_task("mine", files=TaggedSource(str(folder / f"train.{suffix}"), unlabelled_file=str(other)))
    assert (plain.is_labelled, task.is_labelled) == (True, False)
    assert [" ".join(sentence.words) for sentence in task.splits["train"].sentences] == SENTENCES[:12]
    assert {sentence.tags for sentence in task.splits["train"].sentences} == {()}
    assert task.labels == plain.labels
    for part in ("reward", "dev"):
        assert task.splits[part].sentences == plain.splits[part].sentences
    assert task.constant_score()["accuracy"] > 0
    few = load_task(
        "mine", files=TaggedSource(str(folder / f"train.{suffix}"), unlabelled_file=str(other)), train_limit=5
    )
    assert len(few.splits["train"]) == 5
    missing = TaggedSource(str(folder / f"train.{suffix}"), unlabelled_file="nowhere.txt")
    assert "nowhere.txt does not exist" in message_of(missing.task, "mine")


def test_parts_of_speech_of_a_treebank(folder: Path, message_of: Refuse) -> None:
    task = load_task("upos", files=TaggedSource(str(folder / "train.conllu")))
    assert isinstance(task, TaggingTask)
    assert (task.labels, task.file_scheme) == (("ADJ", "ADV", "DET", "NOUN", "VERB"), "plain")
    (folder / "named.txt").write_text(treebank(SENTENCES).replace("VERB", "_"))
    bare = TaggedSource(str(folder / "named.txt"), tag_column="upos")
    assert (
        message_of(bare.task, "upos") == f"{folder / 'named.txt'}:6 (sentence s0) has nothing in UPOS: fix that line."
    )
    numbered = TaggedSource(str(folder / "train.conllu"), tag_column=3)
    assert "tag_column is 3, and" in message_of(numbered.task, "upos")


def test_relations_of_a_treebank(folder: Path, message_of: Refuse) -> None:
    path = folder / "typed.conllu"
    path.write_text(treebank(SENTENCES).replace("\tamod\t", "\tamod:x\t"))
    source = TaggedSource(str(path), tag_column="deprel", test_file=str(path))
    task = source.task("relations")
    assert (task.labels, task.file_scheme) == (("advmod", "amod", "det", "nsubj", "obj", "root"), "plain")
    test = source.unlabelled(task)
    assert test.text([("X",) * 7] * 32) == re.sub(
        r"\t(det|amod|amod:x|nsubj|root|obj|advmod)\t_", "\tX\t_", path.read_text()
    )
    assert "'xpos': give the column's number or, of tags in CoNLL-U, upos or deprel." in message_of(
        TaggedSource(str(path), tag_column="xpos").task, "relations"
    )


def test_predictions_replace_the_tags_or_follow_the_last_column(folder: Path) -> None:
    task = load_task("mine", files=TaggedSource(str(folder / "train.conll")))
    assert isinstance(task, TaggingTask)
    expected = {
        "a\tB-animal\n": "a\tI-person\n",
        "a\tNN\n": "a\tNN\tI-person\n",
        "O\n": "O I-person\n",
        "a  O\r\n": "a  I-person\r\n",
        "a  NN  O\n\nb  NN  B-NP\n": "a  NN  O I-person\n\nb  NN  B-NP I-person\n",  # O is of chunks, too
        "a  NN  O\n\nb  NN  B-place\n\nc  NN  B-person\n": "a  NN  I-person\n\nb  NN  I-person\n\nc  NN  I-person\n",
    }
    for content, written in expected.items():
        (folder / "test.txt").write_bytes(content.encode())
        test = TaggedSource(test_file=str(folder / "test.txt")).unlabelled(task)
        assert test.text([("I-person",)] * len(test.split)) == written
        assert (test.file_name, test.path, test.split.sentences[0].tags) == ("test.txt", folder / "test.txt", ())


def test_predictions_of_parts_of_speech_and_trees(folder: Path) -> None:
    path = str(folder / "train.conllu")
    source = TaggedSource(path, test_file=path)
    test = source.unlabelled(source.task("upos"))
    assert test.text([("X",) * 7] * 32) == treebank(SENTENCES).replace("\tDET", "\tX").replace("\tNOUN", "\tX").replace(
        "\tVERB", "\tX"
    ).replace("\tADJ", "\tX").replace("\tADV", "\tX")
    trees = TreeSource(path, test_file=path)
    chain = (0, 1, 2, 3, 4, 5, 6)
    written = trees.unlabelled(trees.task("ud")).text([(chain, ("root", *["dep"] * 6))] * 32)
    assert written.splitlines()[2].split("\t")[6:8] == ["0", "root"]
    assert len(written.splitlines()) == len(treebank(SENTENCES).splitlines())


def test_entities_do_not_go_over_the_parts_of_speech_of_a_treebank(folder: Path, message_of: Refuse) -> None:
    path = str(folder / "train.conllu")
    task = load_task("mine", files=TaggedSource(str(folder / "train.conll")))
    assert isinstance(task, TaggingTask)
    assert message_of(TaggedSource(test_file=path).unlabelled, task) == (
        f"{path} is CoNLL-U, which has a column for parts of speech and none for tags in IOB2: give a column file, or "
        "upos as tag_column to write over them."
    )
    asked = TaggedSource(test_file=path, tag_column="upos").unlabelled(task)
    assert "\tthe\t_\tB-animal\t" in asked.text([("B-animal",) * 7] * 32)


def test_a_tag_set_by_its_names() -> None:
    for scheme in ("iob2", "bioes", "bilou"):
        tags = TagSet(scheme, ("a", "b")).tags
        assert TagSet.named(tags) == TagSet(scheme, ("a", "b"))
    assert TagSet.named(["O", "B-a", "I-a"], "iob1") == TagSet("iob1", ("a",))
    assert TagSet.named(["DET", "NOUN"]) == TagSet("plain", ("DET", "NOUN"))


def test_iob2_is_called_bio_too(folder: Path) -> None:
    called = TaggedSource(str(folder / "train.conll"), scheme="bio", file_scheme="bio")
    task = called.task("mine")
    assert (task.tag_set.scheme, task.file_scheme) == ("iob2", "iob2")
    assert called.task_of("mine", task.labels).tag_set == task.tag_set


def test_relations_that_train_lacks_are_reported(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for count, message in ((1, "1 relation"), (2, "2 relations")):
        caplog.clear()
        (folder / "dev.conllu").write_text(treebank(SENTENCES[:count]).replace("amod", "new"))
        TreeSource(str(folder / "train.conllu"), str(folder / "dev.conllu")).task("ud")
        line = caplog.records[0].getMessage()
        assert line.endswith(f"dev.conllu has {message} that train does not have and no prediction gets right: new.")


def test_sentences_without_anything_to_parse_are_refused(folder: Path, message_of: Refuse) -> None:
    (folder / "words.conllu").write_text("1\tyes\t_\tX\t_\t_\t0\troot\t_\t_\n\n" * 9)
    assert "has no sentence of two words or more" in message_of(TreeSource(str(folder / "words.conllu")).task, "ud")
    assert message_of(TreeSource().task, "ud") == "train_file is missing: give the file with the train sentences."


def test_files_are_looked_for_in_the_data_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TaskConfig(task_type="tags", train_file="train.conll", dev_file="none.conll")
    monkeypatch.delenv("KSELECT_DATA", raising=False)
    assert resolve_paths(config) == config
    monkeypatch.setenv("KSELECT_DATA", str(folder))
    found = resolve_paths(config)
    assert (found.train_file, found.dev_file) == (str(folder / "train.conll"), "none.conll")
    monkeypatch.setenv("KSELECT_DATA", "/nowhere")
    task = make_task(TaskConfig(task_type="trees", train_file="train.conllu", data_dir=str(folder)))
    assert (task.name, len(task.labels)) == ("train", 6)


def test_python_looks_in_the_data_folder_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "dev.conll").write_text(columns(SENTENCES[:2]))
    source = TaggedSource("train.conll", "dev.conll", test_file="train.conll")
    monkeypatch.delenv("KSELECT_DATA", raising=False)
    task = load_task("mine", folder, files=source)
    assert len(task.splits["dev"]) == 2
    assert load_task("mine", files=TreeSource("train.conllu", data_dir=folder)).name == "mine"
    monkeypatch.setenv("KSELECT_DATA", str(folder))
    assert load_task("mine", files=source) == task
    assert source.unlabelled(source.task("mine")).path == folder / "train.conll"


def test_a_file_that_is_not_there_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message_of: Refuse
) -> None:
    here, data = tmp_path / "here", tmp_path / "data"
    here.mkdir()
    (data / "ner").mkdir(parents=True)
    (data / "ner" / "train.conll").write_text(columns(SENTENCES))
    monkeypatch.chdir(here)

    def refusal(path: str, data_dir: Path | None = None) -> str:
        return message_of(load_task, "mine", data_dir, files=TaggedSource(path))

    put = "put the file there, or give another path."
    monkeypatch.delenv("KSELECT_DATA", raising=False)
    looked = f"does not exist in the current folder ({here})"
    assert refusal("ner/train.conl") == f"ner/train.conl {looked}, and KSELECT_DATA is not set: {put}"
    near = f"did you mean 'ner/train.conll'? P{put[1:]}"
    assert refusal("ner/train.conl", data) == f"ner/train.conl {looked} nor in data_dir ({data}): {near}"
    monkeypatch.setenv("KSELECT_DATA", str(data))
    assert refusal("nre/train.conll") == f"nre/train.conll {looked} nor in KSELECT_DATA ({data}): {put}"
    assert refusal("nerr/train.conll") == f"nerr/train.conll {looked} nor in KSELECT_DATA ({data}): {near}"
    assert refusal("other.conll") == f"other.conll {looked} nor in KSELECT_DATA ({data}): {put}"
    absolute = data / "ner" / "train.conl"
    assert refusal(str(absolute)) == f"{absolute} does not exist: did you mean '{absolute}l'? P{put[1:]}"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task_type": "words"}, "Unknown task_type 'words'"),
        ({"task_type": "tags"}, "task_type tags has no data: give train_file or dataset, or to predict test_file."),
        ({"task_type": "trees"}, "task_type trees has no data: give train_file, or to predict test_file."),
        ({"scheme": "bioes"}, "scheme is for tagged sentences, and task_type is text: give task_type tags."),
        ({"task_type": "trees", "train_file": "a", "word_column": 0}, "word_column is for tagged sentences, and"),
        ({"task_type": "tags", "train_file": "a", "labels": ["a", "b"]}, "labels is for whole texts, and task_type"),
        (
            {"task_type": "tags", "train_file": "a", "dataset": "b"},
            "train_file and dataset exclude each other: give one",
        ),
        ({"task_type": "tags", "dev_file": "a", "dataset": "b"}, "dev_file and dataset exclude each other: give one."),
        (
            {"task_type": "tags", "train_file": "a", "dataset_config": "b"},
            "dataset_config is of a dataset: give dataset, too.",
        ),
        (
            {"task_type": "tags", "train_file": "a", "word_column": "form"},
            "word_column is 'form': give a whole number.",
        ),
        (
            {"task_type": "tags", "dataset": "a", "tag_column": 1},
            "tag_column is 1, and columns of a dataset have names: give one.",
        ),
        (
            {"task_type": "tags", "train_file": "a", "tag_column": "xpos"},
            "tag_column is 'xpos': give a whole number or,",
        ),
    ],
)
def test_contradictions(settings: dict[str, object], said: str, message_of: Refuse) -> None:
    assert said in message_of(TaskConfig, **settings)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_tagged_source_reads_lists(suffix: str, folder: Path, message_of: Refuse) -> None:
    plain = load_task("mine", files=TaggedSource(str(folder / "train.conll")))
    rows = [{"tokens": text.split(), "ner_tags": tags_of(text)} for text in SENTENCES]
    path = folder / f"train.{suffix}"
    if suffix == "parquet":
        Dataset.from_list(rows).to_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = TaggedSource(str(path), test_file=str(path), unlabelled_file=str(path))
    task = load_task("mine", files=source)
    assert (task.labels, task.is_labelled) == (plain.labels, False)
    assert [len(task.splits[name]) for name in ("train", "reward", "dev")] == [32, 3, 3]
    assert [s.tags for s in task.splits["dev"].sentences] == [s.tags for s in plain.splits["dev"].sentences]
    assert isinstance(task, TaggingTask)
    test = source.unlabelled(task)
    written = [json.loads(line) for line in test.text([tags_of(text) for text in SENTENCES]).splitlines()]
    assert test.file_name == "train.jsonl"
    assert [row["ner_tags"] for row in written] == [row["ner_tags"] for row in rows]
    named = TaggedSource(str(path), word_column="words", tag_column="ner_tags")
    assert "has no column 'words'" in message_of(load_task, "mine", files=named)


def test_tagged_source_names_classes_in_parquet_and_refuses_bare_ids(folder: Path, message_of: Refuse) -> None:
    names = ["O", "B-animal", "I-animal", "B-person", "I-person"]
    rows = {
        "tokens": [text.split() for text in SENTENCES],
        "ner_tags": [[names.index(tag) for tag in tags_of(text)] for text in SENTENCES],
    }
    bare, named = Dataset.from_dict(rows), folder / "named.parquet"
    bare.cast_column("ner_tags", Sequence(ClassLabel(names=names))).to_parquet(named)
    assert set(load_task("mine", files=TaggedSource(str(named))).labels) == set(names)
    bare.to_parquet(folder / "bare.parquet")
    assert "has numbers without names in 'ner_tags'" in message_of(
        load_task, "mine", files=TaggedSource(str(folder / "bare.parquet"))
    )


def test_tree_source_refuses_two_spellings_of_a_relation(folder: Path, message_of: Refuse) -> None:
    path = folder / "train.conllu"
    path.write_text(treebank(SENTENCES).replace("\tamod\t", "\tAmod\t", 1))
    assert "'amod'" in message_of(load_task, "mine", files=TreeSource(str(path)))
