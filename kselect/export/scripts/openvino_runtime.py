"""A graph on OpenVINO."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino


class Graph:
    """A graph from a file, ready to run on the CPU; a call uses `threads` threads, by default one for each core."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}  # by default bf16, if the processor has it
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._compiled = openvino.Core().compile_model(path, "CPU", settings)
        self.inputs = tuple(each.any_name for each in self._compiled.inputs)

    def run(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs by name, given an array for each input by name."""
        outputs = self._compiled(dict(feed))
        return {each.any_name: outputs[each] for each in self._compiled.outputs}
