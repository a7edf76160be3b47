"""How the losses of a training step become one."""

from __future__ import annotations

from torch import Tensor, nn


class Weighting(nn.Module):
    """The plain way: the sum of the losses, each times its weight.

    A subclass may weigh each example by itself, or have parameters, which are learned with the student's.
    """

    def forward(self, losses: Tensor, factors: Tensor, selected: tuple[str, ...], logits: Tensor) -> Tensor:
        """Return the loss of each example, `[B]`.

        Args:
            losses: of each example in each knowledge selected, `[B, k]`, without scale or weight.
            factors: weight times scale of each knowledge, `[k]`.
            selected: names of the knowledge selected, `k` of them.
            logits: the student's, `[B, K]`.
        """
        return losses @ factors
