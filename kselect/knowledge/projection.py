"""Learned maps from the student's width to the teacher's."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from kselect.models.seeding import seeded

PROJECTION_SEED = 0


class Projection(nn.Module):
    """One linear map for each student layer that is compared (Romero et al., 2015; Jiao et al., 2020, eq. 8)."""

    def __init__(self, layers: Iterable[int], student_width: int, teacher_width: int) -> None:
        """Draw the maps of `layers`, always the same ones."""
        super().__init__()
        with seeded(PROJECTION_SEED):
            self.maps = nn.ModuleDict(
                {str(layer): nn.Linear(student_width, teacher_width) for layer in sorted(set(layers))}
            )

    def forward(self, states: Tensor, layer: int) -> Tensor:
        """Map hidden states `[..., student width]` of `layer` to `[..., teacher width]`."""
        return self.maps[str(layer)](states)
