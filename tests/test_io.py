"""Files that are there in full or not at all."""

from __future__ import annotations

import json
import stat

import numpy as np
import pytest

from kselect import io


def test_write_text_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    io.write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        io.write_text(path, "new \ud800")  # a lone surrogate is no UTF-8
    with pytest.raises(TypeError):
        io.write_json(path, {"object": object()})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_texts_replaces_all_files_or_none(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    io.write_text(first, "old")
    with pytest.raises(UnicodeEncodeError):
        io.write_texts({first: "new", second: "\ud800"})
    assert first.read_text() == "old"
    assert list(tmp_path.iterdir()) == [first]
    io.write_texts({first: "new", second: "other"})
    assert (first.read_text(), second.read_text()) == ("new", "other")
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_write_text_respects_the_umask(tmp_path):
    (tmp_path / "plain").write_text("")
    io.write_text(tmp_path / "atomic", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")}
    assert len(modes) == 1


def test_to_json_of_numpy_and_nonfinite_numbers():
    value = {"a": np.float32(0.5), "b": np.arange(2), "c": [float("inf"), np.float64("nan")], 1: (True, None)}
    assert json.loads(io.to_json(value)) == {"a": 0.5, "b": [0, 1], "c": [None, None], "1": [True, None]}
