"""The model card: front matter that the hub reads, and the numbers of the run."""

from __future__ import annotations

import re

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData

from kselect.config import HEADS
from kselect.runs.model_card import model_card
from kselect.runs.origin import datasets_of, read_origin

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
        "metrics": ["accuracy", "f1"],
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
    assert all(isinstance(tag, str) for tag in matter["tags"])
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
        'kselect.load("student")',
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


ODD = "a: \"task\" # of\n- `odd` \u2028 {characters} | 'x' & <b>"


def test_odd_characters_do_not_break_the_front_matter(tmp_path):
    odd = {**RESULTS, "task": ODD, "teacher": f"runs/{ODD}", "agent": ODD, "student": ODD, "scales": {"gold": 1.0}}
    (tmp_path / "README.md").write_text(model_card(odd, COMMAND, f"runs/{ODD}/student"), encoding="utf-8")
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.model_name == "Student for " + " ".join(ODD.split())
    assert {result.metric_type: result.metric_value for result in data.eval_results} == RESULTS["metrics"]
    assert {result.dataset_name for result in data.eval_results} == {" ".join(ODD.split())}
    assert all(re.fullmatch(r"[\w.-]+", tag) for tag in data.tags)
    again = yaml.safe_load(yaml.safe_dump(data.to_dict()))
    assert again == data.to_dict()


def test_what_a_student_comes_from_is_in_the_front_matter_and_the_card():
    origin = {"licenses": ["mit"], "license": "mit", "base_model": ["google-bert/bert-base-uncased"], "language": "en"}
    known = {"origin": origin, "datasets": ["nyu-mll/glue"], "scales": {"gold": 1.0, "logits": 2.0}}
    teacher = {"parameters": {"total": 9_876_543}, "mebibytes": 37.7}
    size = {"parameters": {"total": 1_234_567}, "mebibytes": 4.71, "teachers": [teacher]}
    card = model_card({**RESULTS, **known, "size": size, "seconds": 61.2}, COMMAND)
    matter = front_matter(card)
    assert (matter["license"], matter["base_model"]) == ("mit", ["google-bert/bert-base-uncased"])
    assert (matter["datasets"], matter["language"]) == (["nyu-mll/glue"], "en")
    for said in (
        "| base model | `google-bert/bert-base-uncased` |",
        "| licence | mit |",
        "| data | `nyu-mll/glue` |",
        "| knowledge | gold, logits |",
        "| size | 1,234,567 parameters, 4.7 MiB |",
        "| teacher's size | 9,876,543 parameters |",
        "It took 61 seconds.",
        "They are those of one run, with seed 7.",
    ):
        assert said in card


def test_the_selection_is_shown_by_quarter_of_the_training_steps():
    history = [
        {"step": 3, "steps": 3, "weights": {"gold": 1.0, "logits": 0.0}},
        {"step": 8, "steps": 5, "weights": {"gold": 0.5, "logits": 0.5}},
    ]
    card = model_card({**RESULTS, "history": history}, COMMAND)
    assert "| gold | 1.00 | 0.75 | 0.50 | 0.50 |\n| logits | 0.00 | 0.25 | 0.50 | 0.50 |" in card


def card_of(folder, **data):
    folder.mkdir()
    (folder / "README.md").write_text(ModelCardData(**data).to_yaml().join(("---\n", "\n---\n# A model\n")))
    return str(folder)


def test_the_licence_is_that_of_every_teacher(tmp_path, caplog):
    named = {"license": "other", "license_name": "ours", "license_link": "LICENSE"}
    one = card_of(tmp_path / "one", base_model="user/encoder", language="de", **named)
    other = card_of(tmp_path / "other", base_model=["user/encoder", "user/second"], **named)
    third = card_of(tmp_path / "third", license="mit")
    (tmp_path / "none").mkdir()
    assert read_origin([one]) == {"licenses": ["other"], **named, "base_model": ["user/encoder"], "language": "de"}
    assert read_origin([one, other]) == {
        "licenses": ["other", "other"],
        **named,
        "base_model": ["user/encoder", "user/second"],
    }
    assert read_origin([one, third]) == {"licenses": ["other", "mit"], "base_model": ["user/encoder"]}
    assert "license" not in read_origin([third, str(tmp_path / "none")])
    (tmp_path / "none" / "README.md").write_text("---\nlicense: [mit\n---\n")
    assert read_origin([str(tmp_path / "none")]) == {"licenses": [None]}
    assert "its licence is unknown" in caplog.text


def test_datasets_are_names_on_the_hub(tmp_path):
    assert datasets_of({"task": "mrpc"}) == ["nyu-mll/glue"]
    assert datasets_of({"task": "reviews", "dataset": "user/reviews"}) == ["user/reviews"]
    assert datasets_of({"task": "reviews", "dataset": str(tmp_path)}) == []
    assert datasets_of({"task": "reviews", "train_file": "a.csv"}) == []
    assert datasets_of({"task": "synthetic-entailment"}) == []
