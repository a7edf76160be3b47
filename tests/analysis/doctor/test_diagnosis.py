"""Each way a teacher can fail, made on purpose, is found and told; a sound one is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from kselect.analysis.doctor import Advice, Sample, diagnose
from kselect.analysis.doctor.advice import of_teacher
from kselect.analysis.doctor.linear_probe import Probe
from tests.analysis.doctor.constructed import (
    CLASSES,
    SIZE,
    calibrated,
    label_smoothed,
    labels_of,
    no_better_than_constant,
    over_confident,
    permuted,
    sound,
    worse_than_constant,
)


def advice_on(held: Sample, train: Sample, **more: object) -> dict[str, Advice]:
    every = of_teacher(diagnose(held, train, **more))
    kinds = [one.kind for one in every]
    assert len(set(kinds)) == len(kinds)
    for one in every:
        assert one.numbers, one
        assert all(np.isfinite(value) for value in one.numbers.values()), one
    return {one.kind: one for one in every}


def claims(advice: dict[str, Advice]) -> dict[str, str]:
    return {kind: str(one.claim) for kind, one in advice.items()}


def test_a_sound_teacher() -> None:
    advice = advice_on(sound(0), sound(1))
    told = claims(advice)
    assert "labels" not in advice
    assert advice["worth"].sentence.startswith("Worth distilling: it is right on ")
    assert told["worth"] == "logits better than gold"
    assert told["relations"] == "logits better than kd-pt"
    assert told["instances"] == "kd-pt better than label-smoothing"
    assert advice["worth"].numbers["ahead"] == pytest.approx(
        advice["worth"].numbers["accuracy"] - advice["worth"].numbers["constant"]
    )


def test_a_label_smoothed_teacher_has_no_class_relations() -> None:
    advice = advice_on(label_smoothed(0), label_smoothed(1))
    assert advice["relations"].sentence.startswith("Wrong classes are all but alike to it")
    assert claims(advice)["relations"] == "logits no better than kd-pt"
    assert claims(advice)["worth"] == "logits better than gold"


def test_an_over_confident_teacher_tells_no_example_from_another_and_is_to_be_softened() -> None:
    held, train = over_confident(0, held=True), over_confident(1, held=False)
    advice = advice_on(held, train, temperature=1.0)
    assert claims(advice)["instances"] == "kd-pt no better than gold"
    best = advice["temperature"].numbers["temperature"]
    assert best > 2
    assert advice["temperature"].numbers["oversure"] == pytest.approx(0.25, abs=0.05)
    assert advice["temperature"].sentence.startswith(f"Raise --temperature to {best:.1f} (now 1)")
    assert claims(advice)["temperature"] == f"logits@{best:.1f} better than logits"
    assert "too little to be heard" in advice["relations"].sentence
    softened = advice_on(held, train, temperature=4.0)  # where the same wrong classes are heard
    assert softened["relations"].numbers["mass"] > 0.1 > advice["relations"].numbers["mass"]
    assert claims(softened)["relations"] == "logits better than kd-pt"
    assert claims(softened)["instances"] == "kd-pt better than label-smoothing"


def test_a_teacher_worse_than_constant_is_not_to_be_distilled() -> None:
    advice = advice_on(worse_than_constant(0), worse_than_constant(1))
    assert advice["worth"].sentence.startswith("Do not distil this teacher")
    assert advice["worth"].numbers["ahead"] < 0
    assert claims(advice)["worth"] == "logits no better than gold"
    assert list(advice) == ["worth"]


def test_a_teacher_no_better_than_constant_is_not_worth_it() -> None:
    advice = advice_on(no_better_than_constant(0), no_better_than_constant(1))
    assert advice["worth"].sentence.startswith("This teacher is not worth distilling")
    assert claims(advice)["worth"] == "logits no better than gold"


def test_a_teacher_that_answers_as_constant_but_knows_more_is() -> None:
    """Of rare labels it says which are likelier, never that they are likely."""
    rng = np.random.default_rng(0)
    p = rng.choice([0.02, 0.4], SIZE, p=[0.5, 0.5])
    labels = (rng.random(SIZE) < p).astype(int)
    knowing = Sample.of_probabilities(np.stack([1 - p, p], axis=1), labels)
    advice = advice_on(knowing, knowing)
    assert advice["worth"].sentence.startswith("Distil its probabilities rather than its answers")
    assert claims(advice)["worth"] == "logits better than gold"


def test_a_teacher_no_better_than_a_probe_of_the_student() -> None:
    held, train = sound(0), sound(1)
    as_good = Probe(train.log_probabilities(), held.log_probabilities())
    advice = advice_on(held, train, probe=as_good)
    assert advice["worth"].sentence.startswith("Expect little of this teacher")
    assert claims(advice)["worth"] == "logits no better than gold"
    blank = np.full((SIZE, CLASSES), -np.log(CLASSES))
    assert claims(advice_on(held, train, probe=Probe(blank, blank)))["worth"] == "logits better than gold"


def first_words(advice: Advice) -> str:
    return advice.sentence.partition(":")[0]


def test_what_few_examples_do_not_tell_is_said_to_be_so() -> None:
    """The same teacher, right on 85 % where the constant prediction is on 70 %, by ever more examples."""
    told: dict[int, list[Advice]] = {}
    for size in (10, 20, 2000):
        samples = [calibrated(seed, size) for seed in range(12)]
        told[size] = [advice_on(held, calibrated(99, 300))["worth"] for held in samples]
    few = {(first_words(one), str(one.claim)) for size in (10, 20) for one in told[size]}
    assert ("Not told whether this teacher is worth distilling", "None") in few
    assert not any(claim == "logits no better than gold" for _, claim in few)
    assert {first_words(one) for one in told[2000]} == {"Worth distilling"}


def test_a_probe_that_is_not_told_apart_from_the_teacher_is_no_equal_of_it() -> None:
    held, train = sound(0, size=40), sound(1)
    behind = held.log_probabilities().copy()
    behind[:3] = behind[:3, ::-1]  # three answers of forty, or none
    advice = advice_on(held, train, probe=Probe(train.log_probabilities(), behind))
    assert advice["worth"].sentence.startswith("Not told whether this teacher knows more than its student")
    assert advice["worth"].claim is None


def test_a_calibrated_teacher_is_hardly_ever_told_too_sure_however_few_the_examples() -> None:
    for size in (20, 100, 1000):
        told = [
            advice_on(calibrated(seed, size), calibrated(99, 300), temperature=1.0)["temperature"] for seed in range(60)
        ]
        assert sum(one.sentence.startswith("Raise") for one in told) <= 6, size
        assert all((one.claim is None) == one.sentence.startswith(("Leave", "No temperature")) for one in told)


def test_permuted_labels_are_suspicious() -> None:
    advice = advice_on(permuted(0), permuted(1), labels=list("abcdef"))
    assert "if they mean f, a, b, c, d, e" in advice["labels"].sentence
    assert advice["labels"].numbers["right_as_meant"] > 0.7 > 0.3 > advice["labels"].numbers["right"]
    assert advice["labels"].claim is advice["worth"].claim is None  # which would be one right and one wrong
    assert "labels" not in advice_on(sound(0), sound(1))


def test_sentences_in_which_two_tags_are_confused_throughout_are_no_other_order() -> None:
    """Words of a sentence tell one thing together, and do not choose an order that they judge themselves."""
    rng, clear = np.random.default_rng(0), 0
    for _ in range(200):
        tags = rng.integers(0, 2, (12, 25))
        confused = rng.random((12, 1)) < 0.5
        answers = np.where(confused, 1 - tags, tags).flatten()
        held = Sample.of(4.0 * np.eye(3)[answers], tags.flatten(), np.repeat(np.arange(12), 25))
        clear += diagnose(held, held).order.clear
    assert clear == 0


def test_two_rare_classes_taken_for_each_other_are_no_other_order() -> None:
    found = sound(0, size=2000)
    labels = np.where(found.labels >= 4, 0, found.labels)
    labels[::40] = 4
    logits = np.where(np.eye(CLASSES)[labels], 6.0, 0.0) + np.random.default_rng(0).standard_normal((2000, CLASSES))
    logits[::40] = np.where(np.arange(CLASSES) == 5, 6.0, 0.0)  # always taken for a class that no example has
    shuffled = np.random.default_rng(1).permutation(2000)
    confused = Sample.of(logits[shuffled], labels[shuffled])
    order = diagnose(confused, confused).order
    assert order.right_as_meant > order.right > 0.9
    assert not order.clear
    assert "labels" not in advice_on(confused, confused)


def test_two_classes_have_neither_relations_nor_top_k() -> None:
    advice = advice_on(sound(0, classes=2), sound(1, classes=2))
    assert "top-k" not in advice
    assert "similarities" not in advice
    assert advice["relations"].sentence.startswith("Two classes have no relations")
    assert advice["relations"].claim is None  # an identity, which would be right for nothing


@pytest.mark.parametrize(("classes", "name"), [(2, "logits"), (3, "kd-pt")])
def test_a_teacher_as_sure_of_all_examples_tells_none_apart_whatever_the_probe(classes: int, name: str) -> None:
    """Its factors differ by what the probe knows alone."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, SIZE)
    p = 0.62 + 0.02 * rng.random(SIZE)
    rest = (1 - p) / (classes - 1)
    unsure = Sample.of_probabilities(np.where(np.eye(classes)[labels] > 0, p[:, None], rest[:, None]), labels)
    guess = np.log(rng.dirichlet(np.ones(classes), SIZE))
    advice = advice_on(unsure, unsure, probe=Probe(guess, guess), temperature=1.0)["instances"]
    assert advice.numbers["high"] - advice.numbers["low"] > 0.3
    assert advice.sentence.startswith("It is as sure of one example as of another. It gives the gold class 62.0% to 64")
    assert str(advice.claim) == f"{name} no better than label-smoothing"
    assert "kd-pt" not in advice.sentence or classes > 2


def test_of_two_classes_the_one_kind_to_take_is_logits() -> None:
    for held, train in ((sound(0, 2), sound(1, 2)), (sound(0, 2), certain(1))):
        advice = advice_on(held, train)
        assert "kd-pt" not in advice["instances"].sentence
        assert "kd-pt and kd-top-k are logits. Leave them out" in advice["relations"].sentence
        apart = advice["instances"].sentence.startswith("Its confidence tells examples apart")
        assert str(advice["instances"].claim) == ("logits better than label-smoothing" if apart else "None")
        assert apart == (train.confidence.min() < 0.99)


def certain(seed: int) -> Sample:
    """Of two classes, every label by heart."""
    labels = labels_of(seed, 2)
    return Sample.of(20.0 * np.eye(2)[labels], labels)


def test_of_three_classes_half_of_the_probabilities_is_one_not_all_of_them() -> None:
    advice = advice_on(sound(0, classes=3), sound(1, classes=3))
    assert advice["top-k"].sentence.startswith("Keep all 3 probabilities")
    assert claims(advice)["top-k"] == "kd-top-1 no better than logits"


def test_a_class_that_is_never_answered_is_named() -> None:
    held = sound(0)
    logits = held.logits.copy()
    logits[:, 2] = -20.0
    advice = advice_on(Sample.of(logits, held.labels), sound(1), labels=list("abcdef"))
    assert advice["classes"].sentence.startswith("Look at c: never an answer")


def test_class_similarities_are_told_where_they_are_given() -> None:
    def told(shares: np.ndarray) -> tuple[str, str]:
        wrong = shares * (1 - np.eye(CLASSES))
        likeness = wrong / wrong.sum(1, keepdims=True)
        advice = advice_on(sound(0), sound(1), likeness=likeness)["similarities"]
        return first_words(advice).partition(" of ")[0], str(advice.claim)

    next_one, over_next = (np.roll(np.eye(CLASSES), by, axis=1) for by in (1, 2))
    assert told(1 + 2 * next_one)[1] == "kd-pt-sim better than kd-pt"
    assert told(1 + over_next) == ("Similarities", "kd-pt-sim no better than kd-pt")
    assert told(1 + 0.3 * next_one) == ("Similarities", "None")
    assert "similarities" not in advice_on(sound(0), sound(1))


def test_a_calibrated_teacher_is_left_as_it_is() -> None:
    held = sound(0)
    best = diagnose(held, sound(1)).temperature.value
    calibrated = Sample.of(held.logits / best, held.labels)
    left = advice_on(calibrated, sound(1), temperature=1.0)["temperature"]
    assert left.sentence.startswith("Leave --temperature at 1: ")
    assert left.claim is None
    lowered = advice_on(calibrated, sound(1), temperature=2.0)["temperature"]
    assert lowered.sentence.startswith("Lower --temperature to 1 (now 2), at which")
    assert str(lowered.claim) == "logits@1 better than logits"


def test_samples_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="give two, of the same"):
        diagnose(sound(0, classes=3), sound(1, classes=4))
    with pytest.raises(ValueError, match="give two, of the same"):
        diagnose(sound(0, size=1), sound(1))
    with pytest.raises(ValueError, match="give two, of the same"):
        diagnose(Sample.of(sound(0).logits, sound(0).labels, np.zeros(SIZE)), sound(1))


@pytest.mark.parametrize("classes", [3, 17, 35])
def test_a_teacher_of_noise_is_hardly_ever_worth_distilling(classes: int) -> None:
    told = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        samples = [Sample.of(rng.normal(size=(300, classes)), rng.integers(classes, size=300)) for _ in range(2)]
        told.append(claims(advice_on(*samples))["worth"] == "logits better than gold")
    assert sum(told) <= 3


def test_a_temperature_is_advised_only_where_its_own_loss_is_lower() -> None:
    """Out of the range that is advised, its end may be worse than what is in use."""
    held = Sample.of(sound(0).logits * 4, sound(0).labels)  # best read at a temperature of 3 or so
    best = diagnose(held, sound(1)).temperature.value
    sharp = Sample.of(held.logits / best * 0.35, held.labels)  # best at 0.35, and worse at 1 than at 0.3
    assert advice_on(sharp, sound(1), temperature=0.3)["temperature"].claim is None
    flat = Sample.of(held.logits / best * 18, held.labels)
    assert advice_on(flat, sound(1), temperature=19.5)["temperature"].claim is None
    told = advice_on(held, sound(1), temperature=1.0)["temperature"]
    assert told.numbers["truer"] > 0.02
    assert told.sentence.startswith("Raise")


def test_relations_that_are_not_heard_are_not_to_be_shared_by_likeness() -> None:
    right = Sample.of(sound(1).logits + 6 * np.eye(CLASSES)[sound(1).labels], sound(1).labels)
    likeness = np.roll(np.eye(CLASSES), 1, axis=1)
    advice = advice_on(sound(0), right, temperature=1.0, likeness=likeness)
    assert "too little to be heard" in advice["relations"].sentence
    assert "similarities" not in advice
