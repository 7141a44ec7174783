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
    """Autocast to bfloat16 inside, where that is the precision.

    Only ever switched on: a training loop may have its own autocast around this. Warns once on a
    processor that has no matrix product in bfloat16.
    """
    if precision == "fp32":
        return nullcontext()
    if device.type == "cpu" and not torch.compiler.is_compiling():
        _warn_of_emulation()
    return torch.autocast(device.type, torch.bfloat16)


@cache
def _warn_of_emulation() -> None:
    has_mkldnn = torch.backends.mkldnn.is_available()
    if has_mkldnn and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        logger.warning(
            "precision=bf16: this processor (%s) has no bfloat16 and emulates it, tens of times "
            "slower; choose precision=fp32",
            torch.backends.cpu.get_cpu_capability(),
        )
