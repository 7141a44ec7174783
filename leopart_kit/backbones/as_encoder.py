"""Whatever a person has as an encoder: a name, a folder, a network of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from leopart_kit.backbones.attention import TimmModule
from leopart_kit.backbones.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, as_triple
from leopart_kit.backbones.load import load_encoder
from leopart_kit.backbones.vit import ViTEncoder

EncoderLike = Encoder | str | Path | Callable[[Tensor], object]


def as_encoder(given: EncoderLike) -> Encoder:
    """The encoder that is meant.

    Args:
        given: an encoder; a name, see `load_encoder`; a folder of `save_pretrained`, or its
            `organisation/name` on the Hugging Face hub; a plain vision transformer of timm, at any
            image size; or any other network or function that gives patch tokens, see
            `Encoder.from_module`.

    Raises:
        ValueError: an unknown name, or a network whose patch tokens are not found; says what to
            do.
        FileNotFoundError: no weights in the cache and on the hub.
    """
    if isinstance(given, Encoder):
        return given
    if isinstance(given, (str, Path)):
        return _named(str(given))
    if isinstance(given, (VisionTransformer, Eva)):
        return _of_timm(given)
    return Encoder.from_module(given)


def _named(name: str) -> Encoder:
    path = Path(name).expanduser()
    if path.suffix and path.is_file():
        raise ValueError(
            f"{name} is a file of weights: say whose, as load_encoder('dino_vits16', {name!r})"
        )
    if path.is_dir() or name.count("/") == 1:
        return Encoder.from_pretrained(name)
    return load_encoder(name)


def _of_timm(network: TimmModule) -> Encoder:
    """A plain transformer behind the whole contract; one with other parts as any network."""
    config = getattr(network, "pretrained_cfg", None) or {}
    parts = (config.get("architecture"), config.get("tag"))
    name = ".".join(part for part in parts if part) or type(network).__name__
    try:
        return ViTEncoder(
            network,
            name=name,
            mean=as_triple(config.get("mean", IMAGENET_MEAN)),
            std=as_triple(config.get("std", IMAGENET_STD)),
            weights="given",
        )
    except ValueError:
        return Encoder.from_module(network)
