"""A classifier as a graph of OpenVINO's intermediate representation, quantised by NNCF."""

from __future__ import annotations

from transformers.exporters import (
    NNCFOpenVINOQuantizer,
    NNCFWeightCompressionConfig,
    OpenVINOConfig,
    OpenVINOExporter,
)

from kselect.export.graph import GraphExporter

EXPORTER = GraphExporter(
    OpenVINOExporter,
    OpenVINOConfig(dynamic=True),
    NNCFOpenVINOQuantizer(NNCFWeightCompressionConfig()),  # OpenVINO itself quantises activations, on the CPU
    OpenVINOExporter.save_program,
)
