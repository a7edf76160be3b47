"""Geometry of a student's output layer against a teacher's probabilities (Tang et al. 2020, arXiv 2002.03532)."""

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
    """Agreement of the output layer with the teacher's ranking of wrong classes, over a sample.

    By the theorem, a student that is distilled to its optimum at temperature 1, and whose output layer has rows w of
    equal norm and no bias, has its last state h nearer to w_i than to w_j if and only if p_i > p_j, for all classes i
    and j but the gold one. In practice layers have a bias and rows of unequal norm, so that `distances` may fall short
    of 1 at an optimum; `products` and `logits` separate that from a student that has not converged.

    Attributes:
        distances: Share of pairs for which the theorem holds, in [0, 1]; 0.5 by chance. 2 * share - 1 is Kendall's rank
            correlation. Ties count a half.
        products: The same by the inner products h·w, which ignores unequal norms.
        logits: The same by h·w + b, which ignores the bias, too, and is all that the loss requires.
        pairs: Number of pairs, without those where p_i = p_j.
        places: Number of texts or words.
        norm_spread: Standard deviation of the rows' norms over their mean; 0 where the theorem applies.
        bias_spread: Standard deviation of the biases over the mean standard deviation of a position's inner products;
            0 where the theorem applies, infinite where only biases differ.
    """

    distances: float
    products: float
    logits: float
    pairs: int
    places: int
    norm_spread: float
    bias_spread: float


def logit_geometry(distiller: Distiller, examples: int = EXAMPLES) -> Geometry:
    """Measure the student in its current state, without dropout, on a fixed sample of train.

    Args:
        distiller: The run, which also provides the teacher's probabilities.
        examples: Size of the sample.

    Raises:
        KselectError: There is no teacher that chooses among the student's classes, or the student's output layer does
            not give the scores of three or more classes.
    """
    student = distiller.student
    check_softmax(student.head.name)
    layer = output_layer(student.model)
    if layer.out_features < 3:
        raise KselectError("Logit geometry compares pairs of wrong classes, which takes three classes or more.")
    sample = fixed_sample(len(distiller.encoded("train")), examples)
    batches = np.array_split(sample, -(-len(sample) // distiller.training.batch_size))
    parts = [_outputs_of(distiller, layer, batch) for batch in batches]
    states, log_p, wrong = (torch.cat(columns) for columns in zip(*parts, strict=True))
    bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
    return geometry_of(states, layer.weight.detach(), bias, log_p, wrong)


@torch.no_grad()
def geometry_of(states: Tensor, weight: Tensor, bias: Tensor, log_p: Tensor, wrong: Tensor) -> Geometry:
    """Compute the geometry of N states under an output layer, in float64 on the CPU.

    Args:
        states: Input of the layer, `[N, D]`.
        weight: Of the layer, `[K, D]`.
        bias: Of the layer, `[K]`.
        log_p: The teacher's log-probabilities, or any increasing function of them, `[N, K]`.
        wrong: The classes that are compared, possible ones without the gold one, `[N, K]`.
    """
    h, w, b, log_p = (value.cpu().double() for value in (states, weight, bias, log_p))
    products = h @ w.T
    norms = w.norm(dim=1)
    nearness = torch.stack([2 * products - norms.square(), products, products + b])  # ‖h‖² is the same for all classes
    shares, pairs = concordance(nearness, log_p, wrong.cpu())
    distances, inner, logits = shares.tolist()
    return Geometry(
        distances,
        inner,
        logits,
        pairs,
        places=len(h),
        norm_spread=_ratio(norms.std(correction=0), norms.mean()),
        bias_spread=_ratio(b.std(correction=0), products.std(dim=1, correction=0).mean()),
    )


def _ratio(spread: Tensor, size: Tensor) -> float:
    """Return spread / size, and 0 for a spread of 0 even where the size is 0."""
    return float(spread / size) if spread > 0 else 0.0


def concordance(nearness: Tensor, p: Tensor, compared: Tensor) -> tuple[Tensor, int]:
    """Count the pairs of classes that measures order as p does.

    Args:
        nearness: M measures of K classes at N positions, `[M, N, K]`.
        p: Reference values, `[N, K]`.
        compared: Classes whose pairs count, `[N, K]`.

    Returns:
        For each measure the share of pairs in the order of p, `[M]`, where ties of the measure count a half, and NaN
        without any pair; and the number of pairs, without ties of p.
    """
    hits, pairs = torch.zeros(len(nearness), dtype=torch.float64), 0
    rows = max(1, PAIRS // p.size(1) ** 2)
    for start in range(0, len(p), rows):
        chunk = slice(start, start + rows)
        above = p[chunk, :, None] > p[chunk, None, :]
        above &= compared[chunk, :, None] & compared[chunk, None, :]
        pairs += int(above.sum())
        for i, measure in enumerate(nearness[:, chunk]):
            first, second = measure[:, :, None], measure[:, None, :]
            hits[i] += ((first > second) & above).sum() + 0.5 * ((first == second) & above).sum()
    return hits / (pairs or np.nan), pairs


def _outputs_of(distiller: Distiller, layer: nn.Linear, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
    """Return last states `[N, D]`, the teacher's log-probabilities `[N, K]` and the wrong classes `[N, K]`."""
    with _inputs_of(layer) as inputs:
        batch, student, teacher = distiller.model_outputs(indices)
    if teacher is None or teacher.answer.choices_of != student.answer.choices_of:
        raise KselectError("Logit geometry needs a teacher that chooses among the student's classes.")
    (states,) = inputs
    if "word_positions" in batch:
        states = states.gather(1, batch["word_positions"][..., None].expand(-1, -1, states.size(-1)))
    else:
        states = states[:, None]
    choices, teacher_choices = student.answer.choices, teacher.answer.choices
    gold = student.answer.right_choices(batch["labels"])
    classes = torch.arange(choices.scores.size(-1), device=gold.device)
    wrong = (classes != gold[..., None]) & (teacher_choices.scores > IMPOSSIBLE / 2)
    known = choices.mask & (gold >= 0)
    return states[known], teacher_choices.log_probabilities()[known], wrong[known]


@contextmanager
def _inputs_of(layer: nn.Linear) -> Iterator[list[Tensor]]:
    """Collect the inputs of a layer in each forward pass."""
    inputs: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda module, args: inputs.append(args[0].detach()))
    try:
        yield inputs
    finally:
        hook.remove()
