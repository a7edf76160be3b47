"""Against other libraries, each of which skips where it is not installed; and the benchmark that times them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from inference import PEERS, Chain, Kselect, load, tag_marginals
from torch import Tensor

from kselect.structure import LinearChain, SpanSets

ROOT = Path(__file__).parents[2]
LENGTHS = torch.tensor([7, 3, 5, 2])
MASK = torch.arange(7) < LENGTHS[:, None]
CLOSE: dict[str, Any] = {"atol": 1e-4, "rtol": 1e-5}  # torch-struct adds 1e-5 to every weight of a matrix of arcs

MODULES = {"torch-struct": "torch_struct", "supar": "supar", "pytorch-crf": "torchcrf"}
both = pytest.mark.parametrize("name", ["torch-struct", "supar"])


def peer(name: str) -> Any:
    """Load a peer, or skip with the reason why it cannot be had."""
    pytest.importorskip(
        {"pytorch-crf": "torchcrf"}.get(name, name.replace("-", "_")), reason=f"{name} is another library"
    )
    found = load(name)
    if isinstance(found, str):
        pytest.skip(found)
    return found


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def draw_chain(seed: int, tags: int = 4) -> Chain:
    shapes = ((*MASK.shape, tags), (tags, tags), (tags,), (tags,))
    return Chain(*(draw(seed + number, *shape).requires_grad_() for number, shape in enumerate(shapes)))


@both
def test_the_loss_of_a_chain_and_its_gradients_are_the_same(name: str) -> None:
    library, student = peer(name), draw_chain(10)
    teacher = Chain(*(each.detach() for each in draw_chain(0)))
    ours, theirs = (each.chain_loss(teacher, student, MASK) for each in (Kselect(), library))
    torch.testing.assert_close(ours, theirs, **CLOSE)
    for one, other in zip(torch.autograd.grad(ours, student), torch.autograd.grad(theirs, student), strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@both
@pytest.mark.parametrize("kind", ["nonprojective", "projective"])
def test_log_partition_and_marginals_of_trees_are_the_same(name: str, kind: str) -> None:
    scores = draw(0, *MASK.shape, 1 + MASK.size(1))
    found = []
    for library in (Kselect(), peer(name)):
        sums = getattr(library, kind)(library.arcs(scores), MASK)
        *values, marginals = sums if isinstance(sums, tuple) else (sums,)
        found.append([*values, library.heads(marginals) * MASK[..., None]])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_pytorch_crf_has_the_same_likelihood_and_gradient() -> None:
    library, chain = peer("pytorch-crf"), draw_chain(0)
    labels = torch.randint(4, MASK.shape, generator=torch.Generator().manual_seed(0))
    theirs = library.model(chain)(chain.emissions, labels, MASK, reduction="none")
    ours = LinearChain(chain.emissions, chain.transitions, MASK, chain.start, chain.end).log_prob(labels)
    torch.testing.assert_close(ours, theirs, **CLOSE)
    one, other = (torch.autograd.grad(each.sum(), chain.emissions)[0] for each in (ours, theirs))
    torch.testing.assert_close(one, other, **CLOSE)


def test_loops_have_the_same_tag_marginals_as_span_sets() -> None:
    scores = draw(0, *MASK.shape, MASK.size(1), 2)
    found = SpanSets(scores, MASK).tag_marginals()
    for row, length in enumerate(LENGTHS.tolist()):
        listed = torch.tensor(tag_marginals(scores[row].tolist(), length))
        torch.testing.assert_close(found[row, :length], listed, **CLOSE)


def test_a_peer_that_is_not_there_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "no-such-library", PEERS["supar"])
    assert load("no-such-library") == "no-such-library is not installed"


@pytest.mark.slow
def test_a_quick_look_writes_its_table_and_set_up(tmp_path: Path) -> None:
    path = tmp_path / "structure.json"
    words = [sys.executable, "benchmarks/structure.py", "--quick", "--json", str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    output = subprocess.run(words, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    result = json.loads(path.read_text())
    assert result["table"]["title"] in output
    assert all(len(row) == len(result["table"]["columns"]) for row in result["table"]["rows"])
    assert {"threads", "processor", "torch", "commit", "rounds", "peers"} <= result["setup"].keys()
    for name in PEERS.keys() - result["setup"]["peers"].keys():
        assert any(row[0].startswith(name) for row in result["table"]["rows"])
