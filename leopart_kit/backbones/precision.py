"""In which precision an encoder runs; tokens are float32 either way."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch

Precision = Literal["fp32", "bf16"]


def check_precision(precision: str) -> None:
    """Raise ``ValueError`` for anything else than ``fp32`` and ``bf16``."""
    if precision not in get_args(Precision):
        raise ValueError(f"precision {precision!r}: choose fp32 or bf16")


def autocast_to(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Autocast to bfloat16 inside, where that is the precision.

    Only ever switched on: a training loop may have its own autocast around this.
    """
    bf16 = torch.autocast(device.type, torch.bfloat16)
    return bf16 if precision == "bf16" else nullcontext()
