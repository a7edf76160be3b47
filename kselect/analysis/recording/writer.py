"""A recording in a run folder, which goes on where a stopped run does."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kselect.analysis.plotting import save
from kselect.analysis.recording.callback import ExampleRecorder
from kselect.analysis.recording.logit_geometry import logit_geometry
from kselect.analysis.recording.plot import recording_figure
from kselect.analysis.recording.table import Rows, histograms, scalars, summarise
from kselect.distillation.distiller import Distiller
from kselect.models.output_layer import output_layer
from kselect.runs.run_dir import RunFolder

PARTS = "checkpoints/recording"  # a file a phase, until the run is over: a Parquet file cannot be added to
WHOLE, DRAWN = "recording.parquet", "recording.png"


class RunRecording:
    """What an `ExampleRecorder` saw of a run, kept in its folder phase by phase, and summed up at its end."""

    def __init__(self, distiller: Distiller, recorder: ExampleRecorder, folder: RunFolder, plots: bool = False) -> None:
        """Keep in `folder` what `recorder` sees of `distiller`; with `plots`, draw it, too."""
        self.distiller = distiller
        self.recorder = recorder
        self.folder = folder
        self.plots = plots
        self._kept = 0

    def take_up(self, phases: int) -> None:
        """Go back to the moment after so many phases: later ones are dropped, those before it read.

        Raises:
            KselectError: a phase that is missing, or damaged.
        """
        for path in (self.folder.path / PARTS).glob("*.parquet"):
            if int(path.stem) >= phases:
                path.unlink()
        self.recorder.phases = [Rows.load(self._part(phase)) for phase in range(phases)]
        self._kept = phases

    def keep_phase(self, step: int) -> dict[str, float | None]:
        """Keep the phase that has just ended at `step`; returns its figures by TensorBoard tag.

        A figure that is no number is None.
        """
        rows = self.recorder.phases[-1]
        rows.save(self._part(self._kept))
        self._kept += 1
        self.folder.log_histograms({f"recording/{name}": values for name, values in histograms(rows).items()}, step)
        told = {f"recording/{name}": value for name, value in scalars(rows).items()}
        return {tag: value if math.isfinite(value) else None for tag, value in told.items()}

    def finish(self) -> dict[str, Any]:
        """Write the whole recording, and return what it says for results.json.

        `geometry` is that of the trained student; None where the run never read a teacher of the same classes, or where
        there are fewer than three.
        """
        rows = self.recorder.rows
        rows.save(self.folder.path / WHOLE)
        if self.plots:
            save(recording_figure(rows), self.folder.path / DRAWN)
        classes = output_layer(self.distiller.student.model).out_features
        measurable = len(rows.of_teacher) > 0 and classes > 2
        return {**summarise(rows), "geometry": asdict(logit_geometry(self.distiller)) if measurable else None}

    def _part(self, phase: int) -> Path:
        return self.folder.path / PARTS / f"{phase:06d}.parquet"
