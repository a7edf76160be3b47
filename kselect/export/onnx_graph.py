"""A classifier as an ONNX graph, quantised by ONNX Runtime."""

from __future__ import annotations

import onnx_ir
from transformers.exporters import OnnxConfig, OnnxExporter, OnnxRuntimeDynamicConfig, OnnxRuntimeQuantizer

from kselect.export.graph import GraphExporter

EXPORTER = GraphExporter(
    OnnxExporter,
    OnnxConfig(dynamic=True),
    OnnxRuntimeQuantizer(OnnxRuntimeDynamicConfig()),
    onnx_ir.save,  # into one file, unlike the exporter's own
)
