"""The learning agent that sees models rather than facts about them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from agents.deterministic import DeterministicActorCritic
from agents.networks import linear


class TowerActorCritic(DeterministicActorCritic):
    """The agent of Wang et al. 2022 (arXiv 2302.00444) with its own view of the state.

    All it sees is the mean [CLS] of the student's last layer, `student_cls [D_s]`, and of the teacher's,
    `teacher_cls [D_t]`. Each passes its own 2-layer MLP; what these say, side by side, is the state of an actor
    and of a critic, MLPs of 3 layers. Since their widths are those of the two models and of the knowledge on
    offer, a policy serves these only. A summary of the paper names this form without sizes or activations,
    which are ours, as is all that `DeterministicActorCritic` says of how it learns.
    """

    reads: ClassVar[tuple[str, ...]] = ("student_cls", "teacher_cls")
    travels: ClassVar[bool] = False

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        """Make the actor, from both [CLS] to logits `[n, k]`, and the critic, from them and an action to Q `[n]`."""
        widths = [self.shapes[part][0] for part in self.reads]
        actor = TowerNetwork(widths, self.rows, hidden=self.hidden, generator=self.generator, start=self.start)
        return actor, TowerCritic(widths, self.rows, hidden=self.hidden, generator=self.generator)


class TowerNetwork(nn.Module):
    """A 2-layer MLP for each input, and a 3-layer MLP on what they say and on `further` numbers.

    `start` is each of the `outputs` before anything is learned.
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
        """Map inputs `[n, width]`, and the further numbers last, to `[n, outputs]`."""
        seen = [tower(value) for tower, value in zip(self.towers, inputs, strict=False)]
        return self.head(torch.cat([*seen, *inputs[len(seen) :]], -1))


class TowerCritic(TowerNetwork):
    """Q of an action, which joins the towers' outputs."""

    def __init__(self, widths: list[int], rows: int, *, hidden: int, generator: torch.Generator) -> None:
        super().__init__(widths, 1, hidden=hidden, generator=generator, further=rows)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map inputs `[n, width]` and weights `[n, k]` to `[n]`."""
        return super().forward(*inputs).squeeze(-1)
