"""In which precision an encoder runs; tokens are float32 either way."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Literal, get_args

import torch

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16"]


def check_precision(precision: str) -> None:
    """Raise `ValueError` for anything else than `fp32` and `bf16`."""
    if precision not in get_args(Precision):
        raise ValueError(f"precision {precision!r}: choose fp32 or bf16")


def autocast_to(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Autocast to bfloat16 inside, where that is the precision; else TF32 where a GPU has it.

    Only ever switched on: a training loop may have its own autocast around this. Warns once on a
    processor that has no matrix product in bfloat16.
    """
    if precision == "fp32":
        return tf32_products(device)
    if device.type == "cpu" and not torch.compiler.is_compiling():
        _warn_of_emulation()
    return torch.autocast(device.type, torch.bfloat16)


def tf32_products(device: torch.device) -> AbstractContextManager[object]:
    """Matrix products of float32 in TF32 inside, on GPUs that have it (Ampere and later).

    For networks alone: their numbers keep 10 bits, as those of PyTorch's convolutions do by
    default. Distances in k-means and among neighbours stay whole.
    """
    # A compiled network is within the context of the step that it is a part of.
    known = device.type == "cuda" and not torch.compiler.is_compiling() and has_tf32(device)
    return _Tf32() if known else nullcontext()


@cache
def has_tf32(device: torch.device) -> bool:
    """True for a GPU of NVIDIA from Ampere on."""
    if device.type != "cuda" or not torch.cuda.is_available() or torch.version.cuda is None:
        return False
    return torch.cuda.get_device_capability(device)[0] >= 8


def gpu_in_use() -> dict[str, str]:
    """Name of the GPU of this process, and the products of its networks in float32; {} without."""
    if not torch.cuda.is_initialized():
        return {}
    device = torch.device("cuda", torch.cuda.current_device())
    products = "tf32" if has_tf32(device) else "fp32"
    return {"gpu": torch.cuda.get_device_name(device), "float32_networks": products}


class _Tf32:
    def __enter__(self) -> None:
        self._before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")

    def __exit__(self, *error: object) -> None:
        torch.set_float32_matmul_precision(self._before)


@cache
def _warn_of_emulation() -> None:
    has_mkldnn = torch.backends.mkldnn.is_available()
    if has_mkldnn and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        logger.warning(
            "precision=bf16: this processor (%s) has no bfloat16 and emulates it, tens of times "
            "slower; choose precision=fp32",
            torch.backends.cpu.get_cpu_capability(),
        )
