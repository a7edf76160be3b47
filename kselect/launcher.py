"""Several processes of one run, as `torchrun` and `accelerate launch` start them: what their environment says."""

from __future__ import annotations

import os

from kselect.errors import KselectError

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher of torch sets in each process."""

SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables from which Accelerate concludes that there are several processes."""


def process_count() -> int:
    """Return the number of processes that take part in the run."""
    return max(_number(name, 1) for name in SIZES)


def is_first() -> bool:
    """Return whether this process is the first of the run; where nothing has started several, each is."""
    return not all(os.environ.get(name) for name in VARIABLES) or os.environ["RANK"] == "0"


def check_launch() -> None:
    """Check that several processes can find each other; joining them would otherwise wait for the rest.

    Raises:
        KselectError: an environment that no launcher of torch has set, or one of `accelerate launch` that was asked for
            several processes on the CPU, of which it starts one.
    """
    count = process_count()
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if count > 1 and missing:
        size = next(name for name in SIZES if _number(name, 1) == count)
        raise KselectError(
            f"{size} is {count}, but {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set: start the "
            f"processes with torchrun or accelerate launch, or unset {size}."
        )
    if count > 1 and not 0 <= _number("RANK", 0) < count:
        raise KselectError(f"RANK is {os.environ['RANK']}, which has to be less than WORLD_SIZE, {count}.")
    if {"ACCELERATE_MIXED_PRECISION", "MASTER_ADDR"} <= os.environ.keys() and "WORLD_SIZE" not in os.environ:
        raise KselectError(
            "accelerate launch was asked for several processes, and has started one, as it does on the CPU: use "
            "torchrun, or its option multi_gpu, which starts them without GPUs as well."
        )


def _number(name: str, default: int) -> int:
    value = os.environ.get(name) or default
    try:
        return int(value)
    except ValueError:
        raise KselectError(f"{name} is {value}, which is not a number: unset it, or start with torchrun.") from None
