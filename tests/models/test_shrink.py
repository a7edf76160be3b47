from __future__ import annotations

import pytest
import torch

from kselect.errors import KselectError
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.models.shrink import shrink, uniform_layers
from kselect.tasks.encoding import encode
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task


@pytest.mark.parametrize(("teacher", "student", "layers"), [(6, 3, [2, 4, 6]), (12, 4, [3, 6, 9, 12]), (5, 2, [2, 5])])
def test_layers_are_spread_to_the_last(teacher: int, student: int, layers: list[int]) -> None:
    assert uniform_layers(teacher, student) == layers


def test_kept_layers_embeddings_and_head_are_the_teachers() -> None:
    teacher = tiny_classifier(tiny_task(), layers=4)
    student = shrink(teacher, [1, 4])
    of_teacher, of_student = teacher.model.state_dict(), student.model.state_dict()
    for name, value in of_student.items():
        source = name.replace("layer.1.", "layer.3.")
        assert torch.equal(value, of_teacher[source]), name
    assert student.model.config.num_hidden_layers == 2
    assert teacher.model.config.num_hidden_layers == 4


def test_training_the_student_leaves_the_teacher_alone() -> None:
    teacher = tiny_classifier(tiny_task())
    before = {name: value.clone() for name, value in teacher.model.state_dict().items()}
    student = shrink(teacher, 2)
    with torch.no_grad():
        for parameter in student.model.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(before[name], value) for name, value in teacher.model.state_dict().items())


def test_all_layers_give_the_teachers_logits() -> None:
    task = tiny_task()
    teacher = tiny_classifier(task)
    teacher.model.eval()
    batch = encode(task.splits["dev"], teacher.tokenizer, 32).batch(range(8))
    copy = shrink(teacher, 4)
    assert torch.equal(forward(copy.model, batch, Needs()).logits, forward(teacher.model, batch, Needs()).logits)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (5, "layers is 5, the teacher has 4: give a number from 1 to 4."),
        (0, "layers is 0, the teacher has 4: give a number from 1 to 4."),
        ([2, 5], "layers names 5, the teacher has 1 to 4: name layers among those."),
        ([3, 1], "layers is [3, 1]: name at least one layer, in rising order, none twice."),
    ],
)
def test_impossible_layers_are_refused(layers: int | list[int], message: str) -> None:
    with pytest.raises(KselectError) as error:
        shrink(tiny_classifier(tiny_task(), layers=4), layers)
    assert str(error.value) == message


def test_a_teacher_that_has_taught_can_be_shrunk_again() -> None:
    distiller = tiny_distiller()
    distiller.advance([1, 1, 1, 1, 1], 1)
    assert distiller.teacher is not None
    assert all(parameter.requires_grad for parameter in shrink(distiller.teacher, 2).model.parameters())
