"""The same inference over structures by kselect, torch-struct, supar and pytorch-crf, each in its own layout.

A library takes scores as it wants them (`arcs`, before the clock starts) and returns its own tensors, which `heads`
puts into kselect's layout to be compared. The loss of a chain is the cross-entropy of a student under a teacher, summed
over the batch, the teacher's marginals included. torch-struct and supar compute it as log-partition less expected
score, with the marginals by their own backward pass: both also have a `cross_entropy`, which is slower. torch-struct
wants a score for each pair of labels at each position; making these of emissions and transitions is part of its work,
since the gradient goes back through it. Optional libraries are imported only when they are loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kselect.structure import LinearChain, NonProjectiveTrees, ProjectiveTrees, cross_entropy

Table = Sequence[Sequence[Sequence[float]]]


class Chain(NamedTuple):
    """Scores of a linear chain: `[B, n, L]`, `[L, L]` (a label, second axis, right after another), `[L]` and `[L]`."""

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor


class Kselect:
    """kselect itself."""

    def chain_loss(self, teacher: Chain, student: Chain, mask: Tensor) -> Tensor:
        """Return the cross-entropy."""
        one, other = (LinearChain(each[0], each[1], mask, *each[2:]) for each in (teacher, student))
        return cross_entropy(one, other).sum()

    def arcs(self, scores: Tensor) -> Tensor:
        """Return the scores `[B, n, 1 + n]` as they are."""
        return scores

    def heads(self, marginals: Tensor) -> Tensor:
        """Return the marginals as they are."""
        return marginals

    def nonprojective(self, arcs: Tensor, mask: Tensor) -> Tensor:
        """Return the marginals of all trees with one root."""
        return NonProjectiveTrees(arcs, mask).marginals

    def projective(self, arcs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-partition and the marginals of trees without crossing arcs."""
        trees = ProjectiveTrees(arcs, mask)
        return trees.log_partition, trees.marginals


class TorchStruct:
    """torch-struct: heads down, dependents across, and the root on the diagonal."""

    def __init__(self) -> None:
        self.module = import_module("torch_struct")

    def chain_loss(self, teacher: Chain, student: Chain, mask: Tensor) -> Tensor:
        """Return the cross-entropy."""
        lengths = mask.sum(1)
        one, other = (self.module.LinearChainCRF(_pairs(each, lengths), lengths) for each in (teacher, student))
        return other.partition.sum() - (one.marginals.detach() * other.log_potentials).sum()

    def arcs(self, scores: Tensor) -> Tensor:
        """Return the scores in its layout; it writes into those that need no gradient."""
        tokens = scores[..., 1:].transpose(1, 2).clone()
        tokens.diagonal(dim1=1, dim2=2).copy_(scores[..., 0])
        return tokens.requires_grad_()

    def heads(self, marginals: Tensor) -> Tensor:
        """Return the marginals in kselect's layout."""
        root = marginals.diagonal(dim1=1, dim2=2)
        return torch.cat([root[..., None], (marginals - torch.diag_embed(root)).transpose(1, 2)], -1)

    def nonprojective(self, arcs: Tensor, mask: Tensor) -> Tensor:
        """Return the marginals of all trees with one root."""
        with torch.no_grad():
            return self.module.NonProjectiveDependencyCRF(arcs, mask.sum(1), multiroot=False).marginals

    def projective(self, arcs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-partition and the marginals of trees without crossing arcs."""
        trees = self.module.DependencyCRF(arcs, mask.sum(1), multiroot=False)
        return trees.partition, trees.marginals


class Supar:
    """supar: the root before the tokens, as a head and as a dependent; start and end as one more label."""

    def __init__(self) -> None:
        self.module = import_module("supar")

    def chain_loss(self, teacher: Chain, student: Chain, mask: Tensor) -> Tensor:
        """Return the cross-entropy."""
        lengths = mask.sum(1)
        scores = (teacher.emissions.detach().requires_grad_(), _bordered(teacher).detach().requires_grad_())
        one = self.module.LinearChainCRF(*scores, lengths)
        labels, moves = torch.autograd.grad(one.log_partition.sum(), scores)
        other = self.module.LinearChainCRF(student.emissions, _bordered(student), lengths)
        return other.log_partition.sum() - (labels * other.scores).sum() - (moves * other.trans).sum()

    def arcs(self, scores: Tensor) -> Tensor:
        """Return the scores in its layout."""
        return torch.nn.functional.pad(scores, (0, 0, 1, 0))

    def heads(self, marginals: Tensor) -> Tensor:
        """Return the marginals in kselect's layout."""
        return marginals[:, 1:]

    def nonprojective(self, arcs: Tensor, mask: Tensor) -> Tensor:
        """Return the marginals of all trees with one root."""
        return self.module.MatrixTree(arcs, mask.sum(1)).marginals

    def projective(self, arcs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-partition and the marginals of trees without crossing arcs."""
        trees = self.module.DependencyCRF(arcs, mask.sum(1))
        return trees.log_partition, trees.marginals


class PytorchCRF:
    """pytorch-crf, which has no marginals: a chain's log-likelihood alone."""

    def __init__(self) -> None:
        self.module = import_module("torchcrf")

    def model(self, chain: Chain) -> Any:
        """Return its module with these transitions, start and end scores as parameters."""
        found = self.module.CRF(len(chain.transitions), batch_first=True)
        names = ("transitions", "start_transitions", "end_transitions")
        found.load_state_dict({name: value.detach() for name, value in zip(names, chain[1:], strict=True)})
        return found


PEERS: dict[str, type[TorchStruct | Supar | PytorchCRF]] = {
    "torch-struct": TorchStruct,
    "supar": Supar,
    "pytorch-crf": PytorchCRF,
}


def load(name: str) -> Any:
    """Return a peer, or a line that says why it cannot be had."""
    try:
        metadata.version(name)
        return PEERS[name]()
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    except ImportError as error:
        return f"{name} cannot be imported: {error}"


def _pairs(chain: Chain, lengths: Tensor) -> Tensor:
    """Return the scores of pairs `[B, n - 1, L, L]`, next labels down, that torch-struct takes; sentences of 2 on."""
    emissions, transitions, start, end = chain
    steps = emissions.size(1) - 1
    is_first = torch.arange(steps)[:, None] == 0
    is_last = (torch.arange(steps) == lengths[:, None] - 2)[..., None]
    before = torch.where(is_first, emissions[:, :-1] + start, 0.0)
    after = emissions[:, 1:] + torch.where(is_last, end, 0.0)
    return transitions.T + after[..., None] + before[:, :, None]


def _bordered(chain: Chain) -> Tensor:
    """Return the transitions `[L + 1, L + 1]` from and to the label beyond both ends that supar takes."""
    above = torch.cat([chain.transitions, chain.end[:, None]], 1)
    return torch.cat([above, torch.nn.functional.pad(chain.start, (0, 1))[None]])


def tag_marginals(scores: Table, n: int) -> list[list[float]]:
    """Return the marginals of tags from spans by loops in Python, in logs: O, then B, I, E and S of each label.

    Args:
        scores: of a span by its first position, its last one and its label.
        n: how many positions are real.
    """
    labels = len(scores[0][0])
    spans = [[log_sum_exp(scores[first][last]) for last in range(first, n)] for first in range(n)]  # by length
    before, after = [0.0], [0.0]  # sums over what is before the k-th boundary, and after the k-th from the end
    for k in range(n):
        before.append(log_sum_exp([before[k], *(before[first] + spans[first][k - first] for first in range(k + 1))]))
        start = n - 1 - k
        after.append(
            log_sum_exp([after[k], *(after[n - 1 - last] + spans[start][last - start] for last in range(start, n))])
        )
    tags = [[1.0] + [0.0] * (4 * labels) for _ in range(n)]
    for first in range(n):
        for last in range(first, n):
            around = before[first] + after[n - 1 - last] - before[n]
            for label in range(labels):
                probability = math.exp(around + scores[first][last][label])
                for position in range(first, last + 1):
                    kind = 3 if first == last else 0 if position == first else 2 if position == last else 1
                    tags[position][1 + 4 * label + kind] += probability
                    tags[position][0] -= probability
    return tags


def log_sum_exp(values: Sequence[float]) -> float:
    """Return the log of the sum of the exponentials."""
    top = max(values)
    return top + math.log(sum([math.exp(value - top) for value in values]))
