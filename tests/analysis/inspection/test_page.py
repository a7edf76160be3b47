"""Pages and charts: well-formed, self-contained, small, and with every name escaped."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup

from kselect.analysis.inspection.charts import COLUMNS, bar_chart, heat_map, line_chart
from kselect.analysis.inspection.page import page
from kselect.analysis.inspection.report import Report, Section
from kselect.analysis.inspection.run import report_of_run
from kselect.runs.history import read_run
from tests.analysis.inspection.histories import phase, write_run

EVIL = "</title><script>alert('1')</script><img src=x onerror=\"alert(2)\">&amp;{{ 7 * 7 }}"
VOID = ("meta", "br")


class Outline(HTMLParser):
    """Elements, attributes and texts of a page; every tag that opens must close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def check_self_contained(text: str) -> Outline:
    """Check that a page loads nothing and runs nothing; returns its outline."""
    outline = Outline(text)
    assert not {"script", "link", "iframe", "object", "img", "image", "use"} & set(outline.tags)
    assert not {"src", "href", "xlink:href", "srcset"} & {name for name, _ in outline.attributes}
    assert not [name for name, _ in outline.attributes if name.startswith("on")]
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert not re.search(r"url\(|@import", style)
    assert len(text.encode()) < 2 * 2**20
    return outline


def test_page_escapes_every_name() -> None:
    figures = [
        heat_map([EVIL], [1, 2], [[0.5], [1.0]], EVIL),
        line_chart({EVIL: ([1, 2], [0.5, 1.0])}, EVIL, EVIL),
        bar_chart({EVIL: 1.0}, EVIL),
    ]
    section = Section(EVIL, [EVIL, EVIL], [[EVIL, EVIL]], EVIL, figures)
    outline = check_self_contained(page(Report(EVIL, [section])))
    assert outline.texts.count(EVIL) >= 8  # read back as it was


def test_page_has_the_tables() -> None:
    outline = Outline(page(Report("a run", [Section("a table", ["kind", "share"], [["gold", "75 %"]], "read it so")])))
    for text in ("a run", "a table", "kind", "share", "gold", "75 %", "read it so"):
        assert text in outline.texts
    assert [outline.tags.count(tag) for tag in ("table", "tr", "th", "td")] == [1, 2, 3, 1]


def svg(figure: Markup) -> ET.Element:
    found = ET.fromstring(figure).find("svg")
    assert found is not None
    return found


def test_heat_map_has_a_cell_for_each_phase_as_wide_as_its_steps() -> None:
    cells = svg(heat_map(["gold", "logits"], [1, 3], [[0.0, 0.5], [1.0, 0.25]], "selection")).findall("rect")
    assert [float(cell.attrib["fill-opacity"]) for cell in cells] == [0, 1, 0.5, 0.25]
    widths = [float(cell.attrib["width"]) for cell in cells]
    assert widths[1] == pytest.approx(3 * widths[0], abs=0.2)
    assert "".join(cells[1].itertext()) == "gold, 1 to 4: 1.00"


def test_heat_map_of_many_phases_is_averaged() -> None:
    values = np.random.default_rng(0).random((3 * COLUMNS, 1))
    cells = svg(heat_map(["gold"], np.ones(3 * COLUMNS), values, "selection")).findall("rect")
    means = values.reshape(COLUMNS, 3).mean(1)
    assert [float(cell.attrib["fill-opacity"]) for cell in cells] == pytest.approx(means, abs=0.001)


def test_line_chart_keeps_order_and_leaves_out_what_is_not_finite() -> None:
    chart = svg(line_chart({"loss": ([1, 2, 3, 4], [4.0, np.nan, 2.0, 1.0])}, "loss", "step"))
    (line,) = [path for path in chart.findall("path") if "line" in path.attrib["class"]]
    points = [tuple(map(float, point.split())) for point in line.attrib["d"].removeprefix("M").split("L")]
    assert len(points) == 3
    x, y = zip(*points, strict=True)
    assert list(x) == sorted(x)
    assert list(y) == sorted(y)  # downwards, as the loss falls
    flat = svg(line_chart({"loss": ([1], [1.0])}, "loss", "step"))
    assert "nan" not in ET.tostring(flat, encoding="unicode")


def test_bar_chart_has_negative_values_left_of_zero() -> None:
    left, right = svg(bar_chart({"student": -0.5, "teacher": 1.0}, "score")).findall("rect")
    assert float(left.attrib["x"]) + float(left.attrib["width"]) == pytest.approx(float(right.attrib["x"]), abs=0.2)
    assert float(right.attrib["width"]) == pytest.approx(2 * float(left.attrib["width"]), abs=0.2)


def test_a_long_run_makes_a_small_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = [f"kind-{i}" for i in range(12)]
    phases = []
    for number in range(8):
        for _ in range(150):
            weights = dict(zip(kinds, rng.random(12).tolist(), strict=True))
            phases.append(phase(weights, 1, episode=number, task="mrpc", **{"reward/loss": 1.0, "reward/phase": 0.1}))
    report = report_of_run(read_run(write_run(tmp_path / "run", phases)), {})
    check_self_contained(page(report))
