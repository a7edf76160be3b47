"""The formats of exported graphs; the libraries of a format are imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from kselect.export import scripts
from kselect.models.paths import EXPORT
from kselect.runs.artifacts import artifacts_folder

if TYPE_CHECKING:
    from kselect.export.graph import GraphExporter


class Graph(Protocol):
    """A graph, ready to run on the CPU.

    Attributes:
        inputs: names of the inputs.
    """

    inputs: tuple[str, ...]

    def run(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs by name, given all inputs by name."""
        ...


@dataclass(frozen=True)
class GraphFormat:
    """A format of exported graphs.

    Attributes:
        name: as in the settings; an export's folder, and the extra with the packages, have the same.
        title: as in tables.
        fp32: file name of a graph with its weights in float32.
        int8: file name of a graph with weights in int8.
        packages: those that write graphs.
        runtime: the one of them that runs graphs.
    """

    name: str
    title: str
    fp32: str
    int8: str
    packages: tuple[str, ...]
    runtime: str

    @property
    def exporter(self) -> GraphExporter:
        """What makes graphs of this format."""
        exporter: GraphExporter = import_module(f"kselect.export.{self.name}_graph").EXPORTER
        return exporter

    @property
    def script(self) -> str:
        """Name of the module that runs graphs, in an export as well."""
        return f"{self.name}_runtime"

    def load(self, path: Path, threads: int | None = None) -> Graph:
        """Load a graph onto the CPU.

        Args:
            path: the file of the graph.
            threads: how many a call uses; by default as many as there are cores.
        """
        graph: Graph = import_module(f"{scripts.__name__}.{self.script}").Graph(path, threads)
        return graph


ONNX = GraphFormat(
    name="onnx",
    title="ONNX",
    fp32="model.onnx",
    int8="model_int8.onnx",
    packages=("onnx", "onnxscript", "onnxruntime"),
    runtime="onnxruntime",
)
OPENVINO = GraphFormat(
    name="openvino",
    title="OpenVINO",
    fp32="openvino_model.xml",  # the name by which transformers and Optimum look for it
    int8="openvino_model_int8.xml",
    packages=("openvino", "nncf"),
    runtime="openvino",
)
FORMATS = {each.name: each for each in (ONNX, OPENVINO)}
"""The formats by name."""


def find_exports(model: str) -> list[Path]:
    """Return the exports next to a model, each in the folder of its format."""
    folders = [artifacts_folder(model) / name for name in FORMATS]
    return [folder for folder in folders if (folder / EXPORT).is_file()]


def formats_in(folder: Path) -> list[GraphFormat]:
    """Return the formats of the graphs in a folder."""
    return [each for each in FORMATS.values() if any((folder / name).is_file() for name in (each.fp32, each.int8))]


def mebibytes_of(graph: Path) -> float:
    """Return the size of the files of a graph, in MiB; weights may lie in a file of the same name."""
    return sum(file.stat().st_size for file in graph.parent.glob(f"{graph.stem}.*")) / 2**20
