from __future__ import annotations

from pathlib import Path

import pytest

from kselect.insight.ladder_plot import can_plot, plot_ladder
from kselect.insight.synthetic import SIMILARITY
from tests.insight.worlds import climbed, config_of


@pytest.mark.skipif(not can_plot(), reason="matplotlib is not installed: pip install 'kselect[plots]'")
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_ladder_is_drawn_with_a_bar_for_every_gain(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    explanation = climbed(SIMILARITY.shortened(1), config_of(), seeds)
    plot_ladder(explanation, "topics", tmp_path / "ladder.png")
    assert (tmp_path / "ladder.png").read_bytes().startswith(b"\x89PNG")
