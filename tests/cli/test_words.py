"""Sentences word by word from the commands: teacher, policy, student, scores, and files with predictions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gymnasium
import pytest
import torch
import yaml
from datasets import ClassLabel, Dataset, DatasetDict, Features, Sequence, Value
from safetensors.torch import load_file
from transformers import AutoModelForTokenClassification, AutoTokenizer, BertForTokenClassification

import kselect
from kselect.cli.main import main
from kselect.config import DEFAULT_KNOWLEDGE, DEFAULT_OF_WORDS
from kselect.envs import DistillationEnv
from kselect.tasks.words import TreeSource, convert, read_columns, read_treebank
from tests import word_files
from tests.word_files import LONG, SENTENCES, columns, tags_of, treebank

SMALL = ["--batch_size", "16", "--epochs", "2", "--learning_rate", "3e-3", "--precision", "fp32"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, an encoder, and runs: teachers with crf and parser, students with tagger and tree-tagger."""
    place = tmp_path_factory.mktemp("place")
    word_files.write(place)
    for kind, heads, how in (
        ("tags", ("crf", "tagger"), ["--agent", "vanilla-kd"]),
        ("trees", ("parser", "tree-tagger"), ["--agent", "all"]),
    ):
        task = data(place, kind)
        teacher = ["--encoder", str(place / "encoder"), "--head", heads[0], "--run_name", f"{kind}-teacher"]
        assert main(["train-teacher", *task, *teacher]) == 0
        student = [*of_teacher(place, kind), "--head", heads[1], "--run_name", kind]
        assert main(["distill", *task, *student, *how]) == 0
    return place


def test_the_policy_that_comes_with_kselect_offers_what_the_heads_share(place: Path) -> None:
    words = [*data(place, "trees"), *of_teacher(place, "trees"), "--head", "tree-tagger", "--run_name", "auto"]
    assert main(["distill", *words]) == 0
    results = json.loads((place / "runs" / "auto" / "results.json").read_text())
    assert results["choice"]["selection"]
    offered = set(results["history"][0]["weights"])
    assert "marginals" in offered
    assert "logits" not in offered  # the scores of the two have nothing in common


def data(place: Path, kind: str) -> list[str]:
    suffix = {"tags": "conll", "trees": "conllu"}[kind]
    files = ["--train_file", str(place / f"train.{suffix}"), "--dev_file", str(place / f"dev.{suffix}")]
    return ["--task_type", kind, "--task", f"my-{kind}", *files, *SMALL, "--runs_dir", str(place / "runs")]


def of_teacher(place: Path, kind: str) -> list[str]:
    return ["--teacher", str(place / "runs" / f"{kind}-teacher" / "model"), "--layers", "1"]


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = (line for line in captured.err.splitlines() if line.startswith("kselect: error: "))
    assert captured.err.endswith(f"{line}\n")
    return line.removeprefix("kselect: error: ")


@pytest.mark.parametrize(("kind", "head"), [("tags", "tagger"), ("trees", "tree-tagger")])
def test_a_student_under_another_head_is_scored_next_to_the_constant(
    place: Path, kind: str, head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = place / "runs" / kind
    results, config = json.loads((run / "results.json").read_text()), yaml.safe_load((run / "config.yaml").read_text())
    assert results["head"] == config["head"] == json.loads((run / "student" / "head.json").read_text())["head"] == head
    assert results["examples"] == 8
    assert main(["evaluate", str(run), "--precision", "fp32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"my-{kind}, 8 examples of dev"
    shown = {line.split()[0]: line.split()[1:] for line in lines[3:]}
    for name, constant in results["constant"].items():
        assert shown[name] == [f"{results['metrics'][name]:.4f}", f"{constant:.4f}"]


def test_an_untrained_head_is_reported(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["distill", *data(place, "tags"), *of_teacher(place, "tags"), "--agent", "fine-tune", "--epochs", "1"]
    for head, told in (("tagger", True), ("crf", False)):
        assert main([*words, "--head", head, "--run_name", f"fresh-{head}"]) == 0
        line = f"The student's head, {head}, is randomly initialised, with the seed of the run."
        assert (line in capsys.readouterr().err.splitlines()) == told


def test_a_run_stores_its_settings_of_tags(place: Path) -> None:
    config = yaml.safe_load((place / "runs" / "tags" / "config.yaml").read_text())
    assert (config["scheme"], config["file_scheme"], config["max_length"]) == ("iob2", "iob2", 16)


def test_the_card_shows_how_to_load_the_model(place: Path) -> None:
    student = place / "runs" / "tags" / "student"
    card = (student / "README.md").read_text()
    assert 'model = AutoModelForTokenClassification.from_pretrained("' + str(student) in card
    labels = AutoModelForTokenClassification.from_pretrained(student).config.id2label.values()
    assert list(labels) == ["O", "B-animal", "I-animal", "B-person", "I-person"]
    card = (place / "runs" / "trees-teacher" / "model" / "README.md").read_text()
    assert 'model = AutoModel.from_pretrained("' + str(place / "runs" / "trees-teacher" / "model") in card
    assert "`head.json` names it, `parser`" in card
    task = kselect.load_task("ud", files=TreeSource(str(place / "train.conllu")))
    assert kselect.load_teacher(place / "runs" / "trees-teacher" / "model", task).head.name == "parser"


def test_unlabelled_words_are_learned_from_and_no_tag_is_read(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("tagged", "words"):
        _, _, lines = columns(SENTENCES, tagged=name == "tagged").partition("\n")  # the first is a comment
        (tmp_path / name).write_text(lines)
    common = [*data(place, "tags"), *of_teacher(place, "tags"), "--unlabelled_file"]
    students = []
    for name, head in (("words", "crf"), ("tagged", "crf"), ("words", "tagger")):
        run = place / "runs" / f"{name}-{head}"
        assert main(["distill", *common, str(tmp_path / name), "--head", head, "--run_name", run.name]) == 0
        kinds = yaml.safe_load((run / "config.yaml").read_text())["knowledge"]
        assert "marginals" in kinds
        assert "gold" not in kinds
        assert json.loads((run / "results.json").read_text())["examples"] == 8
        students.append(load_file(run / "student" / "model.safetensors"))
    assert all(torch.equal(students[0][key], students[1][key]) for key in students[0])
    common.append(str(tmp_path / "words"))
    for more in ([], ["--dev_file", str(place / "train.conll")]):
        assert main(["evaluate", str(place / "runs" / "words-crf"), *more]) == 0
    (tmp_path / "words").rename(tmp_path / "gone")
    other = ["--train_file", str(place / "long.conll"), "--dev_file", str(place / "dev.conll")]
    assert main(["evaluate", str(place / "runs" / "words-crf"), *other]) == 0
    (tmp_path / "gone").rename(tmp_path / "words")
    of_trees = ["distill", *data(place, "trees"), *of_teacher(place, "trees"), "--unlabelled_file", "words"]
    for words, told in (
        (["distill", *common, "--agent", "fine-tune"], "knowledge gold reads labels, which the sentences of"),
        (["distill", *common, "--agent", "kd-pt:1"], "unlabelled_file do not have: leave out kd-pt, or unl"),
        (["distill", *common, "--record"], "A recording reads the labels of the training data"),
        (["doctor", *common], "The doctor reads the labels of the training data"),
        (["explain", *common], "Every level of knowledge reads the labels of the training data"),
        (of_trees, "unlabelled_file is for texts and tagged sentences, and task_type is trees"),
    ):
        assert told in fails(capsys, *words)


@pytest.mark.parametrize("test", ["dev", "untagged"])
def test_tags_are_written_where_they_belong(place: Path, test: str, tmp_path: Path) -> None:
    source, output = place / f"{test}.conll", tmp_path / "tagged.conll"
    assert main(["predict", str(place / "runs" / "tags"), "--test_file", str(source), "--output", str(output)]) == 0
    before, after = source.read_bytes().split(b"\n"), output.read_bytes().split(b"\n")
    assert [line.split(b"\t")[:2] for line in after] == [line.split(b"\t")[:2] for line in before]
    assert {line.count(b"\t") for line in after if line.startswith(b"the")} == {2}
    known = {"O", "B-animal", "I-animal", "B-person", "I-person"}
    assert {tag for sentence in read_columns(output).sentences for tag in sentence.tags} <= known


def test_a_model_without_its_run_needs_the_task_type(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "runs" / "tags" / "student", tmp_path / "alone")
    words = ["--task_type", "tags", "--test_file", str(place / "dev.conll"), "--output"]
    assert main(["predict", str(tmp_path / "alone"), *words, str(tmp_path / "bioes"), "--file_scheme", "bioes"]) == 0
    assert main(["predict", str(place / "runs" / "tags"), *words, str(tmp_path / "iob2"), "--scheme", "bio"]) == 0
    files = [read_columns(tmp_path / scheme / "dev.conll").sentences for scheme in ("bioes", "iob2")]
    spelt = {"S": "B", "E": "I"}
    for ours, theirs in zip(*files, strict=True):
        assert tuple(spelt.get(tag[0], tag[0]) + tag[1:] for tag in ours.tags) == theirs.tags


def test_other_files_are_read_as_those_of_the_run(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def dev(run: str, *more: str) -> list[str]:
        capsys.readouterr()
        assert main(["evaluate", str(place / "runs" / run), "--precision", "fp32", *more]) == 0
        return capsys.readouterr().out.splitlines()

    for kind, suffix in (("tags", "conll"), ("trees", "conllu")):
        files = [word for part in ("train", "dev") for word in (f"--{part}_file", str(place / f"{part}.{suffix}"))]
        title, *scores = dev(kind, *files)
        assert title == f"my-{kind}, 8 examples of dev"  # the files are its own
        assert scores == dev(kind)[1:]
    spelt = {part: read_columns(place / f"{part}.conll") for part in ("train", "dev")}
    for part, file in spelt.items():
        text = file.text([convert(sentence.tags, "bioes") for sentence in file.sentences])
        (tmp_path / f"{part}.conll").write_text(text)
    files = [word for part in spelt for word in (f"--{part}_file", str(tmp_path / f"{part}.conll"))]
    assert dev("tags", *files)[1:] == dev("tags")[1:]  # their scheme is told anew; the model's stays
    assert not caplog.records


def test_trees_are_written_into_their_columns(place: Path, tmp_path: Path) -> None:
    source = place / "dev.conllu"
    assert main(["predict", str(place / "runs" / "trees"), "--test_file", str(source), "--output", str(tmp_path)]) == 0
    before, after = source.read_bytes().split(b"\n"), (tmp_path / "dev.conllu").read_bytes().split(b"\n")
    assert [cut(line) for line in after] == [cut(line) for line in before]
    written = read_treebank(tmp_path / "dev.conllu").sentences  # which refuses what is no tree
    assert len(written) == 8
    for one in written:
        assert [name == "root" for name in one.relations] == [above == 0 for above in one.heads]


def cut(line: bytes) -> list[bytes]:
    cells = line.split(b"\t")
    return cells[:6] + cells[8:]


def test_the_file_to_predict_is_not_written_over(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, source = str(place / "runs" / "tags"), place / "dev.conll"
    before = source.read_bytes()
    for output in (str(source), str(place)):
        error = fails(capsys, "predict", run, "--test_file", str(source), "--output", output)
        assert error == f"{source} is the file to predict, which would be lost: give another --output."
    assert source.read_bytes() == before


def test_long_sentences_are_read_in_pieces(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, source = str(place / "runs" / "tags"), place / "long.conll"
    assert main(["predict", run, "--test_file", str(source), "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().err == "1 sentence is longer than max_length (16 tokens) and is read in pieces.\n"
    assert len(read_columns(tmp_path / "long.conll").sentences[-1].tags) == len(LONG.split())
    files = ["--train_file", str(source), "--dev_file", str(source), "--reward_fraction", "0.2"]
    assert main(["evaluate", run, *files]) == 0
    captured = capsys.readouterr()
    assert "long, 9 examples of dev\n" in captured.out
    assert captured.err == "1 sentence is longer than max_length (16 tokens) and is read in pieces.\n"


def test_a_reward_of_a_sample_reads_whole_sentences(place: Path) -> None:
    env = gymnasium.make(
        "kselect/Distillation-v0",
        task_type="trees",
        train_file=str(place / "train.conllu"),
        dev_file=str(place / "dev.conllu"),
        task="my-trees",
        max_length=6,
        teacher=str(place / "runs" / "trees-teacher" / "model"),
        layers=1,
        head="second-order-parser",
        knowledge=["gold", "hidden"],
        precision="fp32",
    )
    assert isinstance(env.unwrapped, DistillationEnv)
    distiller = env.unwrapped.distiller
    assert distiller.student.head.name == "second-order-parser"
    assert distiller.in_pieces["train"] == len(distiller.task.splits["train"])
    assert distiller.evaluate("dev", examples=1).examples == 1
    assert distiller.evaluate("dev").examples == len(distiller.task.splits["dev"])


def offered(run: Path) -> list[str]:
    return list(yaml.safe_load((run / "config.yaml").read_text())["knowledge"])


def test_a_policy_learns_on_words_from_all_that_the_heads_have_in_common(place: Path) -> None:
    everything = [*DEFAULT_KNOWLEDGE, *DEFAULT_OF_WORDS]
    words = [*data(place, "tags"), *of_teacher(place, "tags")]
    assert main(["train-policy", *words, "--episodes", "1", "--run_name", "policy"]) == 0
    assert yaml.safe_load((place / "runs" / "policy" / "config.yaml").read_text())["head"] == "crf"
    assert offered(place / "runs" / "policy") == everything
    assert main(["distill", *words, "--agent", str(place / "runs" / "policy" / "policy"), "--run_name", "under"]) == 0
    assert offered(place / "runs" / "under") == everything
    assert offered(place / "runs" / "trees") == ["gold", "hidden", "attention", "relations", "marginals"]


@pytest.mark.parametrize(("head", "parallel"), [("crf", "1"), pytest.param("tagger", "2", marks=pytest.mark.nightly)])
def test_a_policy_learns_from_tags_and_trees(place: Path, tmp_path: Path, head: str, parallel: str) -> None:
    """The same policy weighs what a chain's and what a parser's structures tell, in turns or side by side."""
    given = data(place, "trees")
    also = {word.removeprefix("--"): yaml.safe_load(value) for word, value in zip(given[::2], given[1::2], strict=True)}
    del also["runs_dir"]
    also |= {"teacher": of_teacher(place, "trees")[1], "head": "parser", "learning_rate": 3e-3}
    (tmp_path / "also.yaml").write_text(yaml.safe_dump(also))
    words = [*data(place, "tags"), *of_teacher(place, "tags"), "--head", head, "--also", str(tmp_path / "also.yaml")]
    run = f"policy-{head}"
    assert main(["train-policy", *words, "--episodes", "2", "--parallel", parallel, "--run_name", run]) == 0
    results = json.loads((place / "runs" / run / "results.json").read_text())
    assert results["tasks"] == ["my-tags", "my-trees"]
    assert offered(place / "runs" / run) == [*DEFAULT_KNOWLEDGE, *DEFAULT_OF_WORDS]
    told = [json.loads(line) for line in (place / "runs" / run / "metrics.jsonl").read_text().splitlines()]
    assert {phase["task"] for phase in told} == {"my-tags", "my-trees"}
    policy = str(place / "runs" / run / "policy")
    for kind in ("tags", "trees"):
        student = [*data(place, kind), *of_teacher(place, kind), "--agent", policy, "--run_name", f"{kind}-{run}"]
        assert main(["distill", *student]) == 0


def test_a_tagger_from_elsewhere_teaches_and_predicts_in_its_own_order(place: Path, tmp_path: Path) -> None:
    labels = ["I-person", "O", "B-animal", "B-person", "I-animal"]
    torch.manual_seed(0)
    model = BertForTokenClassification.from_pretrained(
        place / "encoder", id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)}
    )
    model.save_pretrained(tmp_path / "theirs")
    shutil.copy(place / "encoder" / "tokenizer.json", tmp_path / "theirs")
    shutil.copy(place / "encoder" / "tokenizer_config.json", tmp_path / "theirs")
    teacher = ["--teacher", str(tmp_path / "theirs"), "--layers", "1", "--agent", "structural-kd", "--head", "crf"]
    assert main(["distill", *data(place, "tags"), *teacher, "--run_name", "theirs"]) == 0
    words = ["--task_type", "tags", "--test_file", str(place / "dev.conll"), "--output", str(tmp_path / "out")]
    assert main(["predict", str(tmp_path / "theirs"), *words, "--precision", "fp32"]) == 0
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "theirs")
    for sentence in read_columns(tmp_path / "out" / "dev.conll").sentences:
        with torch.no_grad():
            found = model.eval()(**tokenizer(" ".join(sentence.words), return_tensors="pt")).logits[0, 1:-1].argmax(-1)
        assert sentence.tags == convert([labels[i] for i in found], "iob2")


def test_an_agent_that_learns_on_the_way_needs_no_names_either(place: Path) -> None:
    words = [*data(place, "trees"), *of_teacher(place, "trees"), "--agent", "online"]
    assert main(["distill", *words, "--run_name", "online-trees"]) == 0
    assert offered(place / "runs" / "online-trees") == [*DEFAULT_KNOWLEDGE, *DEFAULT_OF_WORDS]


def test_a_parser_teaches_a_classifier_of_texts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["--task", "synthetic-entailment", "--train_limit", "40", "--max_length", "30", *SMALL]
    runs = ["--runs_dir", str(place / "runs")]
    small = ["--hidden_size", "16", "--heads", "2", "--encoder_layers", "2", "--run_name", "texts-teacher"]
    assert main(["train-teacher", *texts, *runs, *small]) == 0
    parser = place / "runs" / "trees-teacher" / "model"
    student = ["--teacher", str(place / "runs" / "texts-teacher" / "model"), "--layers", "1", "--agent", "all"]
    assert main(["distill", *texts, *runs, *student, "--parser", str(parser), "--run_name", "texts"]) == 0
    assert offered(place / "runs" / "texts") == [*DEFAULT_KNOWLEDGE, "parser-trees"]
    last = json.loads((place / "runs" / "texts" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["loss/parser-trees"] > 0
    for wrong, said in (
        (place / "runs" / "tags" / "student", "has no parser with the head parser or second-order-parser: give a"),
        (place / "nowhere", "No such model folder"),
    ):
        assert said in fails(capsys, "distill", *texts, *runs, *student, "--parser", str(wrong))
    words = [*data(place, "tags"), *of_teacher(place, "tags"), "--parser", str(parser)]
    assert (
        fails(capsys, "distill", *words) == "parser is for whole texts, but task_type is tags: leave it out. (--parser)"
    )


def test_what_is_named_and_does_not_fit_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--knowledge", "gold,logits,hidden"]
    words = [*data(place, "trees"), *of_teacher(place, "trees"), "--head", "tree-tagger", *named]
    error = fails(capsys, "distill", *words, "--agent", "all")
    assert error == (
        "knowledge logits cannot compare arcs (teacher) with arc tags (student): offer marginals. "
        "Of the kinds named, these models support gold, hidden."
    )


@pytest.mark.parametrize("more", [[], ["--knowledge", "gold,logits"]])
def test_an_agent_that_the_heads_cannot_serve_names_those_that_can(
    place: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    words = [*data(place, "trees"), *of_teacher(place, "trees"), "--head", "tree-tagger", *more]
    assert fails(capsys, "distill", *words, "--agent", "vanilla-kd") == (
        "knowledge logits cannot compare arcs (teacher) with arc tags (student), and agent 'vanilla-kd' needs it: give "
        "an agent that these models can serve (fine-tune, all, minilm, minilmv2, structural-kd, uncertainty)."
    )
    error = fails(capsys, "distill", *words, "--agent", "fine-tune", "--knowledge", "gold,logits")
    assert "with arc tags (student): offer marginals." in error  # it is what was given that does not fit


def test_weights_are_an_agent_and_its_run_is_repeated(place: Path) -> None:
    words = [*data(place, "trees"), *of_teacher(place, "trees"), "--head", "tree-tagger", "--run_name", "weights"]
    assert main(["distill", *words, "--agent", "gold:1,marginals:0.5"]) == 0
    config = yaml.safe_load((place / "runs" / "weights" / "config.yaml").read_text())
    assert (config["agent"], config["knowledge"]) == ("fixed", ["gold", "marginals"])
    assert config["agent_settings"] == {"weights": {"gold": 1, "marginals": 0.5}}


def test_a_saved_data_set(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["O", "B-animal", "I-animal", "B-person", "I-person"]
    features = Features({"words": Sequence(Value("string")), "kinds": Sequence(ClassLabel(names=names))})
    words, tags = [text.split() for text in SENTENCES], [tags_of(text) for text in SENTENCES]
    ids = [[names.index(tag) for tag in row] for row in tags]
    rows = Dataset.from_dict({"words": [*words, []], "kinds": [*ids, []]}, features=features)
    DatasetDict({"train": rows, "test": rows.select([0, 32, 1])}).save_to_disk(tmp_path / "kinds")
    monkeypatch.setenv("KSELECT_DATA", str(tmp_path))  # where the folder is, as it is not here
    columns = ["--dataset", "kinds", "--word_column", "words", "--tag_column", "kinds"]
    run = ["--encoder", str(place / "encoder"), "--head", "spans", "--scheme", "bioes", "--runs_dir", str(tmp_path)]
    assert main(["train-teacher", "--task_type", "tags", *columns, *run, *SMALL, "--run_name", "run"]) == 0
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (config["task"], config["file_scheme"], config["dataset"]) == ("kinds", "iob2", str(tmp_path / "kinds"))
    assert json.loads((tmp_path / "run" / "results.json").read_text())["examples"] == 3
    assert main(["predict", str(tmp_path / "run"), "--output", str(tmp_path / "out")]) == 0
    written = [json.loads(line) for line in (tmp_path / "out" / "kinds.jsonl").read_text().splitlines()]
    assert [(row["row"], row["words"]) for row in written] == [(0, words[0]), (2, words[1])]
    assert all(set(row["kinds"]) <= set(names) for row in written)
    files = [word for part in ("train", "dev") for word in (f"--{part}_file", str(place / f"{part}.conll"))]
    assert main(["evaluate", str(tmp_path / "run"), *files]) == 0  # whose columns have numbers, not those names


def test_several_teachers_must_be_taggers(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    teacher = place / "runs" / "tags-teacher" / "model"
    shutil.copytree(teacher, tmp_path / "other")
    words = ["--teacher", f"{teacher},{tmp_path / 'other'}", "--layers", "1", "--agent", "vanilla-kd"]
    error = fails(capsys, "distill", *data(place, "tags"), *words, "--run_name", "several")
    assert error == (
        "Only the logits of taggers can be averaged: give one teacher, several with the head tagger, or offer each "
        "one's knowledge, as in logits@1. (--teacher)"
    )
    assert not (place / "runs" / "several").exists()


@pytest.mark.parametrize(
    ("kind", "content", "more", "said"),
    [
        ("tags", "dog\tB-animal\ncat\n", [], "t.conll:2 has 1 column, expected 2 as in line 1: fix or remove that"),
        ("tags", "\n\n", [], "t.conll holds no sentences: fill it, or give another."),
        (
            "tags",
            "dog\tO\n\ncat\tI-animal\n",
            ["--strict", "--file_scheme", "iob2"],
            "t.conll:3 has the tag",
        ),
        ("tags", "dog\nO\n", [], "t.conll:1 has no tag next to the word (column 0, counted from 0, of 1)"),
        ("tags", "dog\tO\n\ncat\tO\n", [], "t.conll has no tag but O: give the column of the tags as tag_column"),
        ("tags", columns(SENTENCES), ["--head", "spans"], "head spans reads tags in BIOES, and these are in iob2"),
        ("tags", columns(SENTENCES), ["--head", "parser"], "head is parser, which is not for task_type tags: give"),
        ("tags", columns(SENTENCES), ["--scheme", "plain"], "in the scheme iob2 cannot be converted to plain"),
        ("tags", columns(SENTENCES), ["--max_length", "32"], "max_length is 32, the model takes 16 tokens"),
        ("trees", treebank(SENTENCES, (3, 3, 4, 3, 6, 4, 4)), [], "begins a sentence without a root"),
        ("trees", treebank(SENTENCES, (2, 1, 4, 0, 6, 4, 4)), [], "is in a cycle of heads: words 1, 2: fix or remove"),
        ("trees", "1\ta\t_\tX\n", [], "t.conllu:1 has 4 columns, expected ten"),
        ("trees", "", [], "t.conllu holds no sentences"),
        ("trees", treebank(SENTENCES), ["--head", "crf"], "head is crf, which is not for task_type trees: give parser"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    content: str,
    more: list[str],
    said: str,
) -> None:
    path = tmp_path / {"tags": "t.conll", "trees": "t.conllu"}[kind]
    path.write_text(content)
    words = ["--task_type", kind, "--train_file", str(path), "--encoder", str(place / "encoder"), *more]
    assert said in fails(capsys, "train-teacher", *words, "--runs_dir", str(tmp_path / "runs"))
    assert sorted(one.name for one in tmp_path.iterdir()) == [path.name]


def test_repaired_tags_and_those_that_train_lacks_are_reported(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "train.conll").write_text(columns(SENTENCES).replace("B-animal", "I-animal", 1))
    (tmp_path / "dev.conll").write_text(columns(SENTENCES[:2]).replace("person", "plant"))
    files = [word for part in ("train", "dev") for word in (f"--{part}_file", str(tmp_path / f"{part}.conll"))]
    assert main(["evaluate", str(place / "runs" / "tags"), "--task_type", "tags", *files]) == 0
    lines = [record.getMessage() for record in caplog.records if record.name == "kselect"]
    assert lines == [
        f"{tmp_path / 'train.conll'} has 1 tag impossible in IOB2, at {tmp_path / 'train.conll'}:3, now repaired.",
        *[line for line in lines[1:] if "tags that train does not have and no prediction gets right: B-plant" in line],
        "2 of 2 examples of dev (100 %) are in train, too: scores on dev overstate what was learned.",
    ]
