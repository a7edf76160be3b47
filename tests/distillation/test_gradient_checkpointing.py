"""Activations that are computed again give the same training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tiny import tiny_distiller


@pytest.mark.parametrize("kind", ["logits", "hidden", "attention", "relations"])
def test_checkpointed_gradients_train_the_same_student(kind: str) -> None:
    trained = []
    for checkpointing in (False, True):
        distiller = tiny_distiller({"knowledge": ["gold", kind]}, gradient_checkpointing=checkpointing)
        distiller.reset(1)
        report = distiller.advance([1, 1], 3)
        trained.append((report.losses, distiller.student.model.state_dict()))
    (losses, weights), (again, recomputed) = trained
    np.testing.assert_allclose(list(again.values()), list(losses.values()), rtol=1e-6)
    for name, value in weights.items():
        torch.testing.assert_close(recomputed[name], value, rtol=1e-5, atol=1e-7)
