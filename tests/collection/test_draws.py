from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kselect.collection.conditions import Condition
from kselect.collection.draws import draw
from kselect.config import TaskConfig
from kselect.errors import KselectError
from kselect.tasks.registry import make_task

TASKS = {name: TaskConfig(task=name) for name in ("synthetic-acceptability", "synthetic-entailment")}
ACCEPTABILITY = {"task": "synthetic-acceptability", "stratum": "test", "labelled": 60, "held_out": 40}


def condition(name: str = "one", **values: Any) -> Condition:
    return Condition.from_dict({**ACCEPTABILITY, "name": name, "unlabelled": 50, "teacher": {"examples": 80}, **values})


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def texts(path: Path) -> list[str]:
    return [row["text_a"] for row in rows(path)]


def test_samples_are_disjoint_and_have_their_sizes(tmp_path: Path) -> None:
    found = draw(condition(), TASKS, 0, 30, tmp_path)
    pool = make_task(TASKS["synthetic-acceptability"]).splits["train"].text_a
    where: dict[str, list[int]] = {}
    for name in ("teacher", "student", "texts"):
        where[name] = [pool.index(text) for text in texts(tmp_path / f"{name}.jsonl")]
    assert [len(each) for each in where.values()] == [80, 100, 50]
    if len(set(pool)) == len(pool):
        assert len({index for each in where.values() for index in each}) == 230
    task = make_task(found["student"])
    assert abs(len(task.splits["train"]) - 60) <= 4  # duplicates of a text stay together
    assert len(task.splits["dev"]) == 30
    assert not task.splits["transfer"].is_labelled
    assert task.labels == make_task(found["teacher"]).labels
    assert all("label" not in row for row in rows(tmp_path / "texts.jsonl"))


def test_a_teacher_of_the_same_examples_learns_from_those_of_the_student(tmp_path: Path) -> None:
    found = draw(condition(teacher={"same_examples": True}, label_noise=0.3), TASKS, 0, 30, tmp_path)
    teacher, student = (make_task(found[name]).splits for name in ("teacher", "student"))
    for name in ("train", "reward"):
        assert teacher[name].text_a == student[name].text_a
        assert teacher[name].labels == student[name].labels
    assert "transfer" in student
    assert "transfer" not in teacher
    assert set(texts(tmp_path / "texts.jsonl")).isdisjoint(texts(tmp_path / "student.jsonl"))


def test_conditions_share_what_they_can_and_seeds_do_not(tmp_path: Path) -> None:
    draw(condition(), TASKS, 0, 30, tmp_path / "one")
    draw(condition("two", labelled=20, teacher={"examples": 40}), TASKS, 0, 30, tmp_path / "two")
    draw(condition(), TASKS, 1, 30, tmp_path / "other")
    for name in ("teacher", "student"):
        one, two, other = (texts(tmp_path / folder / f"{name}.jsonl") for folder in ("one", "two", "other"))
        assert one[: len(two)] == two
        assert other != one
    assert texts(tmp_path / "one" / "dev.jsonl") == texts(tmp_path / "other" / "dev.jsonl")


def test_noise_changes_its_share_of_the_labels(tmp_path: Path) -> None:
    draw(condition(), TASKS, 0, 30, tmp_path / "clean")
    draw(condition(label_noise=0.3), TASKS, 0, 30, tmp_path / "noisy")
    clean, noisy = (rows(tmp_path / folder / "student.jsonl") for folder in ("clean", "noisy"))
    assert [row["text_a"] for row in clean] == [row["text_a"] for row in noisy]
    assert sum(a["label"] != b["label"] for a, b in zip(clean, noisy, strict=True)) == 30
    teachers = [(tmp_path / folder / "teacher.jsonl").read_text() for folder in ("clean", "noisy")]
    assert teachers[0] == teachers[1]


def test_noise_in_a_regression_permutes_scores(tmp_path: Path) -> None:
    path = tmp_path / "scores.tsv"
    path.write_text("text\tlabel\n" + "".join(f"text {i}\t{i / 7:.3f}\n" for i in range(200)))
    tasks = {"scores": TaskConfig(task="scores", train_file=str(path), text_columns=["text"], regression=True)}
    one = Condition("noisy", "scores", "test", labelled=60, held_out=20, label_noise=0.5)
    one = Condition.from_dict({**vars(one), "teacher": {"examples": 50}, "student": {}, "training": {}})
    draw(one, tasks, 0, 10, tmp_path / "noisy")
    clean = dict(line.split("\t") for line in path.read_text().splitlines()[1:])
    found = rows(tmp_path / "noisy" / "student.jsonl")
    right = np.array([float(clean[row["text_a"]]) == row["label"] for row in found])
    assert 0.5 <= right.mean() < 0.6
    assert sorted(row["label"] for row in found) == sorted(float(clean[row["text_a"]]) for row in found)


def test_texts_of_another_task(tmp_path: Path) -> None:
    tasks = {**TASKS, "synthetic-topics": TaskConfig(task="synthetic-topics")}
    others = make_task(tasks["synthetic-topics"]).splits["train"].text_a
    draw(condition(texts_of="synthetic-topics"), tasks, 0, 30, tmp_path / "others")
    found = texts(tmp_path / "others" / "texts.jsonl")
    assert len(found) == 50
    assert set(found) <= set(others)
    for name, texts_of in (("own", None), ("named", "synthetic-acceptability")):  # disjoint from the examples
        draw(condition(texts_of=texts_of), tasks, 0, 30, tmp_path / name)
    assert texts(tmp_path / "named" / "texts.jsonl") == texts(tmp_path / "own" / "texts.jsonl")
    few = condition(texts_of="synthetic-topics", unlabelled=len(others) + 1)
    with pytest.raises(KselectError, match=f"needs {len(others) + 1} texts of synthetic-topics, whose train has"):
        draw(few, tasks, 0, 30, tmp_path / "few")


def test_too_few_examples(tmp_path: Path) -> None:
    with pytest.raises(KselectError, match="Condition one needs 100150 examples"):
        draw(condition(teacher={"examples": 100000}), TASKS, 0, 30, tmp_path)


SENTENCES = [[("a", "O")], [("b", "B-X"), ("c", "I-X")], [("d", "B-RARE")]]


def test_every_tag_is_in_both_samples(tmp_path: Path) -> None:
    lines = [SENTENCES[2], *([SENTENCES[0], SENTENCES[1]] * 60)]
    path = tmp_path / "train.conll"
    path.write_text("\n".join("".join(f"{word}{i}\t{tag}\n" for word, tag in one) for i, one in enumerate(lines)))
    tasks = {"tags": TaskConfig(task="tags", task_type="tags", train_file=str(path), reward_fraction=0.01)}
    one = Condition.from_dict(
        {"name": "t", "task": "tags", "stratum": "test", "labelled": 20, "held_out": 10, "teacher": {"examples": 20}}
    )
    found = draw(one, tasks, 3, 10, tmp_path)
    tasks_of = [make_task(found[name]) for name in ("teacher", "student")]
    assert tasks_of[0].labels == tasks_of[1].labels
    assert len(tasks_of[0].labels) >= 3
    teacher, student = (set(texts_of_words(tmp_path / f"{name}.jsonl")) for name in found)
    assert teacher & student == {"d0"}  # the only sentence with its tag


def test_converted_tags_are_written_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("\n".join(f"a{i}\tB-X\nb{i}\tI-X\nc{i}\tB-X\n" for i in range(80)))
    tasks = {"tags": TaskConfig(task="tags", task_type="tags", train_file=str(path), scheme="bioes")}
    one = Condition.from_dict(
        {"name": "t", "task": "tags", "stratum": "test", "labelled": 20, "held_out": 10, "teacher": {"examples": 20}}
    )
    task = make_task(draw(one, tasks, 0, 10, tmp_path)["student"])
    assert {sentence.tags for sentence in task.splits["train"].sentences} == {("B-X", "E-X", "S-X")}


def test_a_teacher_has_no_copy_of_a_sentence_of_its_student(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("\n".join(f"word{i % 60}\t{'B-X' if i % 2 else 'O'}\n" for i in range(180)))
    tasks = {"tags": TaskConfig(task="tags", task_type="tags", train_file=str(path), reward_fraction=0.01)}
    one = Condition.from_dict(
        {"name": "t", "task": "tags", "stratum": "test", "labelled": 20, "held_out": 10, "teacher": {"examples": 20}}
    )
    found = draw(one, tasks, 3, 10, tmp_path)
    teacher, student = (texts_of_words(tmp_path / f"{name}.jsonl") for name in found)
    assert not set(teacher) & set(student)
    assert len(set(teacher)) == len(teacher)


def texts_of_words(path: Path) -> list[str]:
    return [" ".join(row["tokens"]) for row in rows(path)]


def test_trees_are_written_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "train.conllu"
    block = "1\tthe\t_\tDET\t_\t_\t2\tdet\t_\t_\n2\tdog{i}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n"
    path.write_text("\n".join(block.replace("{i}", str(i)) for i in range(80)) + "\n")
    tasks = {"trees": TaskConfig(task="trees", task_type="trees", train_file=str(path))}
    one = Condition.from_dict(
        {"name": "t", "task": "trees", "stratum": "test", "labelled": 20, "held_out": 5, "teacher": {"examples": 20}}
    )
    task = make_task(draw(one, tasks, 0, 5, tmp_path / "drawn")["student"])
    sentence = task.splits["train"].sentences[0]
    assert (sentence.upos, sentence.heads, sentence.relations) == (("DET", "NOUN"), (2, 0), ("det", "root"))
