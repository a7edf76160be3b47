"""Scores for all pairs of words."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Biaffine(nn.Module):
    """Biaffine scores `[x, 1]ᵀ U_r [y, 1]` of states after a layer each (Dozat and Manning 2017), for R labels."""

    def __init__(self, first: int, second: int, labels: int, size: int, dropout: float = 0.1) -> None:
        """Read states `first` and `second` wide through layers of `size`."""
        super().__init__()
        self.first = nn.Sequential(nn.Linear(first, size), nn.ReLU(), nn.Dropout(dropout))
        self.second = nn.Sequential(nn.Linear(second, size), nn.ReLU(), nn.Dropout(dropout))
        self.weight = nn.Parameter(torch.empty(labels, size + 1, size + 1))
        nn.init.normal_(self.weight, std=size**-0.5 / 4)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return scores `[B, W, V, R]` of `first [B, W, D]` with `second [B, V, E]`."""
        x, y = (nn.functional.pad(states, (0, 1), value=1.0) for states in (self.first(first), self.second(second)))
        through = torch.einsum("bwx,rxy->bwry", x, self.weight)
        return torch.einsum("bwry,bvy->bwvr", through, y)
