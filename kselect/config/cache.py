"""What to do with the teacher outputs on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class CacheConfig:
    """Cache: what to do with which of its entries."""

    action: Literal["list", "verify", "clear"] = "list"
    """list the entries, verify that each file is what was written, or clear: delete them."""
    entry: str | None = None
    """The entry meant, by the beginning of its name; by default all."""
    cache_dir: str | None = None
    """Folder of teacher outputs; by default the environment variable KSELECT_CACHE or, without it, kselect in the
    user's folder of caches."""
