"""A YAML file of settings, read as a mapping or refused in one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from kselect.errors import KselectError, near_path


class Loader(yaml.SafeLoader):
    """YAML's safe subset, where 1e-4 is a number, as in YAML 1.2, and where a key is given once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, or refuse it where a key stands twice: plain YAML would silently take the last."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"it gives '{key.value}' twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read(path: str, option: str = "--config") -> dict[str, Any]:
    """Read a mapping of settings, from the file that `option` names.

    Raises:
        KselectError: the file is missing, is not YAML (with the line), or is not a mapping of names to values.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        here = "" if Path(path).is_absolute() else f" in the present folder ({Path.cwd()})"
        near = near_path(Path(path), Path.is_file)
        hint = f"did you mean '{near}'? Give" if near else "give"
        raise KselectError(f"{path} does not exist{here}: {hint} {option} the path of a YAML file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise KselectError(f"{path} cannot be read as text: {error}.") from None
    try:
        values = yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what looks like a date and is none
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it has characters that YAML does not allow"
        raise KselectError(f"{path}{line} is not valid YAML: {problem}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise KselectError(f"{path} is not a mapping: write one setting a line, such as `epochs: 3`.")
    return values
