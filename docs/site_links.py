"""Hook of mkdocs.yml: adds the pages outside docs/ to the site, and adapts the links of all pages to it."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks/index.md",
    "benchmarks/RESULTS.md": "benchmarks/results.md",
}
"""Path in the site of each page of the repository that lies outside docs/."""

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of `OUTSIDE`."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite a page's relative links; one to a file that is no page, such as source code, becomes plain text."""
    site_path = page.file.src_uri
    source = next((path for path, name in OUTSIDE.items() if name == site_path), f"docs/{site_path}")

    def rewrite(match: re.Match[str]) -> str:
        image, text, target, anchor = match.groups()
        if not target or ":" in target:
            return match.group()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        page_path = OUTSIDE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if page_path is None:
            if not (ROOT / path).exists():
                raise ValueError(f"{source} links to {target}, which does not exist")
            return text
        return f"{image}[{text}]({os.path.relpath(page_path, posixpath.dirname(site_path) or '.')}{anchor or ''})"

    blocks = FENCE.split(markdown)
    return "".join(block if block.startswith("```") else LINK.sub(rewrite, block) for block in blocks)
