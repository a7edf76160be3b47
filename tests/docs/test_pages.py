"""All pages: links lead somewhere, the site lists every page, commands are accepted, and tables name what exists."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields, is_dataclass
from pathlib import Path
from pkgutil import resolve_name

import pytest

from kselect import config
from kselect.cli.commands import COMMANDS
from tests.test_house import FLOORS

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, *sorted(ROOT.glob("*.md")), ROOT / "benchmarks" / "README.md", ROOT / "runs" / "README.md"]
COMMANDS_ON = ["troubleshooting", "papers", "comparing", "deploying", "runs", "texts", "teachers"]
SETTINGS = {field.name for group in vars(config).values() if is_dataclass(group) for field in fields(group)}


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    for link in links:
        target, _, anchor = link.partition("#")
        if ":" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


def test_site_lists_every_page() -> None:
    listed = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {page.name for page in DOCS} <= listed


@pytest.mark.parametrize("name", COMMANDS_ON)
def test_commands_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = "".join(
        re.findall(r"^```\n(.*?)^```", (ROOT / "docs" / f"{name}.md").read_text(), re.DOTALL | re.MULTILINE)
    )
    lines = [line for line in blocks.replace("\\\n", " ").splitlines() if line.startswith("kselect ")]
    assert lines
    for line in lines:
        command, *words = shlex.split(line)[1:]
        assert COMMANDS[command].settings(words) is not None


def test_glossary_names_settings_that_exist() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    table = page[page.index("| kselect | transformers | note |") :]
    names = [
        name for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`-*(\w+)`", cell)
    ]
    assert len(names) > 15
    assert set(names) <= SETTINGS


@pytest.mark.parametrize("name", re.findall(r"^::: (\S+)$", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE))
def test_reference_names_what_exists(name: str) -> None:
    assert resolve_name(name).__doc__


def test_architecture_has_every_package_on_its_floor() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    floors = {package: int(level) for level, cell in rows for package in re.findall(r"`(kselect\.\w+)`", cell)}
    assert floors == {package: level for level, packages in enumerate(FLOORS) for package in packages}
