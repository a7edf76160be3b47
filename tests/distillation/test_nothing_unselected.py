"""What is not selected is not computed, not held, and changes nothing: counted on real steps of real models."""

from __future__ import annotations

import traceback
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.masking_utils import bidirectional_mask_function

from kselect.config import TEXT_KNOWLEDGE, KnowledgeConfig, TrainingConfig
from kselect.config.knowledge import WEIGHTINGS
from kselect.distillation.distiller import Distiller
from kselect.models.attention import readable_mask
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.models.shrink import shrink
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task
from tests.words import POSITIONS, task_for, word_classifier

TEACHER_LAYERS, STUDENT_LAYERS = 4, 2


class Operations(TorchDispatchMode):
    """Every operation that tensors go through, backward and update included, with the shape of its result."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        self.seen.append(f"{operation} {tuple(result.shape) if isinstance(result, Tensor) else ''}")
        return result


class FusedAttention(TorchFunctionMode):
    """How often the fused kernel is called."""

    calls = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += function is nn.functional.scaled_dot_product_attention
        return function(*args, **(kwargs or {}))


class NothingWaitsForTheDevice(TorchDispatchMode):
    """Fails where an accelerator would have to be waited for, since Python, or a shape, depends on a value.

    What reads one value (`item`, `bool`, `float`) arrives here as `_local_scalar_dense`. A copy to the host cannot be
    seen here, where all is on the host: `Readings` counts those that are asked for by name.
    """

    WAITING = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2", "unique_dim")

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation._schema.name.removeprefix("aten::")
        if name in self.WAITING:
            # Whether a batch has padding is looked at on a CPU alone, see readable_mask and its test.
            callers = [frame.f_code.co_filename for frame, _ in traceback.walk_stack(None)]
            assert any(caller.endswith("masking_utils.py") for caller in callers), name
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            assert all(index is None or index.dtype != torch.bool for index in args[1]), name
        return operation(*args, **(kwargs or {}))


class Readings(TorchFunctionMode):
    """Counts the calls that bring a whole tensor to the host, `to("cpu")` apart, which `to(device)` is here as well."""

    calls = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += function in (Tensor.cpu, Tensor.tolist)
        return function(*args, **(kwargs or {}))


def live(**knowledge: Any) -> Distiller:
    return tiny_distiller({"teacher_cache": 0, **knowledge}, epochs=20)


def selection(distiller: Distiller, *names: str) -> list[float]:
    return [float(name in names) for name in distiller.names]


def weights(distiller: Distiller) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in distiller.student.model.state_dict().items()}


@contextmanager
def layers_alive(model: nn.Module) -> Iterator[Callable[[], list[int]]]:
    """Tell which layers' outputs are still held by anybody, layers counted from 1."""
    held: dict[int, weakref.ref[Tensor]] = {}

    def remember(number: int) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            held[number] = weakref.ref(output[0] if isinstance(output, tuple) else output)

        return hook

    layers = model.get_submodule("bert.encoder.layer").children()
    hooks = [layer.register_forward_hook(remember(number)) for number, layer in enumerate(layers, 1)]
    yield lambda: [number for number, output in held.items() if output() is not None]
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("needs", [frozenset(), frozenset({2}), frozenset({1, 4})])
def test_forward_holds_no_unread_hidden_states(needs: frozenset[int]) -> None:
    task = tiny_task()
    teacher = tiny_classifier(task).model.eval()
    batch = tiny_distiller().encoded("train").batch(range(8))
    with layers_alive(teacher) as alive, torch.no_grad():
        outputs = forward(teacher, batch, Needs(hidden_states=needs))
        assert alive() == sorted(needs)
        del outputs
        assert alive() == []


@pytest.mark.parametrize(
    ("names", "layer_map", "fused"),
    [
        (("gold",), "uniform", STUDENT_LAYERS),
        (("logits",), "uniform", STUDENT_LAYERS + TEACHER_LAYERS),
        (("hidden", "relations", "value-relations"), "uniform", STUDENT_LAYERS + TEACHER_LAYERS),
        (("gold", "latent-trees"), "uniform", STUDENT_LAYERS + TEACHER_LAYERS),
        (("gold", "attention"), "uniform", TEACHER_LAYERS - 2),
        (("gold", "attention"), "last", STUDENT_LAYERS - 1 + TEACHER_LAYERS - 1),
        (("gold", "attention-scores"), "last", STUDENT_LAYERS - 1 + TEACHER_LAYERS - 1),
    ],
)
def test_forward_fuses_attention_without_unread_matrices(names: tuple[str, ...], layer_map: str, fused: int) -> None:
    distiller = live(knowledge=list(TEXT_KNOWLEDGE), layer_map=layer_map)
    distiller.reset(0)
    with FusedAttention() as counted:
        distiller.advance(selection(distiller, *names), 3)
    assert counted.calls == 3 * fused


@pytest.mark.parametrize("selected", ["gold", "logits", "hidden", "attention", "value-relations", "latent-trees"])
def test_advance_unselected_knowledge_adds_no_operation(selected: str) -> None:
    seen = []
    for offered in ({"gold", selected}, TEXT_KNOWLEDGE):
        distiller = live(knowledge=sorted(offered))
        distiller.reset(0)
        with Operations() as operations:
            distiller.advance(selection(distiller, selected), 2)
        seen.append(Counter(operations.seen))
    assert seen[0] == seen[1]
    assert seen[0]["aten._fused_adamw_.default "] > 0  # backward and update were seen, too


def test_advance_unselected_knowledge_changes_no_bit() -> None:
    """Also where it has projections, which are then never learned, and whatever the teacher's width."""
    task = tiny_task()
    students = []
    for offered in (["gold", "logits"], list(TEXT_KNOWLEDGE)):
        teacher, student = tiny_classifier(task, hidden_size=24), shrink(tiny_classifier(task, seed=1), 2)
        settings = TrainingConfig(batch_size=8, epochs=2, learning_rate=1e-3, precision="fp32")
        config = KnowledgeConfig(knowledge=offered, layer_map="uniform")
        distiller = Distiller(task, teacher, student, settings, config, max_length=32)
        distiller.reset(3)
        distiller.advance(selection(distiller, "gold"), 3)
        distiller.advance(selection(distiller, "gold", "logits"), 8)
        students.append(weights(distiller))
    assert all(torch.equal(students[0][name], students[1][name]) for name in students[0])


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("memory", [0.0, 1.0], ids=["live", "cached"])
def test_advance_does_not_synchronise(weighting: str, memory: float) -> None:
    distiller = tiny_distiller(
        {"knowledge": list(TEXT_KNOWLEDGE), "weighting": weighting, "teacher_cache": memory},
        accumulation=2,
        epochs=20,
    )
    distiller.reset(0)
    everything = [1.0] * len(distiller.names)
    distiller.advance(everything, 1)  # the canonical pass, which fills the cache, may wait
    with NothingWaitsForTheDevice(), Readings() as readings:
        distiller.advance(everything, 2)
    assert readings.calls == 1


@pytest.mark.parametrize("head", ["tagger", "parser", "tree-tagger"])
def test_advance_of_words_does_not_synchronise(head: str) -> None:
    training = TrainingConfig(batch_size=8, epochs=20, precision="fp32", accumulation=2)
    teacher, student = word_classifier(head), word_classifier(head, seed=1)
    distiller = Distiller(task_for(head), teacher, student, training, max_length=POSITIONS)
    distiller.reset(0)
    everything = [1.0] * len(distiller.names)
    distiller.advance(everything, 1)
    with NothingWaitsForTheDevice(), Readings() as readings:
        distiller.advance(everything, 2)
    assert readings.calls == 1


def test_synchronisation_is_detected() -> None:
    values = torch.arange(3.0)
    looks: list[Callable[[], Any]] = [
        lambda: values[0].item(),
        lambda: bool(values[0] > 1),
        lambda: values[values > 1],
        lambda: values.unique(),
        lambda: values.nonzero(),
    ]
    for look in looks:
        with pytest.raises(AssertionError), NothingWaitsForTheDevice():
            look()
    with Readings() as readings:
        values.cpu()
        values.tolist()
    assert readings.calls == 2


@pytest.mark.parametrize("padded", [False, True])
def test_readable_mask_is_checked_only_on_the_cpu(padded: bool) -> None:
    def mask(device: str) -> Tensor | None:
        padding = torch.ones(2, 4, dtype=torch.bool)
        padding[1, 3] = not padded
        return readable_mask(
            batch_size=2,
            q_length=4,
            kv_length=4,
            mask_function=bidirectional_mask_function,
            attention_mask=padding.to(device),
            allow_is_causal_skip=False,
            allow_is_bidirectional_skip=True,
            device=device,
        )

    assert (mask("cpu") is None) == (not padded)
    elsewhere = mask("meta")  # whose values nobody can look at
    assert elsewhere is not None
    assert elsewhere.shape == (2, 1, 4, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("memory", [0.0, 1.0], ids=["live", "cached"])
def test_advance_synchronises_with_cuda_once(weighting: str, memory: float) -> None:
    distiller = tiny_distiller(
        {"knowledge": list(TEXT_KNOWLEDGE), "weighting": weighting, "teacher_cache": memory},
        accumulation=2,
        epochs=20,
    )
    distiller.reset(0)
    everything = [1.0] * len(distiller.names)
    distiller.advance(everything, 2)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            distiller.advance(everything, 3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [str(warning.message) for warning in caught if "synchronizing" in str(warning.message)]
    assert len(waits) == 1, waits
