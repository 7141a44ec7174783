"""A frozen encoder under STEGO's segmentation head, as an encoder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.backbones.files import load_file
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
    """

    centroids: nn.Parameter

    def __init__(self, backbone: Encoder, head: StegoHead, centroids: Tensor) -> None:
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
        head = {f"{HEAD}{name}": value for name, value in self.head.state_dict().items()}
        return {**self.backbone.saved_weights(), **head, PROBE: self.centroids.detach()}


def load_stego(
    weights: str | os.PathLike[str], name: str, precision: Precision = "fp32"
) -> StegoEncoder:
    """The encoder that a training with `method=stego` has saved.

    On a command line: `encoder=custom encoder.factory=leopart_kit.methods.stego_encoder:load_stego
    encoder.factory_options={weights: run/backbone.safetensors, name: dino_vits8}`.

    Args:
        weights: the file.
        name: of the backbone, as `load_encoder` takes it.
        precision: of the backbone; the head stays in fp32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no head of STEGO, or another backbone than that.
    """
    state = load_file(Path(weights))
    head = {key.removeprefix(HEAD): v for key, v in state.items() if key.startswith(HEAD)}
    wanted = {"linear.weight", "linear.bias", "nonlinear.0.weight", "nonlinear.0.bias"}
    centroids = state.get(PROBE)
    if not wanted <= head.keys() or not isinstance(centroids, Tensor):
        raise ValueError(
            f"{weights} holds no head of STEGO ({HEAD}linear.weight, …, {PROBE}); set weights to "
            "the backbone.safetensors of a training with method=stego"
        )
    own = {key: v for key, v in state.items() if not key.startswith(HEAD) and key != PROBE}
    backbone = load_encoder(name, "random", precision=precision)
    module = getattr(backbone, "vit", backbone)
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{weights} has another backbone than name={name}: {reason}") from error
    made = StegoHead(backbone.embed_dim, centroids.shape[1])
    made.load_state_dict(head)
    encoder = StegoEncoder(backbone, made, torch.as_tensor(centroids).float())
    encoder.weights = str(weights)
    return encoder.eval()
