"""Where models are run."""

from __future__ import annotations

import torch
from accelerate import PartialState

from kselect.errors import UserError


def default_device() -> torch.device:
    """Return the CUDA device where there is one, else the CPU.

    Raises:
        UserError: a launcher has started several processes.
    """
    state = PartialState(cpu=not torch.cuda.is_available())
    if state.num_processes > 1:
        raise UserError("A run trains in one process: start it without a launcher.")
    return state.device
