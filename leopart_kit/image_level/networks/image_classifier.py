"""A backbone with a linear classifier on its image vector, and its two files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.files import load_file
from leopart_kit.backbones.saved_backbone import BACKBONE_NAME, save_backbone
from leopart_kit.backbones.tensor_file import write_tensors
from leopart_kit.backbones.weight_tensors import check_weights

HEAD_NAME = "head.safetensors"

# What a classifier has beside its backbone, but for a counter that nothing reads.
_HEAD = ("norm.running_mean", "norm.running_var", "linear.weight", "linear.bias")


class ImageClassifier(nn.Module):
    """Image vector → batch normalisation without scale → linear layer.

    The normalisation makes one learning rate suit backbones whose vectors differ in size by orders
    of magnitude. The linear layer starts at 0: every class is as likely as any other.

    Args:
        backbone: trained with the rest unless frozen.
        num_classes: of the classifier.
    """

    def __init__(self, backbone: Encoder, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.norm = nn.BatchNorm1d(backbone.embed_dim, affine=False)
        self.linear = nn.Linear(backbone.embed_dim, num_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images `[B, 3, H, W]` → logits `[B, C]`."""
        return self.linear(self.norm(self.backbone.cls_token(images)))


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
            "leopart image writes for protocol.evaluations=[fine_tuning]"
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
