"""Every architecture: what it takes, what it gives, and how it is shrunk, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, XLNetTokenizer

from kselect.errors import KselectError
from kselect.models.architecture import positions
from kselect.models.attention import attention_with_matrices
from kselect.models.classifier import Classifier, input_length
from kselect.models.loading import load_classifier, load_encoder
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.models.shrink import shrink
from kselect.tasks.encoding import encode
from tests.architectures import CONFIGS, HIDES_ATTENTION, POSITIONS, SHOWS_ATTENTION, UNTOLD, classifier, tokenizer
from tests.tiny import save_encoder, tiny_task

LAYERS = frozenset({1, 2, 3, 4})
EVERYTHING = Needs(frozenset({0, *LAYERS}), LAYERS, LAYERS, LAYERS, LAYERS, LAYERS)
TOKEN_TYPES = (
    *("bert", "electra", "albert", "roberta", "xlm-roberta", "mobilebert", "camembert", "data2vec-text", "ernie"),
    *(
        "ibert",
        "megatron-bert",
        "nomic_bert",
        "roformer",
        "squeezebert",
    ),
)
FROM_PADDING = ("roberta", "xlm-roberta", "mpnet", "camembert", "data2vec-text", "i-bert", "xlm-roberta-xl")
"""Architectures that number positions from behind the padding index, here 1."""
every_architecture = pytest.mark.parametrize("architecture", CONFIGS)


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    return encode(tiny_task("synthetic-entailment").splits["train"], tokenizer(), 32).batch(range(6))


def made(architecture: str) -> Classifier:
    return classifier(architecture, tiny_task("synthetic-entailment"))


def plain(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The entries of a batch that the model's own tokenizer would have made."""
    names = ["input_ids", "attention_mask"]
    if model.config.model_type in TOKEN_TYPES:
        names.append("token_type_ids")
    return {name: batch[name] for name in names}


@every_architecture
def test_hidden_states_and_logits_are_the_librarys(architecture: str, batch: dict[str, torch.Tensor]) -> None:
    model = made(architecture).model.eval()
    ours = forward(model, batch, Needs(hidden_states=frozenset({0, 2, 4})))
    theirs = model(**plain(model, batch), output_hidden_states=True)
    torch.testing.assert_close(ours.logits, theirs.logits)
    for layer, states in ours.hidden_states.items():
        torch.testing.assert_close(states, theirs.hidden_states[layer])


@every_architecture
def test_padding_changes_nothing(architecture: str) -> None:
    model = made(architecture).model.eval()
    examples = encode(tiny_task("synthetic-entailment").splits["train"], tokenizer(), 32)
    short, long = int(examples.lengths.argmin()), int(examples.lengths.argmax())
    assert examples.lengths[short] < examples.lengths[long]
    needs = Needs(hidden_states=frozenset({4}))
    alone = forward(model, examples.batch([short], pad_to_multiple_of=1), needs)
    beside = forward(model, examples.batch([short, long], pad_to_multiple_of=1), needs)
    torch.testing.assert_close(alone.logits[0], beside.logits[0], rtol=1e-4, atol=1e-5)
    states = beside.hidden_states[4][0, : examples.lengths[short]]
    # MobileBERT has no norm that bounds its states: they grow to hundreds, and rounding with them, layer by layer.
    rounding = 3e-4 * float(states.abs().max()) if architecture == "mobilebert" else 1e-5
    torch.testing.assert_close(alone.hidden_states[4][0], states, rtol=1e-4, atol=rounding)


@pytest.mark.parametrize("architecture", ["convbert", "nystromformer"])
def test_padding_reaches_some_answers(architecture: str) -> None:
    """Their convolutions do not know of it, so they are not among those that docs/knowledge.md lists."""
    model = UNTOLD[architecture](tiny_task("synthetic-entailment")).model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    examples = encode(tiny_task("synthetic-entailment").splits["train"], tokenizer(), 32)
    alone, padded = (
        forward(model, examples.batch([0], pad_to_multiple_of=multiple), Needs()).logits for multiple in (1, 32)
    )
    assert (alone - padded).abs().max() > 1e-5


@pytest.mark.parametrize("architecture", SHOWS_ATTENTION)
def test_what_is_read_inside_the_attention_fits_together(architecture: str, batch: dict[str, torch.Tensor]) -> None:
    model = made(architecture).model.eval()
    inside = forward(model, batch, EVERYTHING)
    model.set_attn_implementation("eager")
    theirs = model(**plain(model, batch), output_attentions=True)
    real = batch["attention_mask"][:, None, :, None].bool()
    for layer in LAYERS:
        torch.testing.assert_close(inside.attentions[layer] * real, theirs.attentions[layer - 1] * real)
        size = 4 if architecture == "mobilebert" else 8  # its layers are narrower inside
        scores = inside.queries[layer] @ inside.keys[layer].transpose(2, 3) / size**0.5
        torch.testing.assert_close(inside.attention_scores[layer], scores)
        attended = inside.attentions[layer] > 0  # neither padding nor beyond a window
        softmax = scores.masked_fill(~attended, -torch.inf).softmax(-1)
        torch.testing.assert_close(softmax * real, inside.attentions[layer] * real)
        assert inside.values[layer].shape == (6, 2, batch["input_ids"].size(1), size)


@pytest.mark.parametrize("architecture", SHOWS_ATTENTION)
def test_reading_changes_nothing(architecture: str, batch: dict[str, torch.Tensor]) -> None:
    model = made(architecture).model.eval()
    fused = forward(model, batch, Needs())
    projections = forward(model, batch, Needs(queries=LAYERS))
    assert torch.equal(fused.logits, projections.logits)
    torch.testing.assert_close(fused.logits, forward(model, batch, EVERYTHING).logits)
    only = forward(model, batch, Needs(values=frozenset({2})))
    assert set(only.values) == {2}
    assert not only.queries
    assert not only.attentions
    assert not only.hidden_states


@pytest.mark.parametrize("architecture", SHOWS_ATTENTION)
def test_attention_is_taken_before_dropout_in_training_too(architecture: str, batch: dict[str, torch.Tensor]) -> None:
    model = made(architecture).model.train()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Dropout) and "attention" in name:
            module.p = 0.5
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.5
    for attentions in forward(model, batch, Needs(attentions=LAYERS)).attentions.values():
        torch.testing.assert_close(attentions.sum(-1), torch.ones(attentions.shape[:-1]))
    model.set_attn_implementation("eager")
    dropped = model(**plain(model, batch), output_attentions=True).attentions[0]
    assert (dropped.sum(-1) - 1).abs().max() > 0.1


@pytest.mark.parametrize("architecture", HIDES_ATTENTION)
@pytest.mark.parametrize("kind", ["attentions", "attention_scores", "queries", "keys", "values"])
def test_an_attention_that_cannot_be_read_is_refused(
    architecture: str, kind: str, batch: dict[str, torch.Tensor]
) -> None:
    with pytest.raises(KselectError, match=r"which .* does not return before dropout"):
        forward(made(architecture).model, batch, Needs(**{kind: frozenset({1})}))


@every_architecture
def test_the_longest_input_is_taken(architecture: str) -> None:
    made_ = made(architecture)
    longest = POSITIONS - 2 if architecture in FROM_PADDING else POSITIONS
    assert positions(made_.model) == longest
    assert input_length(made_, None) == longest
    with pytest.raises(KselectError, match=f"the model takes {longest} tokens"):
        input_length(made_, longest + 1)
    words = {"input_ids": torch.full((2, longest), 7), "attention_mask": torch.ones(2, longest, dtype=torch.long)}
    assert forward(made_.model, words, Needs()).logits.isfinite().all()


@every_architecture
@pytest.mark.parametrize("layers", [2, [2, 4], [1, 4]])
def test_a_shrunk_student_loads_in_plain_transformers(
    architecture: str, layers: int | list[int], batch: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    teacher = made(architecture)
    if architecture == "albert" and not isinstance(layers, int):
        with pytest.raises(KselectError, match="the layers of albert share their weights: give how many to keep"):
            shrink(teacher, layers)
        return
    student = shrink(teacher, layers)
    assert student.layers == 2
    assert teacher.layers == 4
    student.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    logits = loaded(**plain(loaded, batch)).logits
    torch.testing.assert_close(logits, forward(student.model, batch, Needs()).logits)


@every_architecture
def test_all_layers_give_the_teachers_logits(architecture: str, batch: dict[str, torch.Tensor]) -> None:
    teacher = made(architecture)
    teacher.model.eval()
    copy = shrink(teacher, 4)
    assert torch.equal(forward(copy.model, batch, Needs()).logits, forward(teacher.model, batch, Needs()).logits)


def test_fewer_rounds_of_a_shared_layer(batch: dict[str, torch.Tensor]) -> None:
    teacher = made("albert")
    teacher.model.eval()
    student = shrink(teacher, 3)
    states = forward(student.model, batch, Needs(hidden_states=frozenset({3}))).hidden_states[3]
    torch.testing.assert_close(
        states, forward(teacher.model, batch, Needs(hidden_states=frozenset({3}))).hidden_states[3]
    )


def test_layers_keep_their_reach(batch: dict[str, torch.Tensor]) -> None:
    teacher = made("modernbert")
    assert teacher.model.config.layer_types[1:3] == ["sliding_attention", "sliding_attention"]
    student = shrink(teacher, [1, 2])
    assert student.model.config.layer_types == ["full_attention", "sliding_attention"]
    ours, theirs = (
        forward(one.model.eval(), batch, Needs(attentions=frozenset({1, 2}))).attentions for one in (student, teacher)
    )
    for layer in (1, 2):
        torch.testing.assert_close(ours[layer], theirs[layer])


@every_architecture
def test_an_encoder_gets_a_new_head(architecture: str, tmp_path: Path) -> None:
    trained = made(architecture)
    trained.save_pretrained(tmp_path)
    task = tiny_task()
    one, again, other = (load_encoder(tmp_path, task, seed=seed).model.state_dict() for seed in (3, 3, 4))
    prefix = trained.model.base_model_prefix + "."
    former = trained.model.state_dict()
    for name, value in one.items():
        assert torch.equal(value, again[name]), name
        if name.startswith(prefix):
            assert torch.equal(value, former[name]), name
    drawn = [name for name in one if not name.startswith(prefix) and one[name].ndim == 2]
    assert drawn
    for name in drawn:
        assert not torch.equal(one[name], other[name]), name
        assert one[name].std() < 0.1 < former[name].std(), name


@every_architecture
def test_a_teacher_is_loaded_and_an_untrained_one_refused(architecture: str, tmp_path: Path) -> None:
    task, trained = tiny_task("synthetic-entailment"), made(architecture)
    trained.save_pretrained(tmp_path / "whole")
    loaded = load_classifier(tmp_path / "whole", task)
    before, after = trained.model.state_dict(), loaded.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    save_encoder(trained, tmp_path / "encoder")
    with pytest.raises(KselectError, match=r"is not fine-tuned: .* would be random"):
        load_classifier(tmp_path / "encoder", task)


@pytest.mark.parametrize("kind", ["attentions", "queries", "hidden_states"])
def test_forward_refuses_layers_that_cannot_be_identified(kind: str, batch: dict[str, torch.Tensor]) -> None:
    """ALBERT may run several layers for each that its config counts."""
    nested = made("albert").model.config
    nested.inner_group_num = 2
    model = type(made("albert").model)(nested).eval()
    assert forward(model, batch, Needs()).logits.isfinite().all()
    with pytest.raises(KselectError, match=r"This albert returns [48] layers where its config has 4"):
        forward(model, batch, Needs(**{kind: frozenset({2})}))


def test_what_an_architecture_does_not_give_is_refused_by_name(batch: dict[str, torch.Tensor]) -> None:
    bart = UNTOLD["bart"](tiny_task()).model.eval()
    assert forward(bart, batch, Needs()).logits.isfinite().all()
    with pytest.raises(KselectError, match="This bart returns no hidden states: offer only kinds that read logits"):
        forward(bart, batch, Needs(hidden_states=frozenset({1})))


def test_a_tokenizer_that_pads_on_the_left_is_refused() -> None:
    pieces = [(piece, 0.0) for piece in ("<unk>", "<s>", "</s>", "<pad>", "<sep>", "<cls>", "the")]
    with pytest.raises(KselectError, match="XLNetTokenizer pads on the left, which its model expects"):
        encode(tiny_task().splits["dev"], XLNetTokenizer(vocab=pieces), 32)


def test_an_input_is_as_long_as_is_asked_where_the_model_sets_no_limit() -> None:
    xlnet = UNTOLD["xlnet"](tiny_task())
    assert positions(xlnet.model) is None
    assert input_length(xlnet, None) == 128
    assert input_length(xlnet, 300) == 300


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("esm", "esm.contact_head.regression.weight does not fit fewer layers"),
        ("longformer", "config does not fit fewer layers: .*attention_window"),
    ],
)
def test_what_would_not_load_again_is_not_shrunk(architecture: str, message: str) -> None:
    with pytest.raises(KselectError, match=message):
        shrink(UNTOLD[architecture](tiny_task()), 2)


def test_shared_keys_are_attended_as_the_fused_kernel_does() -> None:
    """Fewer keys and values than queries, as in grouped attention."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, heads, 5, 3, generator=generator) for heads in (4, 2, 2))
    module = torch.nn.Module()
    output, probabilities = attention_with_matrices(module, query, key, value, None)
    fused = torch.nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)
    torch.testing.assert_close(output, fused.transpose(1, 2))
    assert probabilities.shape == (2, 4, 5, 5)
