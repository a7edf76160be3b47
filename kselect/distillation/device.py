"""Device and precision of forward passes."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from accelerate import PartialState
from torch import Tensor

from kselect.errors import KselectError


def default_device() -> torch.device:
    """Return the CUDA device if there is one, otherwise the CPU."""
    state = PartialState(cpu=not torch.cuda.is_available())
    if state.num_processes > 1:
        raise KselectError(
            "A run trains in one process, and a launcher has started several: start it without a launcher."
        )
    return state.device


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the host to `device`; asynchronously, from pinned memory, to a CUDA device."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype for `auto`, `bf16` or `fp32` on `device`.

    `auto` is bf16 if the hardware supports it natively; emulation is several times slower than fp32.
    """
    if precision == "auto":
        precision = "bf16" if _native_bf16(device) else "fp32"
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]


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
