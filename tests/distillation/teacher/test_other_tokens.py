"""Teachers with another tokenizer: a permuted vocabulary changes nothing, and only answers are compared."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import BertTokenizer

from kselect.config import AgentConfig, KnowledgeConfig, PhaseConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.measure import measure_facts
from kselect.distillation.teacher.cache import CacheFolder
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.shrink import shrink
from kselect.recipes.policies import build_policy
from kselect.tasks.task import Task
from kselect.tasks.words.encoding import EncodedWords
from kselect.training.api import evaluated_teachers
from tests.tiny import tiny_classifier, tiny_task
from tests.words import POSITIONS, SPECIAL, WORDS, tagging_task, task_for, word_classifier

ANSWERS = ["gold", "logits", "logits-mse", "reverse-kl", "jsd", "kd-sim", "kd-pt", "kd-top-k"]


def permuted(classifier: Classifier) -> Classifier:
    """The same classifier under a vocabulary in another order."""
    vocabulary = classifier.tokenizer.get_vocab()
    order = torch.randperm(len(vocabulary), generator=torch.Generator().manual_seed(0))
    model = copy.deepcopy(classifier.model)
    embeddings = model.get_input_embeddings()
    assert isinstance(embeddings, torch.nn.Embedding)
    with torch.no_grad():
        embeddings.weight[order] = embeddings.weight[: len(order)].clone()
    other = {word: int(order[index]) for word, index in vocabulary.items()}
    model.config.pad_token_id = embeddings.padding_idx = other["[PAD]"]
    tokenizer = BertTokenizer(vocab=other, do_lower_case=False, model_max_length=32)
    return Classifier(model, tokenizer, copy.deepcopy(classifier.head), classifier.labels)


def run_of(
    task: Task[Any], teachers: list[Classifier], student: Classifier, knowledge: list[str], cache: float = 1.0
) -> Distiller:
    training = TrainingConfig(batch_size=8, epochs=2, learning_rate=1e-3, precision="fp32")
    config = KnowledgeConfig(knowledge=knowledge, teacher_cache=cache)
    return Distiller(task, teachers, copy.deepcopy(student), training, config, max_length=24)


def weights(run: Distiller) -> dict[str, torch.Tensor]:
    return run.student.model.state_dict()


def assert_equal_runs(one: Distiller, other: Distiller) -> None:
    assert one.initial_losses == other.initial_losses
    reports = []
    for run in (one, other):
        run.reset(1)
        reports.append(run.advance([1] * len(run.names), 4))
    assert reports[0].losses == reports[1].losses
    assert reports[0].signals == reports[1].signals
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


@pytest.mark.parametrize("cache", [0.0, 1.0], ids=["live", "cached"])
def test_a_permuted_vocabulary_changes_no_loss(cache: float) -> None:
    task = tiny_task("synthetic-entailment")
    teacher = tiny_classifier(task)
    student, other = shrink(teacher, 2), permuted(teacher)
    assert other.tokenizer.get_vocab() != teacher.tokenizer.get_vocab()
    assert_equal_runs(*(run_of(task, [each], student, ANSWERS, cache) for each in (teacher, other)))


WORD_KINDS = {
    "tagger": ["gold", "logits", "marginals", "substructures"],
    "crf": ["gold", "logits", "posterior"],
    "spans": ["gold", "marginals", "substructures"],
    "parser": ["gold", "marginals", "substructures"],
}


@pytest.mark.parametrize("head", WORD_KINDS)
def test_a_permuted_vocabulary_changes_no_loss_of_words(head: str) -> None:
    teacher = word_classifier(head)
    student, other = shrink(teacher, 1), permuted(teacher)
    assert_equal_runs(*(run_of(task_for(head), [each], student, WORD_KINDS[head]) for each in (teacher, other)))


def test_tags_are_aligned_by_word() -> None:
    """A student that has one token for most words, and reads longer sentences in pieces, against each piece alone."""
    task, teacher, student = tagging_task(), word_classifier("tagger"), word_classifier("tagger", seed=1)
    words = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    student.tokenizer = BertTokenizer(vocab=words, model_max_length=POSITIONS)
    training, config = TrainingConfig(batch_size=8, precision="fp32"), KnowledgeConfig(knowledge=["logits"])
    run = Distiller(task, teacher, student, training, config, max_length=5)
    encoded = run.encoded("train")
    assert isinstance(encoded, EncodedWords)
    assert encoded.in_pieces > 0
    losses = []
    with torch.no_grad():
        for index in run._probe_sample():
            piece = encoded.pieces[index]
            text = task.splits["train"].sentences[piece.sentence].words[piece.first : piece.last]
            logits = []
            for model in (teacher, student):
                ids = model.tokenizer(list(text), is_split_into_words=True, return_tensors="pt")
                first = [ids.word_ids(0).index(word) for word in range(len(text))]
                logits.append(model.model.eval()(ids["input_ids"]).logits[0, first])
            log_p, log_q = (torch.log_softmax(each / 2, -1) for each in logits)
            losses.append(4 * (log_p.exp() * (log_p - log_q)).sum(-1).mean())
    assert run.initial_losses["logits"] == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)


def test_each_tokenizer_has_its_own_cache_entry() -> None:
    task = tiny_task()
    teacher = tiny_classifier(task)
    student = shrink(teacher, 2)
    for each in (teacher, permuted(teacher), permuted(teacher)):
        run_of(task, [each], student, ["gold", "logits"]).advance([1, 1], 1)
    assert len(CacheFolder().entries()) == 2


def test_the_mean_of_teachers_of_different_tokenizers() -> None:
    task = tiny_task()
    one, two = tiny_classifier(task), tiny_classifier(task, layers=3, seed=1)
    kinds = ["gold", "logits", "logits@2", "hidden@1"]
    alike, mixed = (run_of(task, [one, each], shrink(one, 2), kinds, cache=0.0) for each in (two, permuted(two)))
    assert_equal_runs(alike, mixed)


def test_kinds_that_compare_tokens_are_refused_with_those_that_do_not() -> None:
    task = tiny_task()
    teacher = tiny_classifier(task)
    with pytest.raises(KselectError) as error:
        run_of(task, [permuted(teacher)], shrink(teacher, 2), ["gold", "hidden", "attention"])
    assert str(error.value) == (
        "knowledge hidden compares the models token by token, and this teacher's tokenizer is another than the "
        "student's: offer kinds that read answers: gold, logits, logits-mse, reverse-kl, jsd, label-smoothing, kd-sim, "
        "kd-pt, kd-pt-sim, kd-top-k. Of the kinds named, these models support gold."
    )
    by_default = Distiller(task, permuted(teacher), shrink(teacher, 2))
    assert by_default.kinds == ("gold", "logits")


def test_everything_else_reads_the_teachers_own_tokens() -> None:
    task = tiny_task()
    teacher = tiny_classifier(task)
    student, other = shrink(teacher, 2), permuted(teacher)
    runs = [run_of(task, [each], student, ["gold", "logits"]) for each in (teacher, other)]
    assert evaluated_teachers(runs[0]) == evaluated_teachers(runs[1])
    assert measure_facts(runs[0]) == measure_facts(runs[1])
    for each in runs:
        setup = build_policy(AgentConfig("vanilla-kd"), each, PhaseConfig(), 0)
        assert setup.env.observation_space is not None
    assert (runs[0].mean_cls()["teacher_cls"] == runs[1].mean_cls()["teacher_cls"]).all()


def test_words_beyond_the_teachers_input_are_refused() -> None:
    teacher = word_classifier("tagger")
    other = permuted(teacher)
    other.model.config.max_position_embeddings = 6
    with pytest.raises(KselectError, match="have more tokens than the input of a teacher with another tokenizer"):
        run_of(tagging_task(), [other], shrink(teacher, 1), ["gold", "logits"])
