"""Settings laid over settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def laid_over(given: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by name, `given` where they are and `under` elsewhere; mappings name by name, None as not given.

    >>> laid_over({"seed": 1, "scales": {"hidden": 2}}, {"seed": 0, "scales": {"hidden": 1, "logits": 3}})
    {'seed': 1, 'scales': {'hidden': 2, 'logits': 3}}
    """
    settings = dict(given)
    for name, value in under.items():
        if settings.get(name) is None:
            settings[name] = value
        elif isinstance(value, dict) and isinstance(settings[name], dict):
            settings[name] = {**value, **settings[name]}
    return settings
