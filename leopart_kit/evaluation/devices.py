"""Choices that are left to the machine: its GPU where it has one, its processors."""

from __future__ import annotations

from typing import Literal

import torch

from leopart_kit.launch import own_cores


def choose_device(device: str) -> str:
    """`auto` is the GPU where there is one.

    Raises:
        ValueError: a device that torch does not know or that is not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter from a torch without CUDA
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={device} cannot be used here ({reason}); set device=auto or device=cpu"
        ) from error
    return device


def choose_num_workers(num_workers: int | Literal["auto"], device: str) -> int:
    """`auto`: none on a CPU, where they would compete with the encoder, else up to 8."""
    if num_workers == "auto":
        return 0 if device == "cpu" else min(8, own_cores())
    return num_workers
