"""A report as one HTML file that needs nothing else: no script, font, style or image from anywhere."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

import kselect
from kselect.analysis.inspection.report import Report


def page(report: Report) -> str:
    """Return the report as HTML; every name in it is escaped."""
    environment = Environment(
        loader=PackageLoader("kselect.analysis", "inspection"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(report=report, version=kselect.__version__)
