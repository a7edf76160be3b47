"""Runs on words: teachers live and from the cache, snapshots with what a head learns, and whole episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kselect.agents.actor_critic import ActorCritic
from kselect.config import KnowledgeConfig, PhaseConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.snapshot import Snapshot
from kselect.distillation.teacher.fingerprint import cache_key
from kselect.distillation.teacher.sources import CachedTeacher
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.knowledge.marginals import HEAD_PAIRS
from kselect.knowledge.sequences import BestSequences
from kselect.knowledge.substructures import COMPARABLE_HEADS
from kselect.models.classifier import Classifier
from kselect.models.heads.registry import CHOICES
from kselect.models.heads.tree_tagger import ArcTags, TreeTagger
from kselect.models.loading import load_classifier
from kselect.models.shrink import shrink
from kselect.models.word_classifier import with_head
from kselect.tasks.words import TaggedSentence
from kselect.tasks.words.sentence import WordSplit
from kselect.training.api import learn, rollout
from tests.words import ORIGIN, tagging_task, task_for, tokenizer, word_classifier

TEACHERS = ("crf", "spans", "parser", "second-order-parser", "tree-tagger")


def kinds_for(teacher: str, student: str) -> list[str]:
    """All kinds of knowledge that two heads can be compared in."""
    kinds = ["gold", "marginals", "hidden", "attention"]
    if any(teacher in group and student in group for group in COMPARABLE_HEADS):
        kinds.append("substructures")
    if CHOICES[teacher] == CHOICES[student]:
        kinds += ["logits", *(["logits-mse"] if "tag" in CHOICES[student] else [])]
    if {teacher, student} <= {"tagger", "crf"}:
        kinds += ["posterior", *(["best-sequences"] if teacher == "crf" else [])]
    return kinds


def student_of(teacher: Classifier, head: str) -> Classifier:
    small = shrink(teacher, 1)
    return small if head == teacher.head.name else with_head(small, task_for(head), head)


def distiller_for(
    teacher: str | Classifier, student: str, kinds: list[str] | None = None, dropout: float = 0.0, **knowledge: Any
) -> Distiller:
    made = word_classifier(teacher, dropout=dropout) if isinstance(teacher, str) else teacher
    offered = KnowledgeConfig(knowledge=kinds or kinds_for(made.head.name, student), **knowledge)
    training = TrainingConfig(batch_size=8, epochs=3, learning_rate=3e-3, precision="fp32")
    return Distiller(task_for(student), made, student_of(made, student), training, offered)


def weights(distiller: Distiller) -> dict[str, torch.Tensor]:
    parts = {"model": distiller.student.model, "head": distiller.student.head}
    return {f"{part}.{name}": v.clone() for part, one in parts.items() for name, v in one.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("head", TEACHERS)
def test_cached_teacher_of_words_agrees_with_live(head: str) -> None:
    kinds = ["marginals", "hidden"] if head == "spans" else ["marginals", "substructures"]
    runs = [distiller_for(head, head, kinds, teacher_cache=cache) for cache in (0, 1, 1)]
    assert not isinstance(runs[0].teacher_source, CachedTeacher)
    reports = []
    for run in runs:
        run.reset(1)
        reports.append(run.advance([1, 1], 6))
    live, cached, again = reports
    assert cached == again
    assert equal(weights(runs[1]), weights(runs[2]))
    for name, value in live.losses.items():
        assert cached.losses[name] == pytest.approx(value, rel=2e-2)
    for name, value in live.signals.items():
        assert cached.signals[name] == pytest.approx(value, abs=2e-2)


def test_cached_teacher_stores_word_states_in_half_precision() -> None:
    for head, name, width in (("parser", "word_states-", 2), ("crf", "logits-", 4)):
        run = distiller_for(head, head, ["marginals"])
        run.advance([1], 1)
        assert isinstance(run.teacher_source, CachedTeacher)
        arrays = run.teacher_source.entry.arrays
        assert list(arrays) == [name.removesuffix("-")]
        counts = run.encoded("train").word_counts
        assert counts is not None
        words = int(counts.sum())
        assert arrays[name.removesuffix("-")].bytes - words * width * (16 if head == "parser" else 9) in range(64, 129)


@pytest.mark.parametrize("beyond", ["half precision", "the limit"])
def test_cached_teacher_of_words_over_the_limit_stays_live(beyond: str) -> None:
    teacher = word_classifier("parser")
    if beyond == "half precision":
        with torch.no_grad():
            last = f"encoder.layer.{teacher.layers - 1}.output.LayerNorm.weight"
            teacher.model.get_parameter(last).mul_(1e6)
            teacher.head.get_parameter("root").zero_()
    runs = [
        distiller_for(teacher, "parser", ["marginals", "hidden"], teacher_cache=cache)
        for cache in (0, 1 if beyond == "half precision" else 1e-7)
    ]
    for run in runs:
        run.reset(1)
    live, kept = (run.advance([1, 1], 3) for run in runs)
    assert kept == live
    assert isinstance(runs[1].teacher_source, CachedTeacher)
    assert runs[1].teacher_source.is_live_only


def test_cache_key_depends_on_word_positions() -> None:
    task = tagging_task()
    texts = (("a", "b"), ("a b",))
    encoded = [task.encode(WordSplit([TaggedSentence(t, ("O",) * len(t), ORIGIN)]), tokenizer(), 24) for t in texts]
    assert encoded[0].input_ids[0].tolist() == encoded[1].input_ids[0].tolist()
    model = word_classifier("tagger").model
    assert len({cache_key([model], torch.float32, one) for one in encoded}) == 2


@pytest.mark.parametrize("head", ["parser", "crf"])
def test_teacher_head_is_not_trained(head: str) -> None:
    teacher = word_classifier(head, dropout=0.5)
    teacher.head.train()
    run = distiller_for(teacher, head, ["marginals"], teacher_cache=0)
    again = distiller_for(teacher, head, ["marginals"], teacher_cache=0)
    assert run.initial_losses == again.initial_losses
    run.advance([1], 2)
    assert all(parameter.grad is None for parameter in (*teacher.head.parameters(), *teacher.model.parameters()))


def test_loaded_teacher_gives_the_same_outputs(tmp_path: Path) -> None:
    teacher = word_classifier("parser", dropout=0.5)
    teacher.save_pretrained(tmp_path)
    losses = []
    for one in (teacher, load_classifier(tmp_path, task_for("parser"))):
        run = distiller_for(word_classifier("parser"), "parser", ["gold"])
        other = Distiller(task_for("parser"), one, run.student, run.training, KnowledgeConfig(knowledge=["marginals"]))
        losses.append(other.initial_losses)
    assert losses[0] == losses[1]


@pytest.mark.parametrize("head", ["crf", "second-order-parser"])
def test_restore_includes_the_head(head: str, tmp_path: Path) -> None:
    run = distiller_for(head, head, ["gold", "marginals"], dropout=0.2)
    first = weights(run)
    run.reset(3)
    run.advance([1, 1], 3)
    moment = run.snapshot()
    named = {f"trained/head.{name}" for name, _ in run.student.head.named_parameters()}
    assert named
    assert named <= set(moment.tensors)
    assert {name.replace("trained", "optimizer/exp_avg") for name in named} <= set(moment.tensors)
    report, straight = run.advance([1, 1], 4), weights(run)
    run.restore(moment)
    assert run.advance([1, 1], 4) == report
    assert equal(weights(run), straight)
    moment.save(tmp_path / "moment")
    other = distiller_for(head, head, ["gold", "marginals"], dropout=0.2)
    other.restore(Snapshot.load(tmp_path / "moment"))
    assert other.advance([1, 1], 4) == report
    assert equal(weights(other), straight)
    run.reset(3)
    assert equal(weights(run), first)
    assert not equal(straight, first)
    moved = [name for name in first if name.startswith("head.") and not torch.equal(first[name], straight[name])]
    assert len(moved) == len([name for name in first if name.startswith("head.")])


def test_several_teachers_of_words_are_averaged() -> None:
    one, other = (word_classifier("tagger", seed=seed) for seed in (0, 1))
    run = Distiller(
        tagging_task(), [one, other], student_of(one, "crf"), TrainingConfig(batch_size=8, epochs=1, precision="fp32"),
        KnowledgeConfig(knowledge=["gold", "marginals", "substructures"]),
    )  # fmt: skip
    assert np.isfinite(list(run.advance([1, 1, 1], 2).losses.values())).all()
    for head in ("crf", "spans"):
        with pytest.raises(KselectError, match="Only the logits of taggers can be averaged"):
            Distiller(tagging_task(), [word_classifier(head), one], student_of(one, "tagger"))
        with pytest.raises(KselectError, match="Only the logits of taggers can be averaged"):
            Distiller(tagging_task(), [word_classifier(head), word_classifier(head)], student_of(one, "tagger"))


def test_distiller_refuses_other_arc_tags() -> None:
    teacher = word_classifier("tree-tagger")
    student = student_of(teacher, "tree-tagger")
    assert isinstance(student.head, TreeTagger)
    tags = student.head.tags
    turned = ArcTags(tags.offsets[::-1], tags.relations[::-1])
    student.head = TreeTagger(turned, task_for("tree-tagger").labels)
    with pytest.raises(KselectError, match="use different tags for arcs"):
        Distiller(task_for("tree-tagger"), teacher, student)


@pytest.mark.parametrize(("teacher", "student"), HEAD_PAIRS)
def test_rollout_of_words_with_every_kind(teacher: str, student: str) -> None:
    run = distiller_for(teacher, student, dropout=0.1)
    env = DistillationEnv(run, phases=PhaseConfig("constant", 4))
    agent = ActorCritic(env.observation_space, env.action_space)
    learn(agent, env, episodes=1)
    result = rollout(agent, env)
    assert np.isfinite(list(result.metrics.values())).all()
    assert {"f1", "accuracy"} <= set(result.metrics) or {"uas", "las"} <= set(result.metrics)
    run.reset(0)
    everything = run.advance([1] * len(run.names), run.total_steps)
    assert np.isfinite(list(everything.losses.values())).all()
    assert set(everything.losses) == set(run.names)
    assert all(0 <= value <= 1 for value in everything.signals.values())
    assert all(scale > 0 for scale in run.scales)


@pytest.mark.parametrize("head", ["crf", "spans", "parser", "tree-tagger"])
def test_advance_trains_a_student_of_words(head: str) -> None:
    task, student = task_for(head), word_classifier(head)
    run = Distiller(task, None, student, TrainingConfig(batch_size=8, epochs=30, learning_rate=1e-2, precision="fp32"))
    before = run.evaluate("train")
    run.advance([1], run.total_steps)
    after = run.evaluate("train")
    assert after.loss < 0.3 * before.loss
    assert after.metrics["score"] > max(0.8, before.metrics["score"])


def test_best_sequences_ignore_padding() -> None:
    """A batch of one sentence and a batch of that and a longer one say the same of it."""
    run = distiller_for("crf", "tagger", ["best-sequences"])
    train = run.encoded("train")
    counts = train.word_counts
    assert counts is not None
    short, long = int(counts.argmin()), int(counts.argmax())
    assert counts[short] < counts[long]
    assert isinstance(run.knowledge[0], BestSequences)
    with torch.no_grad():
        alone = run._steps.compare(np.array([short]), [0], live=True).losses
        padded = run._steps.compare(np.array([short, long]), [0], live=True).losses
    torch.testing.assert_close(padded[:1], alone, rtol=1e-4, atol=1e-5)
