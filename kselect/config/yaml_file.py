"""YAML of settings: plain mappings, lists and scalars, without anything that grows or runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from kselect.errors import KselectError, near_path

DEEPEST = 20
"""Lists and mappings within each other; a settings file has fewer than ten."""
LARGEST = 2**20
"""Characters of a file of settings."""


RECORDED = "# Repeat this run: "
"""How config.yaml of a run begins. Its settings stand between YAML's `---` and `...`, so that one cut off is known."""
INTEGER = "tag:yaml.org,2002:int"


class _Plain:
    """A loader that refuses aliases, deep nesting and keys given twice, of which plain YAML silently takes the last."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[attr-defined]  # mixed into a loader, which the stubs do not say
        mark: Any = event.start_mark
        self._depth += 1
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "it has an alias: write the value out", mark)
        if self._depth > DEEPEST:
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", mark)
        node = super().compose_node(parent, index)  # type: ignore[misc]  # as above
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"it gives '{key.value}' twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)  # type: ignore[misc]  # as above


class Loader(_Plain, yaml.SafeLoader):
    """YAML's safe subset, where 1e-4 is a number, as in YAML 1.2, and 010 and 1:30 are texts, as they stand."""


class TextLoader(_Plain, yaml.BaseLoader):
    """YAML whose every scalar is a text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != INTEGER]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(INTEGER, re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
MALFORMED = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)
"""Raised by PyYAML for malformed text: the last ones for a scalar that is not what its tag says, such as `!!int ""`."""


def read(path: str, option: str = "--config") -> dict[str, Any]:
    """Read a mapping of settings."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        here = "" if Path(path).is_absolute() else f" in the current folder ({Path.cwd()})"
        near = near_path(Path(path), Path.is_file)
        hint = f"did you mean '{near}'? Give" if near else "give"
        raise KselectError(f"{path} does not exist{here}: {hint} {option} the path of a YAML file.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise KselectError(f"{path[:200]} cannot be read as text: {reason}.") from None
    if len(text) > LARGEST:
        raise KselectError(f"{path} is too large for a file of settings: {len(text)} characters.")
    if text.startswith(RECORDED) and "\n---\n" in text and not text.endswith("\n...\n"):
        raise KselectError(f"{path} is cut off: the line with three dots at its end is missing. Restore the file.")
    try:
        values = yaml.load(text, Loader)
    except MALFORMED as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or (
            "it has characters that YAML does not allow"
            if isinstance(error, yaml.YAMLError)
            else "a value is not of the type of its tag"
        )
        raise KselectError(f"{path}{line} is not valid YAML: {problem}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise KselectError(f"{path} is not a mapping: write one setting a line, such as `epochs: 3`.")
    return values


def parse(text: str, loader: Any = Loader) -> Any:
    """Return the value of a text in YAML's flow style, such as `{gold: 1}`; the text itself if it is not YAML."""
    try:
        return yaml.load(text, loader)
    except MALFORMED:
        return text
