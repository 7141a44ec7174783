"""A trained backbone as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from leopart_kit.backbones.encoder import Encoder
from leopart_kit.backbones.files import load_file
from leopart_kit.backbones.tensor_file import write_tensors

SavedPrecision = Literal["fp32", "fp16"]

BACKBONE_NAME = "backbone.safetensors"


def save_backbone(encoder: Encoder, path: Path, precision: SavedPrecision = "fp32") -> Path:
    """Write the backbone alone in timm's naming: for `load_encoder`, and for plain timm.

    Raises:
        ValueError: fp16 of a weight that is too large for it.
    """
    state = encoder.saved_weights()
    if precision == "fp16":
        state = {key: _halved(key, value) for key, value in state.items()}
    return write_tensors(state, path, {"format": "pt", "encoder": encoder.name})


def load_backbone(encoder: Encoder, path: Path) -> None:
    """Give an encoder the weights that `save_backbone` wrote of one like it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or of another network.
    """
    try:
        encoder.take_weights(load_file(path))
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}; it must be the backbone.safetensors of a training of {encoder.name}"
        ) from error
    encoder.weights = str(path)


def saved_precision(path: Path) -> SavedPrecision:
    """The precision in which `save_backbone` wrote the weights of a file.

    Raises:
        ValueError: the file is damaged.
    """
    weights = load_file(path).values()
    is_half = any(isinstance(one, Tensor) and one.dtype == torch.float16 for one in weights)
    return "fp16" if is_half else "fp32"


def _halved(key: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    half = value.half()
    if half.isinf().any():
        raise ValueError(f"{key} does not fit fp16: set backbone_precision=fp32")
    return half
