"""Access to models on the Hugging Face Hub and in its local cache."""

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
    """Return the arguments of `from_pretrained` for `path`: a local folder, the hub, or the hub's cache.

    The hub is asked once, without retries. If it does not answer, a copy in the cache is used.
    """
    if Path(path).is_dir():
        return {}
    name = str(path)
    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json"))
    except (HfHubHTTPError, HFValidationError):
        pass  # the hub can be reached; loading the model reports what is wrong
    except Exception as error:  # the hub library may use any HTTP client, each with its own errors
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return {"local_files_only": True}
        raise KselectError(
            f"Cannot load {name}: the hub cannot be reached, and its cache has no copy. "
            f"Give a local folder that save_pretrained wrote."
        ) from error
    return {}


def saved_file(path: str | Path, name: str) -> Path | None:
    """Return the path of a file saved next to a model: in its folder or, after a download, in the hub's cache.

    None if there is no such file, or no such model; loading the model reports the latter.
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
            f"The hub does not serve {name} of {path} ({str(error).splitlines()[0]}): try again or give a local folder."
        ) from error
