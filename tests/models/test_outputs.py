from __future__ import annotations

import pytest
import torch

from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.tasks.encoding import encode
from tests.tiny import tiny_classifier, tiny_task


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    task = tiny_task()
    return encode(task.splits["train"], tiny_classifier(task).tokenizer, 32).batch(range(6))


def test_only_what_is_needed_is_returned(batch: dict[str, torch.Tensor]) -> None:
    model = tiny_classifier(tiny_task()).model
    outputs = forward(model, batch, Needs(hidden_states=frozenset({0, 3})))
    assert set(outputs.hidden_states) == {0, 3}
    assert outputs.attentions == {}


def test_layers_are_counted_as_the_library_counts_them(batch: dict[str, torch.Tensor]) -> None:
    model = tiny_classifier(tiny_task()).model.eval()
    ours = forward(model, batch, Needs(frozenset({0, 2, 4}), frozenset({1, 4})))
    model.set_attn_implementation("eager")
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    theirs = model(**inputs, output_hidden_states=True, output_attentions=True)
    for layer in (0, 2, 4):
        torch.testing.assert_close(ours.hidden_states[layer], theirs.hidden_states[layer])
    for layer in (1, 4):
        torch.testing.assert_close(ours.attentions[layer], theirs.attentions[layer - 1])


def test_attention_is_taken_before_dropout_in_training_too(batch: dict[str, torch.Tensor]) -> None:
    model = tiny_classifier(tiny_task(), dropout=0.5).model.train()
    attentions = forward(model, batch, Needs(attentions=frozenset({1, 2, 3, 4}))).attentions
    for probabilities in attentions.values():
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(probabilities.shape[:-1]))
        padded_keys = (batch["attention_mask"] == 0)[:, None, None, :].expand_as(probabilities)
        assert probabilities[padded_keys].abs().max() == 0


def test_both_kernels_give_the_same_logits(batch: dict[str, torch.Tensor]) -> None:
    model = tiny_classifier(tiny_task()).model.eval()
    fused = forward(model, batch, Needs()).logits
    explicit = forward(model, batch, Needs(attentions=frozenset({1}))).logits
    torch.testing.assert_close(fused, explicit)


def test_needs_add_up() -> None:
    one, other = Needs(frozenset({1}), frozenset({2})), Needs(frozenset({3}))
    assert Needs.union([one, other]) == Needs(frozenset({1, 3}), frozenset({2}))
    assert Needs.union([]) == Needs()


def test_attention_stays_in_full_precision_where_models_run_in_half(batch: dict[str, torch.Tensor]) -> None:
    model = tiny_classifier(tiny_task()).model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = forward(model, batch, Needs(attentions=frozenset({2}), queries=frozenset({2})))
    assert outputs.queries[2].dtype == torch.bfloat16
    probabilities = outputs.attentions[2]
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(probabilities.shape[:-1]))
