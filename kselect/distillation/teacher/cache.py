"""Where teacher outputs are kept, and what is there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kselect.distillation.teacher.cache_entry import CacheEntry
from kselect.errors import KselectError, unknown

KEY = re.compile("[0-9a-f]{32}")


class CacheFolder:
    """The folder of all entries: the given one, or by default `KSELECT_CACHE`, or else where users' caches are."""

    def __init__(self, path: str | Path | None = None) -> None:
        """Look at `path`, which need not be there."""
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        self.path = Path(path or os.environ.get("KSELECT_CACHE") or Path(caches) / "kselect").expanduser()

    def entry(self, key: str) -> CacheEntry:
        """Return the entry of `key`, which need not be there."""
        return CacheEntry(self.path / key)

    def entries(self, beginning: str = "") -> list[CacheEntry]:
        """Return the entries that are there, those whose key has this beginning, the last used first.

        Raises:
            KselectError: no key begins so, or the folder cannot be read.
        """
        try:
            # Nothing else in the folder is ours, whichever folder it is, to be listed or deleted.
            found = [path.name for path in self.path.iterdir() if KEY.fullmatch(path.name) and path.is_dir()]
        except FileNotFoundError:
            found = []
        except OSError as error:
            raise KselectError(f"{self.path} cannot be read ({error.strerror}): give another --cache_dir.") from None
        keys = [key for key in found if key.startswith(beginning)]
        if beginning and not keys:
            shown = [self.entry(key).short for key in found]
            raise unknown("entry", beginning, shown) if found else KselectError(f"{self.path} holds no entry.")
        return sorted(map(self.entry, keys), key=lambda entry: -entry.last_used)

    def check(self) -> None:
        """Make the folder where it is missing.

        Raises:
            KselectError: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KselectError(
                f"{self.path} cannot be made ({error.strerror}): give another --cache_dir, or --teacher_cache 0 to run "
                f"the teacher for every batch."
            ) from None
