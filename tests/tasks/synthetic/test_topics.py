from __future__ import annotations

from random import Random

import pytest

from kselect.tasks.synthetic.topics import Topics

SMALL = Topics(fields=2, per_field=2, own=(1, 2), shared=(0, 3), common=2, own_words=2, field_words=3, common_words=4)


def test_topics_are_named_by_their_field() -> None:
    assert SMALL.labels == ("a1", "a2", "b1", "b2")
    own = ("a1w0", "a1w1", "a2w0", "a2w1", "b1w0", "b1w1", "b2w0", "b2w1")
    assert SMALL.vocabulary() == (*own, "aw0", "aw1", "aw2", "bw0", "bw1", "bw2", "w0", "w1", "w2", "w3")


@pytest.mark.parametrize("label", range(4))
def test_a_text_has_words_of_its_topic_its_field_and_none(label: int) -> None:
    random, topic, numbers = Random(label), SMALL.labels[label], set()
    for _ in range(200):
        text, second = SMALL.text(random, label)
        assert second is None
        belonging = [word.partition("w")[0] for word in text.split()]
        assert set(text.split()) <= set(SMALL.vocabulary())
        assert set(belonging) <= {topic, topic[0], ""}
        numbers.add((belonging.count(topic), belonging.count(topic[0]), belonging.count("")))
    assert numbers == {(own, shared, 2) for own in (1, 2) for shared in (0, 3)}
