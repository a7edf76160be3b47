"""The folder of all cache entries."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from kselect.distillation.teacher.cache_entry import CacheEntry
from kselect.errors import KselectError, unknown

KEY = re.compile("[0-9a-f]{32}")


class CacheFolder:
    """The folder of all cache entries, shared by all runs.

    Attributes:
        path: the given path; by default the environment variable `KSELECT_CACHE` or, without it, `kselect` in the
            user's cache directory.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """Use `path`, which need not exist."""
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        self.path = Path(path or os.environ.get("KSELECT_CACHE") or Path(caches) / "kselect").expanduser()

    @property
    def facts(self) -> Path:
        """The folder of the facts of runs, see `kselect.distillation.facts.store`."""
        return self.path / "facts"

    def clear_facts(self) -> None:
        """Delete the facts of runs."""
        try:
            shutil.rmtree(self.facts)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KselectError(f"{self.facts} cannot be deleted ({error.strerror}): clear it as its owner.") from None

    def entry(self, key: str) -> CacheEntry:
        """Return the entry of `key`, which need not exist."""
        return CacheEntry(self.path / key)

    def entries(self, prefix: str = "") -> list[CacheEntry]:
        """Return the existing entries whose key starts with `prefix`, most recently used first."""
        try:
            # The folder may hold unrelated files, which must be neither listed nor deleted.
            keys = [path.name for path in self.path.iterdir() if KEY.fullmatch(path.name) and path.is_dir()]
        except FileNotFoundError:
            keys = []
        except OSError as error:
            raise KselectError(
                f"{self.path} cannot be read ({error.strerror}): give another cache_dir.", setting="cache_dir"
            ) from None
        matching = [key for key in keys if key.startswith(prefix)]
        if prefix and not matching:
            known = [self.entry(key).short for key in keys]
            raise unknown("entry", prefix, known) if keys else KselectError(f"{self.path} holds no entry.")
        return sorted(map(self.entry, matching), key=lambda entry: -entry.last_used)

    def ensure_exists(self) -> None:
        """Create the folder if it is missing."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KselectError(
                f"{self.path} cannot be created ({error.strerror}): give another cache_dir, or set teacher_cache to 0 "
                f"to run the teacher for every batch.",
                setting="cache_dir",
            ) from None
