"""The model card: front matter that the hub reads, and the numbers of the run."""

from __future__ import annotations

import pytest
import yaml

from kselect.config import HEADS
from kselect.runs.model_card import model_card

RESULTS = {
    "task": "mrpc",
    "teacher": "runs/teacher/model",
    "agent": "online",
    "layers": 3,
    "seed": 7,
    "metrics": {"accuracy": 0.75, "f1": 0.8125},
    "examples": 368,
    "constant": {"accuracy": 0.6739, "f1": 0.8052},
    "cost": {"student": 0.9, "reward": 0.064},
}
COMMAND = "kselect distill --config config.yaml"


def front_matter(card: str) -> dict:
    opening, matter, body = card.split("---\n", 2)
    assert opening == ""
    assert body.startswith("\n# ")
    return yaml.safe_load(matter)


def test_front_matter():
    matter = front_matter(model_card(RESULTS, COMMAND))
    (index,) = matter.pop("model-index")
    assert matter == {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["kselect", "knowledge-distillation", "mrpc"],
    }
    assert index["name"] == "Student for mrpc"
    (scored,) = index["results"]
    assert scored["dataset"] == {"name": "mrpc", "type": "mrpc", "split": "dev"}
    assert {metric["type"]: metric["value"] for metric in scored["metrics"]} == RESULTS["metrics"]


@pytest.mark.parametrize(
    "task", ["a: b # c", "--- d", "{e}", '"f', "- g", "1e5", "null", "h\n---\ni", "\x1b[2J", "j'", "*k"]
)
def test_the_front_matter_stands_any_name_of_a_task(task: str) -> None:
    shown = " ".join(task.split()).replace("\x1b", r"\x1b")
    card = model_card({**RESULTS, "task": task}, COMMAND)
    matter = front_matter(card)
    assert matter["tags"][-1] == shown
    assert matter["model-index"][0]["results"][0]["dataset"]["name"] == shown
    assert f"\n# Student for {shown}\n" in card


def test_a_student_card_has_its_origin_and_scores():
    card = model_card(RESULTS, COMMAND)
    for said in (
        "# Student for mrpc",
        "teacher `runs/teacher/model`, of which it keeps 3 layers",
        "agent `online`",
        "Seed 7.",
        "On 368 examples of mrpc's dev split",
        "| accuracy | 0.7500 | 0.6739 |",
        "| f1 | 0.8125 | 0.8052 |",
        "| student | 90.0% |",
        "| reward | 6.4% |",
        COMMAND,
        '.from_pretrained("student")',
    ):
        assert said in card


def test_which_examples_further_scores_are_of():
    card = model_card({**RESULTS, "task": "mnli", "further_examples": {"dev_mismatched": 90}}, COMMAND)
    assert (
        "On 368 examples of mnli's dev split, and where a metric begins with `mismatched/` on 90 of its "
        "dev_mismatched split. Nothing was chosen by them."
    ) in card


def test_the_teachers_scores_are_next_to_the_students():
    scored = {
        **RESULTS,
        "metrics": {"accuracy": 0.75, "loss": 0.5},
        "teacher_metrics": [{"accuracy": 0.8, "loss": 0.4}],
    }
    card = model_card(scored, COMMAND)
    assert "| metric | model | teacher | constant prediction |\n|---|---|---|---|\n" in card
    assert "| accuracy | 0.7500 | 0.8000 | 0.6739 |\n| loss | 0.5000 | 0.4000 |  |\n" in card
    several = {**scored, "teacher": ["one", "other"], "teacher_metrics": [{"accuracy": 0.8}, {"accuracy": 0.7}]}
    del several["constant"]
    card = model_card(several, COMMAND)
    assert "| metric | model | teacher 1 | teacher 2 |" in card
    assert "| accuracy | 0.7500 | 0.8000 | 0.7000 |" in card


def test_chosen_layers_are_named():
    assert "of which it keeps layers 1, 3, 5." in model_card({**RESULTS, "layers": [1, 3, 5]}, COMMAND)


def test_several_teachers_and_a_student_of_its_own_are_named():
    several = {**RESULTS, "teacher": ["one", "other"], "student": "small"}
    del several["layers"]
    assert "from the teachers `one`, `other`, starting from `small`." in model_card(several, COMMAND)


def test_a_teacher_card_leaves_out_what_there_is_not():
    results = {"task": "rte", "metrics": {"accuracy": 0.66}, "examples": 250}
    card = model_card(results, "kselect train-teacher --task rte", model_folder="model")
    assert front_matter(card)["tags"] == ["kselect", "rte"]
    assert "# Teacher for rte" in card
    assert "| metric | model |\n|---|---|\n| accuracy | 0.6600 |" in card
    assert '.from_pretrained("model")' in card
    for absent in ("Cost", "agent", "constant", "None", "unknown"):
        assert absent not in card


def test_what_loads_a_model_of_words():
    for head, auto, pipeline in (
        ("crf", "AutoModelForTokenClassification", "token-classification"),
        ("parser", "AutoModel", "feature-extraction"),
    ):
        card = model_card({**RESULTS, "head": head}, COMMAND)
        assert front_matter(card)["pipeline_tag"] == pipeline
        assert f"from transformers import {auto}, AutoTokenizer" in card
        assert f'{auto}.from_pretrained("student")' in card
        assert f"`head.json` names it, `{head}`" in card
    assert "head.json" not in model_card(RESULTS, COMMAND)


def test_the_card_names_predictions_that_transformers_alone_does_not_make():
    for head in (*HEADS["tags"], *HEADS["trees"]):
        card = model_card({**RESULTS, "head": head}, COMMAND)
        assert ("the model's answer,**\nwhich is the best" in card) == (head != "tagger")
        assert ("argmax of these need not be" in card) == (head in ("crf", "tree-tagger"))
