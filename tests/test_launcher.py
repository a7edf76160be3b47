"""An environment in which processes cannot find each other is refused in a line, and nothing waits."""

from __future__ import annotations

import pytest

from kselect.cli.main import main
from kselect.distillation.device import find_device
from kselect.errors import KselectError
from kselect.launcher import SIZES, VARIABLES, check_launch, is_first, process_count
from tests.processes import environment


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *SIZES, "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT are not set"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "OMPI_COMM_WORLD_SIZE is 4, but RANK"),
        ({**environment(0, 2, 1), "MASTER_PORT": ""}, "WORLD_SIZE is 2, but MASTER_PORT is not set"),
        (environment(2, 2, 1), "RANK is 2, which has to be less than WORLD_SIZE, 2"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is two, which is not a number"),
        ({"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1"}, "use torchrun"),
    ],
)
def test_environments_that_cannot_work_are_refused(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(KselectError, match=message):
        check_launch()
    with pytest.raises(KselectError, match=message):
        find_device()
    assert main(["distill", "--task", "synthetic-acceptability", "--teacher", "."]) == 2
    assert message in capsys.readouterr().err


def test_one_process_needs_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    check_launch()
    assert (process_count(), is_first()) == (1, True)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # as schedulers of clusters may set
    monkeypatch.setenv("RANK", "3")
    check_launch()
    assert (process_count(), is_first()) == (1, True)


def test_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    for index in (0, 1):
        for name, value in environment(index, 2, 1).items():
            monkeypatch.setenv(name, value)
        check_launch()
        assert (process_count(), is_first()) == (2, index == 0)
