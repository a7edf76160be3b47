from __future__ import annotations

import pytest

from kselect.errors import KselectError
from kselect.schedule import Schedule


@pytest.mark.parametrize(
    ("value", "values"),
    [(2, [2, 2, 2]), ("2.5", [2.5, 2.5, 2.5]), ("4->1", [4, 2.5, 1]), (" 0 -> 10 ", [0, 5, 10])],
)
def test_schedule_is_linear_over_the_run(value: float | str, values: list[float]) -> None:
    schedule = Schedule.parse(value, "temperature")
    assert [schedule(progress) for progress in (0, 0.5, 1)] == values


@pytest.mark.parametrize("value", ["", "->", "4->", "->1", "4->3->2", "warm"])
def test_schedule_parse_refuses_bad_values(value: str) -> None:
    with pytest.raises(KselectError) as error:
        Schedule.parse(value, "temperature")
    assert str(error.value) == f"temperature is '{value}': give a number, or a schedule over the run such as 4->1."
