"""Saving to the Hugging Face Hub and loading from it. The network is used only by a call that asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kselect.errors import KselectError


def local_folder(name: str | Path, patterns: Sequence[str], **options: Any) -> Path:
    """Return the folder `name` or, where there is none, the Hub's repository of that name, downloaded.

    Args:
        name: a folder, or a repository such as "user/policy".
        patterns: the files to download, as `fnmatch` patterns.
        options: further arguments of `huggingface_hub.snapshot_download`, such as `revision`, `token` and
            `local_files_only`.

    Raises:
        KselectError: no such folder or repository, or the Hub cannot be reached.
    """
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(name), allow_patterns=list(patterns), **options))
    except HFValidationError:
        raise KselectError(f"There is no folder {name}: give one, or a repository of the Hub, user/name.") from None
    except LocalEntryNotFoundError as error:
        raise KselectError(
            f"Cannot load {name}: the Hub cannot be reached, and its cache has no copy. Give a local folder."
        ) from error
    except Exception as error:  # the HTTP client of the Hub's library has errors of its own
        raise KselectError(f"Cannot load {name} from the Hub ({_reason(error)}): give a local folder.") from error


def push_folder(save: Callable[[Path], object], repo_id: str, card: str, **options: Any) -> str:
    """Save to a temporary folder and upload it as one commit; return the commit's address.

    Args:
        save: writes the files to a folder.
        repo_id: the repository, such as "user/policy"; it is made where it does not exist.
        card: text of the model card, for a folder that `save` writes no README.md to.
        options: `private` and `token`, and further arguments of `HfApi.upload_folder`, such as `commit_message`,
            `revision` and `create_pr`.

    Raises:
        KselectError: the Hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=options.pop("token", None))
    private = options.pop("private", None)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save(folder)
        if not (folder / "README.md").exists():
            (folder / "README.md").write_text(card, encoding="utf-8")
        try:
            repo = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            return str(api.upload_folder(repo_id=repo, folder_path=folder, **options).commit_url)
        except Exception as error:  # as above
            raise KselectError(
                f"Cannot push to {repo_id} ({_reason(error)}): check its name, your token and the network."
            ) from error


def model_card(title: str, text: str, tags: Sequence[str], **data: Any) -> str:
    """Return a model card: front matter as the Hub reads it, a title and a text.

    Args:
        title: the heading.
        text: Markdown below it.
        tags: the Hub's tags, in addition to "kselect".
        data: further fields of `huggingface_hub.ModelCardData`, such as `pipeline_tag`.
    """
    from huggingface_hub import ModelCardData

    front_matter = ModelCardData(tags=["kselect", *tags], **data)
    return f"---\n{front_matter.to_yaml()}\n---\n\n# {title}\n\n{text}\n"


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
