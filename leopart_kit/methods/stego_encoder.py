"""A frozen encoder under STEGO's segmentation head, as an encoder of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.backbones.files import load_file
from leopart_kit.backbones.module_weights import fill_module
from leopart_kit.backbones.precision import Precision

HEAD, PROBE = "head.", "centroids"


class StegoHead(nn.Module):
    """Features `[B, D, h, w]` → codes `[B, E, h, w]`: a linear map plus one with a hidden layer.

    Each of the two sees its own dropout of whole channels.

    Source: Hamilton et al. (STEGO), ICLR 2022, section 4 and the released code.
    """

    def __init__(self, in_dim: int, out_dim: int = 70, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.linear = nn.Conv2d(in_dim, out_dim, 1)
        self.nonlinear = nn.Sequential(
            nn.Conv2d(in_dim, in_dim, 1), nn.ReLU(), nn.Conv2d(in_dim, out_dim, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        return self.linear(self.dropout(features)) + self.nonlinear(self.dropout(features))


class StegoEncoder(Encoder):
    """An encoder whose patch tokens are the codes of a head on a frozen network's.

    Args:
        backbone: frozen here.
        head: features → codes.
        centroids: `[K, E]` of the cluster probe; `unsupervised_27` can take them for k-means'.

    Raises:
        ValueError: the network has tensors of the names that the head's have in a file.
    """

    centroids: nn.Parameter

    def __init__(self, backbone: Encoder, head: StegoHead, centroids: Tensor) -> None:
        taken = next(filter(_is_trained, backbone.saved_weights()), None)
        if taken is not None:
            raise ValueError(
                f"encoder {backbone.name} has a tensor {taken}, as STEGO's head has in its file: "
                "call it otherwise in the network"
            )
        super().__init__(
            name=backbone.name,
            embed_dim=centroids.shape[1],
            patch_size=backbone.patch_size,
            mean=backbone.mean,
            std=backbone.std,
            depth=backbone.depth,
            weights=backbone.weights,
            settings=backbone.settings,
        )
        self.backbone = backbone.requires_grad_(False).eval()
        self.head = head
        self.centroids = nn.Parameter(centroids)

    def train(self, mode: bool = True) -> StegoEncoder:
        """The backbone stays in eval mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def patch_tokens(self, images: Tensor) -> Tensor:
        """Codes `[B, E, ceil(H/p), ceil(W/p)]`."""
        return self.head(self.backbone.patch_tokens(images))

    def cls_token(self, images: Tensor) -> Tensor:
        """The backbone's."""
        return self.backbone.cls_token(images)

    def attention(self, images: Tensor) -> Tensor:
        """The backbone's."""
        return self.backbone.attention(images)

    def saved_weights(self) -> dict[str, Tensor]:
        """Tensors of a file that `load_stego` reads: the backbone's own names, and the head's."""
        return {**self.backbone.saved_weights(), **self._trained_part().state_dict()}

    def take_weights(self, weights: Mapping[str, object]) -> None:
        """See `Encoder.take_weights`."""
        own = {key for key in weights if _is_trained(key)}
        fill_module(self._trained_part(), {key: weights[key] for key in own})
        self.backbone.take_weights({k: v for k, v in weights.items() if k not in own})

    def _trained_part(self) -> nn.Module:
        """Head and probe alone, under their names in files."""
        part = nn.Module()
        part.head, part.centroids = self.head, self.centroids
        return part


def _is_trained(key: str) -> bool:
    return key.startswith(HEAD) or key == PROBE


def load_stego(
    weights: str | os.PathLike[str], name: str, precision: Precision = "fp32", **options: Any
) -> StegoEncoder:
    """The encoder that a training with `method=stego` has saved.

    On a command line: `encoder=custom encoder.factory=leopart_kit.methods.stego_encoder:load_stego
    encoder.factory_options={weights: run/backbone.safetensors, name: dino_vits8}`.

    Args:
        weights: the file.
        name: of the backbone, as `load_encoder` takes it.
        precision: of the backbone; the head stays in fp32. On a command line, that of the run.
        options: what else `load_encoder` takes, as the training had it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no whole head of STEGO, or another backbone than that.
    """
    state = load_file(Path(weights))
    centroids = state.get(PROBE)
    if not isinstance(centroids, Tensor) or centroids.ndim != 2 or not centroids.numel():
        tensor = isinstance(centroids, Tensor)
        fault = f"has the shape {list(centroids.shape)}" if tensor else "is missing"
        raise ValueError(
            f"{weights}: {PROBE} {fault}; set weights to the backbone.safetensors of a training "
            "with method=stego"
        )
    backbone = load_encoder(name, "random", precision=precision, **options)
    clusters, code_dim = centroids.shape
    head = StegoHead(backbone.embed_dim, code_dim)
    encoder = StegoEncoder(backbone, head, torch.empty(clusters, code_dim))
    try:
        encoder.take_weights(state)
    except ValueError as error:
        raise ValueError(
            f"{weights}: {error}; it must be the backbone.safetensors of a training with "
            f"method=stego on name={name}"
        ) from error
    encoder.weights = str(weights)
    return encoder.eval()
