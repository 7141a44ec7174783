"""Tensors that can be the weights of a backbone, and those that cannot."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_COUNTERS = ("num_batches_tracked",)  # of batch norm: a whole number that nothing reads
# Dimensions of the tensors whose shapes tell the architecture.
_DIMENSIONS = {
    "patch_embed.proj.weight": 4,
    "pos_embed": 3,
    "cls_token": 3,
    "dist_token": 3,
    "reg_token": 3,
    "conv1.weight": 4,
    "conv5.weight": 4,
}


def check_weights(tensors: Mapping[str, Tensor]) -> None:
    """Raise `ValueError`, naming the first tensor that cannot be weights, and why."""
    for key, value in tensors.items():
        if key.endswith(_COUNTERS):
            continue
        fault = storage_fault(value) or _number_fault(value)
        if fault:
            raise ValueError(
                f"{shown(key)} {fault}; a backbone needs dense floating point numbers: save it "
                "as such"
            )


def storage_fault(value: Tensor) -> str | None:
    """The reason why a tensor's numbers cannot be read one by one; `None` where they can."""
    if value.is_nested or value.layout != torch.strided:
        return f"is {'nested' if value.is_nested else str(value.layout).removeprefix('torch.')}"
    if value.is_quantized:
        return f"is quantised ({_kind(value)})"
    if value.device.type == "meta":
        return "has a shape and no numbers (device meta)"
    # A view can claim any size, and a sum over it would take as long and as much memory.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"has the shape {list(value.shape)}, for which the file holds too few numbers"
    return None


def value_fault(value: Tensor) -> str | None:
    """The reason why a tensor, of whole numbers too, cannot be a module's; `None` where it can."""
    return storage_fault(value) or (_infinity(value) if value.is_floating_point() else None)


def _number_fault(value: Tensor) -> str | None:
    if not value.is_floating_point():
        return f"is {_kind(value)}"
    if value.numel() == 0:
        return f"is empty (shape {list(value.shape)})"
    return _infinity(value)


def _infinity(value: Tensor) -> str | None:
    # A sum is not finite if a term is not, and costs no mask; finite terms may overflow it.
    total = value.float().sum()
    if not torch.isfinite(total) and not torch.isfinite(value.float()).all():
        return "holds NaN or infinity"
    return None


def check_shapes(state: Mapping[str, Tensor]) -> None:
    """Raise `ValueError` where shapes of a state dict in timm naming make no network."""
    for key, value in state.items():
        wanted = _DIMENSIONS.get(key)
        if wanted is not None and value.ndim != wanted:
            raise ValueError(f"{key} has the shape {list(value.shape)}, not {wanted} dimensions")
        if value.ndim == 0 and not key.endswith(_COUNTERS):
            raise ValueError(f"{shown(key)} is a single number")
    patches = state.get("patch_embed.proj.weight")
    if patches is None:
        return
    for key in ("pos_embed", "cls_token", "dist_token", "reg_token"):
        if key in state and state[key].shape[-1] != len(patches):
            raise ValueError(
                f"{key} has {state[key].shape[-1]} channels, the patch embedding {len(patches)}"
            )


def shown(key: str) -> str:
    """A key as a message can hold it: printable, and of a length to be read."""
    text = key if key.isprintable() else repr(key)[1:-1]
    return text if len(text) <= 120 else f"{text[:60]}...{text[-50:]}"


def _kind(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
