"""An encoder of any network or function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from leopart_kit.backbones.encoder import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Encoder,
    Triple,
    as_triple,
    grid_size,
    pad_to_grid,
)
from leopart_kit.backbones.module_layout import PatchFeatures, find_layout
from leopart_kit.backbones.precision import Precision, autocast_to
from leopart_kit.backbones.token_grid import token_grid
from leopart_kit.identity import describe, describe_module


def encoder_of(
    fn: Callable[[Tensor], object],
    patch_size: int | None,
    embed_dim: int | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> FunctionEncoder:
    """See `Encoder.from_module`."""
    if not callable(fn) or isinstance(fn, type):
        raise ValueError(f"from_module needs a callable, got a {type(fn).__name__}")
    if (patch_size is None) != (embed_dim is None):
        raise ValueError(f"patch_size={patch_size} and embed_dim={embed_dim}: give both or neither")
    mean = _said(fn, "mean", IMAGENET_MEAN) if mean is None else as_triple(mean)
    std = _said(fn, "std", IMAGENET_STD) if std is None else as_triple(std)
    network = fn
    if patch_size is None or embed_dim is None:
        network, patch_size, embed_dim = find_layout(fn, _label(fn))
    return FunctionEncoder(network, _label(fn), patch_size, embed_dim, mean, std)


def _said(fn: object, name: str, default: Triple) -> Triple:
    """Mean or std as a network itself names it."""
    config = getattr(fn, "pretrained_cfg", None)
    said = getattr(fn, name, config.get(name) if isinstance(config, dict) else None)
    return as_triple(said) if isinstance(said, (list, tuple)) else default


def _label(fn: object) -> str:
    return f"custom:{getattr(fn, '__qualname__', type(fn).__qualname__)}"


class FunctionEncoder(Encoder):
    """A callable behind the contract of encoders; `Encoder.from_module` makes one."""

    precision: Precision = "fp32"

    def __init__(
        self,
        fn: Callable[[Tensor], object],
        name: str,
        patch_size: int,
        embed_dim: int,
        mean: Triple,
        std: Triple,
    ) -> None:
        super().__init__(
            name=name,
            embed_dim=embed_dim,
            patch_size=patch_size,
            mean=mean,
            std=std,
            settings={
                "function": describe_module(fn) if isinstance(fn, nn.Module) else describe(fn)
            },
        )
        self.fn = fn

    @property
    def saved_module(self) -> nn.Module:
        """The user's own module, under the names that it has for them."""
        network = self.fn.network if isinstance(self.fn, PatchFeatures) else self.fn
        return network if isinstance(network, nn.Module) else self

    def patch_tokens(self, images: Tensor) -> Tensor:
        """See `Encoder.patch_tokens`."""
        images = pad_to_grid(images, self.patch_size)
        grid = grid_size(images.shape[-2], images.shape[-1], self.patch_size)
        try:
            with autocast_to(self.precision, images.device):
                output = self.fn(images)
        except AssertionError as error:  # how timm refuses a size
            raise ValueError(
                f"{self.name} stops at images {list(images.shape)} ({error}): make it for any size "
                "(timm: dynamic_img_size=True), or resize the images to its own"
            ) from error
        try:
            return token_grid(output, len(images), self.embed_dim, grid).float()
        except ValueError as error:
            raise ValueError(f"{self.name}, images {list(images.shape)}: {error}") from error
