"""A parser that reads the training texts: what it says of them, from the cache or live, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from kselect.agents.registry import make_agent
from kselect.config import DEFAULT_KNOWLEDGE, KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.teacher.sources import CachedTeacher, TeacherSource
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.heads.parser import SecondOrderAnswer, TreeAnswer
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.models.shrink import shrink
from kselect.tasks.task import Task
from kselect.tasks.words import ParsedSentence
from kselect.tasks.words.sentence import WordSplit
from kselect.training.api import rollout
from tests.architectures import classifier
from tests.tiny import tiny_classifier, tiny_task
from tests.words import ORIGIN, parsing_task, tagging_task, word_classifier

LENGTH = 32


def distiller_for(
    task: Task | None = None, parser: Classifier | None = None, knowledge: list[str] | None = None, **settings: Any
) -> Distiller:
    task = task or tiny_task("synthetic-entailment")
    teacher = tiny_classifier(task, dropout=0.0)
    offered = KnowledgeConfig(knowledge=knowledge or ["gold", "parser-trees"], **settings)
    training = TrainingConfig(batch_size=8, epochs=2, learning_rate=3e-3, precision="fp32")
    return Distiller(task, teacher, shrink(teacher, 2), training, offered, LENGTH, parser or word_classifier("parser"))


def source_of(run: Distiller) -> TeacherSource:
    """What the parser gives to a run that offers its trees."""
    assert run.parsed is not None
    return run.parsed.source


@pytest.mark.parametrize("task", ["synthetic-entailment", "synthetic-acceptability"])
@pytest.mark.parametrize("head", ["parser", "second-order-parser"])
def test_parse_equals_the_parser_on_each_sentence(task: str, head: str) -> None:
    parser = word_classifier(head)
    run = distiller_for(tiny_task(task), parser)
    assert run.parsed is not None
    indices = np.array([5, 0, 11])
    for live in (False, True):
        found = run.parsed.parse(indices, live)
        split = tiny_task(task).splits["train"]
        texts = [column for column in (split.text_a, split.text_b) if column is not None]
        assert len(found.examples) == len(indices) * len(texts)
        for row, example in enumerate(found.examples.tolist()):
            words = texts[row % len(texts)][indices[example]].split()
            sentence = ParsedSentence(tuple(words), (), (), (), ORIGIN)
            alone = parsing_task().encode(WordSplit([sentence]), parser.tokenizer, 24).batch([0])
            with torch.no_grad():
                answer = forward(parser.model, alone, Needs()).under(parser.head).answer
            n = len(words)
            assert found.mask[row].sum() == n
            assert isinstance(answer, TreeAnswer | SecondOrderAnswer)
            expected = answer.head_log_probabilities()[0].exp()
            torch.testing.assert_close(found.heads[row, :n, : n + 1], expected, rtol=2e-2, atol=5e-3)


def test_parsed_texts_cached_agree_with_live() -> None:
    runs = [distiller_for(teacher_cache=cache) for cache in (0, 1, 1)]
    reports = []
    for run in runs:
        run.reset(1)
        reports.append(run.advance([1, 1], 6))
    live, cached, again = reports
    assert cached == again
    uncached, source = source_of(runs[0]), source_of(runs[1])
    assert isinstance(source, CachedTeacher)
    assert list(source.entry.arrays) == ["word_states"]
    assert not isinstance(uncached, CachedTeacher)
    assert cached.losses["parser-trees"] == pytest.approx(live.losses["parser-trees"], rel=2e-2)


def test_advance_learns_parser_trees_and_keeps_the_parser() -> None:
    parser = word_classifier("parser", dropout=0.5)
    parser.head.train()
    before = {name: value.clone() for name, value in (parser.model.state_dict() | parser.head.state_dict()).items()}
    run = distiller_for(parser=parser, knowledge=["parser-trees"])
    run.reset(0)
    first = run.advance([1], 2).losses["parser-trees"]
    run.advance([1], run.total_steps - 4)
    assert run.advance([1], 2).losses["parser-trees"] < 0.9 * first
    after = parser.model.state_dict() | parser.head.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(name for name in run.snapshot().tensors if "parser" in name)


def test_parsed_texts_are_computed_only_if_selected() -> None:
    run = distiller_for()
    run.advance([1, 0], 3)
    source = source_of(run)
    assert isinstance(source, CachedTeacher)
    assert not source.entry.arrays
    assert distiller_for(knowledge=["gold", "hidden"]).parsed is None


def test_initial_losses_read_the_parser_live() -> None:
    task, offered = tiny_task("synthetic-entailment"), KnowledgeConfig(knowledge=["gold", "parser-trees"])
    student = tiny_classifier(task, layers=2)
    run = Distiller(task, None, student, None, offered, LENGTH, word_classifier("parser"))
    assert run.initial_losses["parser-trees"] > 0
    source = source_of(run)
    assert isinstance(source, CachedTeacher)
    assert not source.entry.arrays  # the pass over all texts has not started


def test_rollout_with_parser_trees() -> None:
    task = tiny_task("synthetic-entailment")
    teacher = tiny_classifier(task)
    training = TrainingConfig(batch_size=8, epochs=1, precision="fp32")
    run = Distiller(task, teacher, shrink(teacher, 2), training, None, LENGTH, word_classifier("parser"))
    assert run.names == (*DEFAULT_KNOWLEDGE, "parser-trees")
    assert run.scales[-1] > 0
    env = DistillationEnv(run)
    result = rollout(make_agent("random-hard", env.observation_space, env.action_space, run.names), env)
    assert np.isfinite(list(result.metrics.values())).all()


def test_parser_trees_refuse_missing_parsers_and_words() -> None:
    task, parser, offered = tiny_task(), word_classifier("parser"), KnowledgeConfig(knowledge=["parser-trees"])
    teacher, words, shy = tiny_classifier(task), word_classifier("tagger"), classifier("deberta-v2", task)
    with pytest.raises(KselectError, match="knowledge parser-trees needs a parser: give its folder as parser"):
        Distiller(task, teacher, shrink(teacher, 2), knowledge=offered)
    with pytest.raises(KselectError, match="knowledge parser-trees is for whole texts, not for labelled words"):
        Distiller(tagging_task(), words, shrink(words, 1), knowledge=offered, parser=parser)
    with pytest.raises(KselectError, match="knowledge parser-trees reads inside the attention, which deberta-v2 does"):
        Distiller(task, shy, shrink(shy, 2), knowledge=offered, parser=parser)


def test_parsed_texts_refuse_long_sentences() -> None:
    parser = word_classifier("parser")
    parser.model.config.max_position_embeddings = 6
    with pytest.raises(
        KselectError, match=r"sentences have more tokens than the parser's input \(6\), and part of a sentence"
    ):
        distiller_for(parser=parser)
