"""The contract of every backbone: images in, a grid of patch tokens out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub import ModelHubMixin
from torch import Tensor, nn

from leopart_kit.backbones.module_weights import fill_module
from leopart_kit.backbones.precision import Precision, check_precision
from leopart_kit.identity import hash_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Triple = tuple[float, float, float]


def as_triple(values: Sequence[float]) -> Triple:
    """One value for each of R, G, B; `ValueError` for another number of them."""
    if len(values) != 3:
        raise ValueError(f"mean and std need three values each, got {list(values)}")
    return float(values[0]), float(values[1]), float(values[2])


def grid_size(height: int, width: int, patch_size: int) -> tuple[int, int]:
    """Patches needed to cover an image, `(ceil(H / p), ceil(W / p))`."""
    return -(-height // patch_size), -(-width // patch_size)


def whole_patches(size: tuple[int, int], patch_size: int) -> tuple[int, int]:
    """`(H, W)` rounded up to whole patches.

    An image resized to it has no padding: its map of patches covers it and nothing else.

    Raises `ValueError` for a size below one patch, which is a mistake.
    """
    if min(size) < patch_size:
        raise ValueError(
            f"resolution {list(size)} is smaller than one patch of {patch_size} px: raise it, or "
            "choose an encoder with smaller patches"
        )
    rows, columns = grid_size(*size, patch_size)
    return rows * patch_size, columns * patch_size


def pad_to_grid(images: Tensor, patch_size: int) -> Tensor:
    """Pad `[B, C, H, W]` with zeros, right and below, to whole patches.

    Images are normalised before they get here, so zero is the mean colour of the training set.
    This is what timm does (`dynamic_img_pad`); patch `(i, j)` always starts at pixel `(i *
    p, j * p)`.

    Raises `ValueError` for something that is not a batch of images of at least one patch.
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            f"expected normalised float images [B, 3, H, W], got {images.dtype} "
            f"{list(images.shape)}: use encoder.preprocess on uint8 images"
        )
    height, width = images.shape[-2:]
    if height < patch_size or width < patch_size:
        raise ValueError(
            f"image of {height} x {width} px is smaller than one patch of {patch_size} px: "
            "resize the images or choose an encoder with smaller patches"
        )
    rows, columns = grid_size(height, width, patch_size)
    padding = (0, columns * patch_size - width, 0, rows * patch_size - height)
    return F.pad(images, padding) if any(padding) else images


def no_attention(name: str) -> ValueError:
    """The error of an architecture without CLS attention."""
    return ValueError(
        f"{name} has no CLS attention: choose a vision transformer with a CLS token (for example "
        "dino_vits16)"
    )


_CARD = """---
{{ card_data }}
---
An encoder of [leopart_kit](https://pypi.org/project/leopart-kit): patch tokens of images.
```python
from leopart_kit import Encoder

encoder = Encoder.from_pretrained("ORGANISATION/NAME")
tokens = encoder(images)  # uint8 [B, 3, H, W] → [B, D, h, w]
```
"""


class Encoder(
    nn.Module,
    ModelHubMixin,
    library_name="leopart-kit",
    model_card_template=_CARD,
    pipeline_tag="image-feature-extraction",
):
    """A frozen or trainable backbone that maps images to patch tokens.

    Subclasses implement `patch_tokens` and, where the architecture has a CLS token,
    `cls_token`, `cls_and_patches`, `attention` and `tokens_and_attention`; and
    `layer_features` where there are layers.

    Attributes:
        name: name in the zoo, or of the timm model.
        embed_dim: channels D of a token.
        patch_size: pixels p per token and side.
        mean, std: normalisation of RGB in [0, 1], three values each.
        depth: number of blocks, `None` where there are none.
        weights: what was loaded: a file path, `timm hub: ...`, `random` or `none`.
        settings: everything besides weights that changes the output; part of the fingerprint.
    """

    def __init__(
        self,
        *,
        name: str,
        embed_dim: int,
        patch_size: int,
        mean: Triple = IMAGENET_MEAN,
        std: Triple = IMAGENET_STD,
        depth: int | None = None,
        weights: str = "none",
        settings: dict[str, object] | None = None,
    ) -> None:
        super().__init__()
        if any(not isinstance(n, Integral) or n < 1 for n in (patch_size, embed_dim)):
            raise ValueError(
                f"patch_size {patch_size!r} and embed_dim {embed_dim!r} must be positive"
                " whole numbers"
            )
        self.name = name
        self.embed_dim = int(embed_dim)
        self.patch_size = int(patch_size)
        self.mean = as_triple(mean)
        self.std = as_triple(std)
        if min(self.std) <= 0:
            raise ValueError(f"std {self.std}: must be above 0")
        self.depth = depth
        self.weights = weights
        self.settings = settings or {}

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalise RGB images: uint8 `[B, 3, H, W]` → float32 of the same shape."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(
                f"preprocess takes uint8 images [B, 3, H, W], got {images.dtype} "
                f"{list(images.shape)}"
            )
        mean = torch.tensor(self.mean, device=images.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, 3, 1, 1)
        return (images.float() / 255 - mean) / std

    def forward(self, images: Tensor) -> Tensor:
        """Patch tokens `[B, D, h, w]` of uint8 images, which are normalised first, or of floats.

        Floats are taken as normalised already, see `preprocess`.
        """
        pixels = images.dtype == torch.uint8
        return self.patch_tokens(self.preprocess(images) if pixels else images)

    def patch_tokens(self, images: Tensor) -> Tensor:
        """Patch tokens of normalised images: `[B, 3, H, W]` → `[B, D, ceil(H/p), ceil(W/p)]`.

        Differentiable with respect to weights and images.
        """
        raise NotImplementedError

    def cls_token(self, images: Tensor) -> Tensor:
        """One vector an image, `[B, D]`; the mean of its patch tokens where there is no CLS."""
        return self.patch_tokens(images).mean(dim=(2, 3))

    def cls_and_patches(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """`cls_token` and `patch_tokens` of the same images; a ViT runs once for both."""
        if type(self).cls_token is not Encoder.cls_token:
            return self.cls_token(images), self.patch_tokens(images)
        patches = self.patch_tokens(images)
        return patches.mean(dim=(2, 3)), patches

    def layer_features(self, images: Tensor) -> dict[str, Tensor]:
        """Output of every layer, first to last: `{layer: [B, C, h, w]}`, for layer-wise probes.

        Layers are blocks of a ViT, stages of a ResNet, convolutions of AlexNet. The last one is
        `patch_tokens`; it is the only one of an encoder that shows no other.
        """
        return {"tokens": self.patch_tokens(images)}

    def attention(self, images: Tensor) -> Tensor:
        """Attention of CLS to the patches in the last block, `[B, heads, h, w]`.

        The softmax runs over all tokens, so a head sums to 1 minus what CLS and registers receive.
        Raises `ValueError` where the architecture has no CLS attention.
        """
        raise no_attention(self.name)

    def tokens_and_attention(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """`patch_tokens` and `attention` of the same images; a ViT runs once for both."""
        return self.patch_tokens(images), self.attention(images)

    def run_in(self, precision: Precision) -> None:
        """Run in a precision from now on; tokens are float32 either way.

        Raises `ValueError` where the class of the encoder knows none, or there is no such one.
        """
        check_precision(precision)
        if not hasattr(self, "precision"):
            raise ValueError(
                f"precision={precision}: {self.name} is a {type(self).__name__}, which knows none; "
                "give what makes it a parameter precision, or set precision=fp32"
            )
        self.precision = precision
        self.settings = {**self.settings, "precision": precision}

    def saved_weights(self) -> dict[str, Tensor]:
        """Tensors of a file that `load_encoder` reads, by their names there."""
        return self.saved_module.state_dict()

    def take_weights(self, weights: Mapping[str, object]) -> None:
        """Take tensors as `saved_weights` gives them; raises as `fill_module`."""
        fill_module(self.saved_module, weights)

    @property
    def saved_module(self) -> nn.Module:
        """The module whose names `saved_weights` has: the network without what is around it."""
        return self

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the weights and all settings that change the output."""
        digest = hashlib.sha256()
        identity = {
            "class": type(self).__qualname__,
            "name": self.name,
            "patch_size": self.patch_size,
            "mean": self.mean,
            "std": self.std,
            **self.settings,
        }
        digest.update(json.dumps(identity, sort_keys=True, default=str).encode())
        digest.update(hash_weights(self.state_dict()).encode())
        return digest.hexdigest()

    def _save_pretrained(self, save_directory: Path) -> None:
        """The two files of `save_pretrained` and `push_to_hub`, see `write_pretrained`."""
        from leopart_kit.backbones.pretrained import write_pretrained  # which needs this class

        write_pretrained(self, save_directory)

    @staticmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        source: str | Path, **download: Any
    ) -> Encoder:
        """The encoder that `save_pretrained` or `push_to_hub` left.

        Args:
            source: a folder, or `organisation/name` on the Hugging Face hub.
            download: `revision`, `token`, `cache_dir`, … of `huggingface_hub.hf_hub_download`.

        Raises:
            FileNotFoundError: no such folder or repository.
            ValueError: files that are damaged or of another library.
        """
        from leopart_kit.backbones.pretrained import read_pretrained  # which needs this class

        return read_pretrained(source, **download)

    @staticmethod
    def from_module(
        fn: Callable[[Tensor], object],
        patch_size: int | None = None,
        embed_dim: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> Encoder:
        """Make an encoder of any callable.

        Args:
            fn: maps normalised images `[B, 3, H, W]` (H and W whole patches) to `[B, D, h,
                w]` or `[B, h * w, D]` (row by row, without CLS and registers); or to what
                DINOv2's `forward_features` and the models of Hugging Face return. If it is an
                `nn.Module`, its weights take part in training and in the fingerprint.
            patch_size: pixels a token covers per side.
            embed_dim: channels D. Without these two, `fn` is run once to see, see `find_layout`.
            mean, std: normalisation that `preprocess` applies; by default what `fn` names so, or
                its `pretrained_cfg` (timm), or ImageNet's.

        Raises `ValueError` for what is no encoder, and says what is missing.
        """
        from leopart_kit.backbones.function_encoder import encoder_of  # which needs this class

        return encoder_of(fn, patch_size, embed_dim, mean, std)
