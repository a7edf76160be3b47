"""The teacher's embeddings."""

from __future__ import annotations

from typing import ClassVar

from kselect.knowledge.hidden import Hidden
from kselect.knowledge.projection import Projection


class Embeddings(Hidden):
    """Squared distance of what enters the first layer, a mean over real tokens and dimensions.

    The embedding part of TinyBERT (Jiao et al., 2020, eq. 9).
    """

    name: ClassVar[str] = "embeddings"

    def __init__(self, projection: Projection | None = None) -> None:
        """Compare embeddings, projected where widths differ."""
        super().__init__(((0, 0),), projection)
        self.layer_map = ()  # there is but one pair, whatever a map says
