"""Networks as files: a trained backbone, and a classifier as a backbone and a head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.files import load_file
from leopart_kit.backbones.tensor_file import write_tensors
from leopart_kit.backbones.weight_tensors import check_weights
from leopart_kit.methods import ImageClassifier

SavedPrecision = Literal["fp32", "fp16"]

BACKBONE_NAME, HEAD_NAME = "backbone.safetensors", "head.safetensors"

# What a classifier has beside its backbone, but for a counter that nothing reads.
_HEAD = ("norm.running_mean", "norm.running_var", "linear.weight", "linear.bias")


def check_backbone_precision(precision: str) -> None:
    """Raise `ValueError` for what `save_backbone` does not know."""
    if precision not in get_args(SavedPrecision):
        raise ValueError(f"backbone_precision must be fp32 or fp16, got {precision!r}")


def save_backbone(encoder: Encoder, path: Path, precision: SavedPrecision = "fp32") -> Path:
    """Write the backbone alone in timm's naming: for `load_encoder`, and for plain timm.

    Raises:
        ValueError: fp16 of a weight that is too large for it.
    """
    module = getattr(encoder, "vit", encoder)
    state: dict[str, Tensor] = module.state_dict()
    if precision == "fp16":
        state = {key: _halved(key, value) for key, value in state.items()}
    return write_tensors(state, path, {"format": "pt", "encoder": encoder.name})


def _halved(key: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    half = value.half()
    if half.isinf().any():
        raise ValueError(f"{key} does not fit fp16: set backbone_precision=fp32")
    return half


def save_classifier(
    classifier: ImageClassifier, folder: Path, class_names: Sequence[str]
) -> tuple[Path, Path]:
    """Write a backbone and the head on it as two files; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    backbone = save_backbone(classifier.backbone, folder / BACKBONE_NAME)
    state = classifier.state_dict()
    metadata = {"format": "pt", "class_names": json.dumps(list(class_names))}
    head = {key: state[key] for key in _HEAD}
    return backbone, write_tensors(head, folder / HEAD_NAME, metadata)


def load_classifier(backbone: Encoder, head: Path) -> ImageClassifier:
    """A classifier of a loaded backbone and a head that `save_classifier` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else, or a head for vectors of another length.
    """
    state = load_file(head)
    missing = [key for key in _HEAD if not isinstance(state.get(key), Tensor)]
    if missing:
        raise ValueError(
            f"{head} is no classifier's head, it lacks {missing[0]}: give the {HEAD_NAME} that "
            "leopart-eval-image writes for protocol.evaluations=[fine_tuning]"
        )
    try:
        check_weights({key: state[key] for key in _HEAD})
    except ValueError as error:
        raise ValueError(f"{head}: {error}") from error
    num_classes, embed_dim = state["linear.bias"].numel(), state["norm.running_mean"].numel()
    if embed_dim != backbone.embed_dim:
        raise ValueError(
            f"{head} is made for image vectors of {embed_dim} numbers, but those of "
            f"{backbone.name} have {backbone.embed_dim}: give the head that was trained with it"
        )
    classifier = ImageClassifier(backbone, num_classes)
    own = classifier.state_dict()
    odd = [key for key in _HEAD if state[key].shape != own[key].shape]
    if odd:
        shape, wanted = list(state[odd[0]].shape), list(own[odd[0]].shape)
        raise ValueError(f"{head}: {odd[0]} has the shape {shape}, its other tensors ask {wanted}")
    with torch.no_grad():
        for key in _HEAD:
            own[key].copy_(state[key])
    return classifier.eval()
