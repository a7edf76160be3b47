"""A graph on ONNX Runtime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime


class Graph:
    """A graph from a file, ready to run on the CPU; a call uses `threads` threads, by default one for each core."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = options.inter_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(each.name for each in self._session.get_inputs())
        self._outputs = [each.name for each in self._session.get_outputs()]

    def run(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs by name, given an array for each input by name."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(feed)), strict=True))
