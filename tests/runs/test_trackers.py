"""Trackers get the numbers that TensorBoard gets, and are asked for before anything slow is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kselect.cli.main import main
from kselect.config import TRACKERS, RunConfig
from kselect.errors import KselectError
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder

CONFIG = {"epochs": 2.0, "task": "mrpc", "report_to": ["trackio"]}


class Recorder(GeneralTracker):
    """A tracker that remembers what it gets."""

    name = "trackio"
    requires_logging_directory = False
    runs: list[Recorder]

    def __init__(self, run_name: str, **kwargs: Any) -> None:
        super().__init__(_blank=True)
        self.arguments = {"project": run_name, **kwargs}
        self.logged: list[tuple[dict[str, float], int]] = []
        self.settings: dict[str, Any] = {}
        self.finished = False
        Recorder.runs.append(self)

    @property
    def tracker(self) -> Recorder:
        return self

    def start(self) -> None:
        pass

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.settings = values

    def log(self, values: dict[str, float], step: int | None = None, **kwargs: Any) -> None:
        assert step is not None
        self.logged.append((values, step))

    def finish(self) -> None:
        self.finished = True


@pytest.fixture(autouse=True)
def recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder.runs = []
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "trackio", Recorder)


def test_a_tracker_gets_what_tensorboard_gets(tmp_path: Path) -> None:
    with RunFolder.create(RunPlace(tmp_path, "mrpc", "online", 0, "mine"), CONFIG) as run:
        unmeasured = {"loss/gold": 0.5, "reward/phase": None, "reward_unit": "nats"}
        run.log_phase({"step": 4, "phase": 0, "steps": 4, **unmeasured})
        run.log_scalars({"recording/pearson": 0.25, "recording/spearman": float("nan")}, 4)
        run.log_phase({"step": 8, "phase": 1, "loss/gold": 0.25, "reward/phase": 0.1, "reward_unit": "nats"})
        run.write_results({"metrics": {"accuracy": 0.75}})
    (tracked,) = Recorder.runs
    assert tracked.arguments == {"project": "kselect", "name": "mine"}
    assert tracked.settings == CONFIG
    assert tracked.finished
    events = EventAccumulator(str(run.path)).Reload()
    shown = {(tag, e.step): e.value for tag in events.Tags()["scalars"] for e in events.Scalars(tag)}
    logged = {(tag, step): value for values, step in tracked.logged for tag, value in values.items()}
    assert logged == pytest.approx(shown)
    assert logged["result/accuracy", 8] == 0.75


def test_a_resumed_run_reports_again(tmp_path: Path) -> None:
    place = RunPlace(tmp_path, "mrpc", "online", 0, "mine")
    with RunFolder.create(place, CONFIG) as run:
        run.log_phase({"step": 4, "phase": 0, "loss/gold": 0.5})
    with RunFolder.open(place, CONFIG) as again:
        again.rewind(1)
        again.log_phase({"step": 8, "phase": 1, "loss/gold": 0.25})
    assert [tracked.logged[0][1] for tracked in Recorder.runs] == [4, 8]


def test_a_tracker_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Recorder) -> None:
        raise RuntimeError("no login\nTraceback ...")

    monkeypatch.setattr(Recorder, "start", fail)
    with pytest.raises(KselectError) as caught:
        RunFolder.create(RunPlace(tmp_path, "mrpc", "online", 0, "mine"), CONFIG)
    assert str(caught.value) == (
        "The tracker trackio cannot be started (no login): set it up, or leave it out of report_to."
    )


def test_the_trackers_are_those_of_accelerate() -> None:
    assert {*TRACKERS, "tensorboard"} == set(LOGGER_TYPE_TO_CLASS)


@pytest.mark.parametrize(
    ("names", "said"), [(["wanbd"], "Unknown tracker 'wanbd'"), (["wandb", "wandb"], "report_to names one twice")]
)
def test_unknown_trackers_are_refused(names: list[str], said: str) -> None:
    with pytest.raises(KselectError, match=said):
        RunConfig(report_to=names)


def test_an_uninstalled_tracker_is_reported_before_models_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kselect.cli.preflight.find_spec", lambda name: None)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("damaged")
    words = ["distill", "--teacher", str(tmp_path / "model"), "--runs_dir", str(tmp_path), "--report_to"]
    assert main([*words, "comet_ml"]) == 2
    assert capsys.readouterr().err == (
        "kselect: error: The tracker comet_ml is not installed: pip install comet-ml, or leave it out. (--report_to)\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
