"""One small network, shared by all knowledge rows, so that it carries over to another number of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RowNetwork(nn.Module):
    """A 3-layer MLP on [context, row, mean of embedded rows]; one number a row, or one in all if `pool`.

    Three layers as in Wang et al. 2022. Order and number of the rows are free: the output follows the rows
    (or, pooled by a mean, ignores their order). `start` is the output before anything is learned, the same
    for every input.
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
        # The first layer of the MLP in two parts, since context and mean are the same for every row.
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
    """Q of an action: the pooled network that reads each row with the weight it is given as one more feature."""

    def __init__(self, context: int, features: int, *, hidden: int, generator: torch.Generator) -> None:
        super().__init__(context, features + 1, hidden=hidden, pool=True, generator=generator)

    def forward(self, context: Tensor, knowledge: Tensor, action: Tensor) -> Tensor:  # type: ignore[override]  # an action
        """Map context `[n, c]`, knowledge `[n, k, f]` and weights `[n, k]` to `[n]`."""
        return super().forward(context, torch.cat([knowledge, action.unsqueeze(-1)], -1))


def linear(inputs: int, outputs: int, generator: torch.Generator, gain: float = 1.0) -> nn.Linear:
    """Make a layer with orthogonal weights from `generator`; the usual constructor draws from torch's."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
