"""How a student's output layer is laid out, against a teacher's class probabilities (Tang et al. 2020, 2002.03532)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kselect.analysis.recording.gradient_rescaling import check_softmax
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import fixed_sample
from kselect.errors import KselectError
from kselect.models.heads import IMPOSSIBLE
from kselect.models.output_layer import output_layer

EXAMPLES = 200
PAIRS = 2**21  # pairs of classes that are compared at a time, to bound the memory


@dataclass(frozen=True)
class Geometry:
    """How often pairs of wrong classes lie as the teacher's probabilities p say, over a sample.

    The theorem: a student distilled to its optimum at temperature 1, whose output layer has rows w of one norm and no
    bias, has its last state h nearer to w_i than to w_j if and only if p_i > p_j, for all i and j but the true class.
    `distances` is the share of pairs for which that holds, in [0, 1]: 1 at such an optimum, 0.5 for a layer that knows
    nothing of the teacher; 2 · share - 1 is a rank correlation (Kendall's). Layers mostly have a bias, and rows of
    unequal norm, so that it may fall short at any optimum. Two more shares tell that apart from a student that has not
    followed: `products`, of pairs that the inner products h·w put in p's order, does not see unequal norms; `logits`,
    of those that h·w + b does, sees neither, and is all that training asks for. Pairs that lie equal count a half.

    pairs: how many were compared, those with p_i = p_j left out. places: at how many texts, or words. norm_spread:
    standard deviation of the rows' norms over their mean. bias_spread: standard deviation of the biases over that of a
    place's inner products; both are 0 where the theorem applies, and where nothing spreads. The second is infinite
    where biases differ and inner products do not.
    """

    distances: float
    products: float
    logits: float
    pairs: int
    places: int
    norm_spread: float
    bias_spread: float


def logit_geometry(distiller: Distiller, examples: int = EXAMPLES) -> Geometry:
    """Measure a student as it is now, without dropout, on so many training examples, always the same.

    The teacher's probabilities come from where those of training do.

    Raises:
        KselectError: there is no teacher, or it chooses among unlike things; a student whose output layer does not give
            the scores of three or more classes.
    """
    student = distiller.student
    check_softmax(student.head.name)
    layer = output_layer(student.model)
    if layer.out_features < 3:
        raise KselectError("Two classes have no pair of wrong ones: geometry is of three classes or more.")
    sample = fixed_sample(len(distiller.encoded("train")), examples)
    batches = np.array_split(sample, -(-len(sample) // distiller.training.batch_size))
    parts = [_look(distiller, layer, batch) for batch in batches]
    states, log_p, wrong = (torch.cat(columns) for columns in zip(*parts, strict=True))
    bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
    return geometry_of(states, layer.weight.detach(), bias, log_p, wrong)


@torch.no_grad()
def geometry_of(states: Tensor, weight: Tensor, bias: Tensor, log_p: Tensor, wrong: Tensor) -> Geometry:
    """Return the geometry of N states under an output layer, worked out in float64 on the CPU.

    Args:
        states: what the layer reads, `[N, D]`.
        weight: of the layer, `[K, D]`.
        bias: of the layer, `[K]`.
        log_p: the teacher's class probabilities, or anything that rises with them, `[N, K]`.
        wrong: which classes are compared: possible ones, the true one left out, `[N, K]`.
    """
    h, w, b, log_p = (value.cpu().double() for value in (states, weight, bias, log_p))
    products = h @ w.T
    norms = w.norm(dim=1)
    nearness = torch.stack([2 * products - norms.square(), products, products + b])  # ‖h‖² is the same for all classes
    shares, pairs = concordance(nearness, log_p, wrong.cpu())
    within = products.std(dim=1, correction=0).mean()
    distances, inner, logits = shares.tolist()
    return Geometry(
        distances,
        inner,
        logits,
        pairs,
        places=len(h),
        norm_spread=_over(norms.std(correction=0), norms.mean()),
        bias_spread=_over(b.std(correction=0), within),
    )


def _over(spread: Tensor, size: Tensor) -> float:
    """Return their ratio; 0 where nothing spreads, even over a size of 0."""
    return float(spread / size) if spread > 0 else 0.0


def concordance(nearness: Tensor, p: Tensor, compared: Tensor) -> tuple[Tensor, int]:
    """Return the share of pairs of classes that each measure of `nearness` orders as p does, `[M]`; and how many pairs.

    Pairs with equal p are left out; equal nearness counts a half. Without any pair a share is NaN.

    Args:
        nearness: M measures of K classes at N places, `[M, N, K]`.
        p: what they are held against, `[N, K]`.
        compared: classes whose pairs count, `[N, K]`.
    """
    hits, pairs = torch.zeros(len(nearness), dtype=torch.float64), 0
    rows = max(1, PAIRS // p.size(1) ** 2)
    for start in range(0, len(p), rows):
        few = slice(start, start + rows)
        above = p[few, :, None] > p[few, None, :]
        above &= compared[few, :, None] & compared[few, None, :]
        pairs += int(above.sum())
        for i, measure in enumerate(nearness[:, few]):
            one, other = measure[:, :, None], measure[:, None, :]
            hits[i] += ((one > other) & above).sum() + 0.5 * ((one == other) & above).sum()
    return hits / (pairs or np.nan), pairs


def _look(distiller: Distiller, layer: nn.Linear, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
    """Return last states `[N, D]`, the teacher's log-probabilities `[N, K]` and the wrong classes `[N, K]`."""
    with _inputs_of(layer) as inputs:
        batch, student, teacher = distiller.model_outputs(indices)
    if teacher is None or teacher.answer.choices_of != student.answer.choices_of:
        raise KselectError("Geometry is held against a teacher that chooses among the student's classes: give one.")
    (states,) = inputs
    if "word_positions" in batch:
        states = states.gather(1, batch["word_positions"][..., None].expand(-1, -1, states.size(-1)))
    else:
        states = states[:, None]
    choices, theirs = student.answer.choices, teacher.answer.choices
    right = student.answer.right_choices(batch["labels"])
    classes = torch.arange(choices.scores.size(-1), device=right.device)
    wrong = (classes != right[..., None]) & (theirs.scores > IMPOSSIBLE / 2)
    known = choices.mask & (right >= 0)
    return states[known], theirs.log_probabilities()[known], wrong[known]


@contextmanager
def _inputs_of(layer: nn.Linear) -> Iterator[list[Tensor]]:
    """Give what the layer reads in each forward pass."""
    found: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0].detach()))
    try:
        yield found
    finally:
        hook.remove()
