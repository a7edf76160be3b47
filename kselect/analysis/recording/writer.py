"""Storage of a recording in a run folder, from which a stopped run resumes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kselect.analysis.recording.callback import ExampleRecorder
from kselect.analysis.recording.logit_geometry import logit_geometry
from kselect.analysis.recording.plot import recording_figure
from kselect.analysis.recording.table import ExampleTable, histograms, scalars, summarise
from kselect.distillation.distiller import Distiller
from kselect.io import write_figure
from kselect.models.output_layer import output_layer
from kselect.runs.run_dir import RunFolder

PARTS = "checkpoints/recording"  # one file per phase until the run ends: a Parquet file cannot be appended to
WHOLE, FIGURE = "recording.parquet", "recording.png"


class RunRecording:
    """Writes the rows of an `ExampleRecorder` to a run folder, phase by phase, and summarises them at the end."""

    def __init__(self, distiller: Distiller, recorder: ExampleRecorder, folder: RunFolder, plots: bool = False) -> None:
        """Record a run."""
        self.distiller = distiller
        self.recorder = recorder
        self.folder = folder
        self.plots = plots
        self._saved = 0

    def resume(self, steps: Sequence[int]) -> None:
        """Return to the state after phases that ended at these steps: later ones are deleted, and the others loaded."""
        for path in (self.folder.path / PARTS).glob("*.parquet"):
            if int(path.stem) >= len(steps):
                path.unlink()
        self.recorder.phases = [ExampleTable.load(self._part(phase)) for phase in range(len(steps))]
        self._saved = len(steps)
        for rows, step in zip(self.recorder.phases, steps, strict=True):
            self._draw(rows, step)

    def save_phase(self, step: int) -> dict[str, float | None]:
        """Save the phase that has just ended at `step`; return its scalars by TensorBoard tag, None for NaN."""
        rows = self.recorder.phases[-1]
        rows.save(self._part(self._saved))
        self._saved += 1
        self._draw(rows, step)
        return {f"recording/{name}": value if math.isfinite(value) else None for name, value in scalars(rows).items()}

    def finish(self) -> dict[str, Any]:
        """Write the whole recording, and return its summary for results.json.

        `geometry` is that of the trained student; None where the run never read a teacher of the same classes, or with
        fewer than three classes.
        """
        rows = self.recorder.rows
        rows.save(self.folder.path / WHOLE)
        if self.plots:
            write_figure(self.folder.path / FIGURE, recording_figure(rows))
        classes = output_layer(self.distiller.student.model).out_features
        measurable = len(rows.with_teacher) > 0 and classes > 2
        return {**summarise(rows), "geometry": asdict(logit_geometry(self.distiller)) if measurable else None}

    def _draw(self, rows: ExampleTable, step: int) -> None:
        self.folder.log_histograms({f"recording/{name}": values for name, values in histograms(rows).items()}, step)

    def _part(self, phase: int) -> Path:
        return self.folder.path / PARTS / f"{phase:06d}.parquet"
