"""In what arithmetic a step is computed: bfloat16 where the processor has it, float32 elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

import torch


def dtype_of(precision: Literal["auto", "float32", "bfloat16"], device: Any) -> Any:
    """Return the torch dtype of a step's products on a device.

    "auto" is bfloat16 where the processor has its instructions (AVX-512 BF16 or AMX; without them it is slower than
    float32) and on GPUs that compute in it.
    """
    if precision == "float32":
        return torch.float32
    if precision == "bfloat16" or has_bfloat16(device):
        return torch.bfloat16
    return torch.float32


def has_bfloat16(device: Any) -> bool:
    """Return whether a device computes in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, probe, bool)() for probe in probes)


def autocast(dtype: Any, device: Any) -> AbstractContextManager[Any]:
    """Return the context in which a step's loss is computed; weights and sums stay in float32."""
    context: AbstractContextManager[Any] = torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16
    )
    return context


def allow_tf32(device: Any, precision: Literal["auto", "float32", "bfloat16"]) -> None:
    """Let a GPU compute float32 products in tf32, unless float32 was asked for by name."""
    if device.type == "cuda" and precision != "float32":
        torch.set_float32_matmul_precision("high")
