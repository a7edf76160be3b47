"""Device and precision of forward passes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta

import torch
from accelerate import PartialState
from torch import Tensor

from kselect.errors import KselectError, first_line, unknown
from kselect.launcher import check_launch

PATIENCE = timedelta(hours=6)  # the other processes wait while the first evaluates, or fills the teacher cache
DEVICES = ("cpu", "cuda", "mps")
"""Types of devices that can be asked for by name."""


def find_device(name: str = "auto") -> torch.device:
    """Return a device by name, such as cpu, cuda, cuda:1 or mps; auto is the CUDA device if there is one, else the CPU.

    Of several processes that a launcher has started, each has the CUDA device of its own, or the CPU.

    Raises:
        KselectError: a name that is of no such device, one that this machine does not have, one by which several
            processes would share a device, or processes that no launcher has started.
    """
    check_launch()
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
    if name == "auto":
        return state.device
    if state.num_processes > 1 and name != state.device.type:
        raise KselectError(
            f"device is {name}, but of several processes each has its own: give auto, or {state.device.type}.",
            setting="device",
        )
    if state.num_processes > 1:
        return state.device
    known = f"give auto, {', '.join(DEVICES[:-1])} or {DEVICES[-1]}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise KselectError(f"device is {name}: {known}.", setting="device") from None
    if device.type not in DEVICES:
        raise KselectError(f"device is {name}: {known}.", setting="device")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without CUDA
        raise KselectError(
            f"device is {name}, which cannot be used here ({first_line(error)}): {known}.", setting="device"
        ) from None
    return device


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the host to `device`; asynchronously, from pinned memory, to a CUDA device."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype for `auto`, `bf16` or `fp32` on `device`.

    `auto` is bf16 if the hardware supports it natively; emulation is several times slower than fp32.

    Raises:
        KselectError: another name.
    """
    if precision == "auto":
        precision = "bf16" if _native_bf16(device) else "fp32"
    dtypes = {"bf16": torch.bfloat16, "fp32": torch.float32}
    if precision not in dtypes:
        raise unknown("precision", precision, ["auto", *dtypes])
    return dtypes[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Return an autocast context for `dtype`; a no-op for float32."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def _native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False
