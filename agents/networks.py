"""The networks of agents: shared by all knowledge rows, for any number of them, or made for fixed sizes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RowNetwork(nn.Module):
    """A 3-layer MLP on [context, row, mean of embedded rows], as deep as in Wang et al. 2022 (arXiv 2302.00444).

    The rows may be in any order and number: the output is permuted with them or, pooled by a mean, does not change.

    Args:
        context: Size c of the context.
        features: Size f of a knowledge row.
        hidden: Width of the hidden layers.
        pool: Whether to give one number in all rather than one per row.
        generator: Of the initial weights.
        start: The output before anything is learned, for every input.
    """

    def __init__(
        self,
        context: int,
        features: int,
        *,
        hidden: int,
        pool: bool,
        generator: torch.Generator,
        start: float = 0.0,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.embed = linear(features, hidden, generator)
        # The first layer of the MLP is split: context and mean are the same for every row.
        self.shared = linear(context + hidden, hidden, generator)
        self.row = linear(features, hidden, generator)
        self.middle = linear(hidden, hidden, generator)
        self.head = linear(hidden, 1, generator, gain=0.0)
        nn.init.constant_(self.head.bias, start)

    def forward(self, context: Tensor, knowledge: Tensor) -> Tensor:
        """Map context `[n, c]` and knowledge `[n, k, f]` to `[n, k]`, or to `[n]` if pooled."""
        mean = torch.tanh(self.embed(knowledge)).mean(-2)
        shared = self.shared(torch.cat([context, mean], -1))
        hidden = torch.tanh(shared.unsqueeze(-2) + self.row(knowledge))
        hidden = torch.tanh(self.middle(hidden))
        if self.pool:
            hidden = hidden.mean(-2)
        return self.head(hidden).squeeze(-1)


class RowCritic(RowNetwork):
    """The action value Q: a pooled network that reads each row's weight as one more feature of it."""

    def __init__(self, context: int, features: int, *, hidden: int, generator: torch.Generator) -> None:
        super().__init__(context, features + 1, hidden=hidden, pool=True, generator=generator)

    def forward(self, context: Tensor, knowledge: Tensor, action: Tensor) -> Tensor:  # type: ignore[override]  # one more argument
        """Map context `[n, c]`, knowledge `[n, k, f]` and weights `[n, k]` to `[n]`."""
        return super().forward(context, torch.cat([knowledge, action.unsqueeze(-1)], -1))


class TowerNetwork(nn.Module):
    """A 2-layer MLP for each input, and a 3-layer MLP on their concatenated outputs.

    Args:
        widths: Size of each input.
        outputs: Size of the output.
        hidden: Width of the hidden layers.
        generator: Of the initial weights.
        further: Size of one more input, which the 3-layer MLP reads directly.
        start: Each output before anything is learned.
    """

    def __init__(
        self,
        widths: list[int],
        outputs: int,
        *,
        hidden: int,
        generator: torch.Generator,
        further: int = 0,
        start: float = 0.0,
    ) -> None:
        super().__init__()
        self.towers = nn.ModuleList(
            nn.Sequential(linear(width, hidden, generator), nn.Tanh(), linear(hidden, hidden, generator), nn.Tanh())
            for width in widths
        )
        head = linear(hidden, outputs, generator, gain=0.0)
        nn.init.constant_(head.bias, start)
        joined = linear(len(widths) * hidden + further, hidden, generator)
        self.head = nn.Sequential(joined, nn.Tanh(), linear(hidden, hidden, generator), nn.Tanh(), head)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map inputs `[n, width]`, and the further one `[n, further]` last, to `[n, outputs]`."""
        outputs = [tower(value) for tower, value in zip(self.towers, inputs, strict=False)]
        return self.head(torch.cat([*outputs, *inputs[len(outputs) :]], -1))


class TowerCritic(TowerNetwork):
    """The action value Q: the action is concatenated with the towers' outputs."""

    def __init__(self, widths: list[int], rows: int, *, hidden: int, generator: torch.Generator) -> None:
        super().__init__(widths, 1, hidden=hidden, generator=generator, further=rows)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map inputs `[n, width]` and weights `[n, k]` to `[n]`."""
        return super().forward(*inputs).squeeze(-1)


def linear(inputs: int, outputs: int, generator: torch.Generator, gain: float = 1.0) -> nn.Linear:
    """Return a linear layer with orthogonal weights from `generator`; `nn.Linear` draws from torch's global one."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
