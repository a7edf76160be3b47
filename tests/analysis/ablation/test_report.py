"""Figures of ablations with made-up scores, and the files that figures are saved to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kselect.analysis.ablation.report import ablation_figure
from kselect.analysis.plotting import can_draw
from kselect.errors import KselectError
from kselect.io import write_figure
from tests.analysis.ablation.test_findings import explained

pytestmark = pytest.mark.skipif(not can_draw(), reason="matplotlib is not installed: pip install 'kselect[plots]'")
GAINS: dict[str, Any] = {"label_smoothing": 0.01, "kd_sim": -0.02, "kd_pt": 0.03, "kd_pt_sim": 0.036, "kd": 0.04}


def test_ablation_figure_has_a_bar_for_every_gain_and_its_interval() -> None:
    found = explained(5, 0.9, **GAINS)
    axes: Any
    (axes,) = ablation_figure(found, "topics").axes
    bars = dict(zip(reversed(found.decomposition.gains), axes.patches, strict=True))
    for name, gain in found.decomposition.gains.items():
        assert bars[name].get_width() == pytest.approx(gain.mean)
    (errors,) = (one for one in axes.collections if len(one.get_segments()) == len(bars))
    widths = [segment[1][0] - segment[0][0] for segment in errors.get_segments()]
    # Conditions that moved by the same under all seeds have no interval.
    margins = [gain.margin for gain in reversed(found.decomposition.gains.values())]
    drawn = [float("nan") if margin == float("inf") else 2 * margin for margin in margins]
    assert widths == pytest.approx(drawn, nan_ok=True)
    assert axes.get_xlabel() == "gain over fine-tuning on dev, points: mean and 95 % interval of 3 seeds"


def test_ablation_figure_leaves_out_identical_conditions() -> None:
    (axes,) = ablation_figure(explained(2, 0.9, label_smoothing=0.01, kd=0.04), "two").axes
    assert [label.get_text().partition("\n")[0] for label in axes.get_yticklabels()] == ["kd", "label-smoothing"]


def test_save_writes_a_figure_in_full_or_not_at_all(tmp_path: Path) -> None:
    figure = ablation_figure(explained(2, 0.9, label_smoothing=0.01, kd=0.04), "two")
    write_figure(tmp_path / "ablation.png", figure)
    assert [path.name for path in tmp_path.iterdir()] == ["ablation.png"]
    assert (tmp_path / "ablation.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(KselectError, match="cannot be written"):
        write_figure(tmp_path / "ablation.png" / "below.png", figure)
