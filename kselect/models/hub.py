"""Reaching the hub, or knowing at once that it cannot be reached; what lies there beside a model."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

from kselect.errors import KselectError
from kselect.models.paths import check_location


@cache
def source_settings(path: str | Path) -> dict[str, Any]:
    """Return what `from_pretrained` must be told about where `path` lies: a folder, the hub, or the hub's cache.

    The hub is asked once, without retries. Where it does not answer, a copy in the cache serves.
    """
    if Path(path).is_dir():
        return {}
    name = str(path)
    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json"))
    except (HfHubHTTPError, HFValidationError):
        pass  # the hub is there, or need not be asked; loading the model says what is wrong with it
    except Exception as error:  # whichever HTTP client the hub library is built on, with errors of its own
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return {"local_files_only": True}
        raise KselectError(
            f"Cannot load {name}: the hub cannot be reached, and its cache has no copy. "
            f"Give a local folder that save_pretrained wrote."
        ) from error
    return {}


def file_beside(path: str | Path, name: str) -> Path | None:
    """Return where a file lies that was saved beside a model: in its folder or, once it is fetched, in the hub's cache.

    None where there is none of that name, or no such model, as loading the model says.
    """
    if Path(path).is_dir():
        file = Path(path, name)
        return file if file.is_file() else None
    check_location(path)
    try:
        return Path(hf_hub_download(str(path), name, **source_settings(path)))
    except (EntryNotFoundError, RepositoryNotFoundError, HFValidationError):
        return None
    except HfHubHTTPError as error:
        raise KselectError(
            f"The hub does not give {name} of {path} ({str(error).splitlines()[0]}): try again, or give a local folder."
        ) from error
