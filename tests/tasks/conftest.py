from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kselect.errors import KselectError
from kselect.tasks import load_task


@pytest.fixture
def message_of() -> Callable[..., str]:
    """Call something that a user got wrong and return the one line that it is refused with."""

    def call(function: Callable[..., object], *args: object, **kwargs: object) -> str:
        with pytest.raises(KselectError) as caught:
            function(*args, **kwargs)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return call


@pytest.fixture
def rte_folder(tmp_path: Path) -> Path:
    """A GLUE folder whose RTE has 40 training pairs, a quarter of them entailments, and 8 dev pairs."""
    folder = tmp_path / "RTE"
    folder.mkdir()
    for part, size in (("train", 40), ("dev", 8)):
        lines = ["index\tsentence1\tsentence2\tlabel"]
        for i in range(size):
            label = "not_entailment" if i % 4 else "entailment"
            lines.append(f'{i}\tA "{part} premise {i} .\tHypothesis {i} .\t{label}')
        (folder / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def real_task() -> Callable[..., object]:
    """Load a task from the folder that KSELECT_DATA names, or skip."""

    def load(name: str, **kwargs: Any) -> object:
        if not os.environ.get("KSELECT_DATA"):
            pytest.skip("GLUE's files are not here: set KSELECT_DATA to a folder in GLUE's TSV layout")
        try:
            return load_task(name, **kwargs)
        except KselectError as error:
            pytest.skip(f"KSELECT_DATA is set, but {error}")

    return load
