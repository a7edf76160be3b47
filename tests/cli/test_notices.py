"""What commands say of the models of a run."""

from __future__ import annotations

import pytest

from kselect.cli.notices import say_default_depth
from kselect.config import StudentConfig
from kselect.distillation.builders import Models
from kselect.models.shrink import shrink
from tests.tiny import tiny_classifier, tiny_task


def test_the_depth_of_the_student_is_said_where_it_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    task = tiny_task()
    teacher = tiny_classifier(task, layers=4)
    models = Models(task, [teacher], shrink(teacher, 3), None)
    say_default_depth(StudentConfig("teacher"), models)
    assert capsys.readouterr().err == (
        "The student keeps 3 of the teacher's 4 layers: --layers sets how many, or which.\n"
    )
    say_default_depth(StudentConfig("teacher", layers=3), models)
    assert capsys.readouterr().err == ""
