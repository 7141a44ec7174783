"""Patch size and width of a network, found by running it once."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import torch
from torch import Tensor, nn

from leopart_kit.backbones.token_grid import token_side

_SIDE = 224  # pixels; whole patches of 4, 7, 8, 14, 16, 28 and 32

Network = Callable[[Tensor], object]


class PatchFeatures(nn.Module):
    """`forward_features` of a network whose `forward` gives one vector an image (timm, DINOv2).

    CLS and registers that stand before the patches in a plain tensor are left out.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.num_prefix = int(getattr(network, "num_prefix_tokens", 0))

    def forward(self, images: Tensor) -> object:
        features = self.network.forward_features(images)  # type: ignore[operator]
        plain = isinstance(features, Tensor) and features.ndim == 3
        return features[:, self.num_prefix :] if plain else features


def find_layout(fn: Network, label: str) -> tuple[Network, int, int]:
    """The module that gives the patch tokens of `fn`, its patch size in pixels and its channels D.

    Those that `fn` names itself, as `patch_size` and `embed_dim`, are believed. Otherwise it runs
    once on two black images of 224 × 224; where that gives no grid of tokens and the network has
    `forward_features`, this runs in its place.

    Raises:
        ValueError: neither gives patch tokens; says what came and what to do.
    """
    said = getattr(fn, "patch_size", None), getattr(fn, "embed_dim", None)
    if all(isinstance(number, Integral) for number in said):
        return fn, int(said[0]), int(said[1])  # type: ignore[arg-type]
    try:
        return fn, *_run(fn)
    except ValueError as error:
        problem = error
    if isinstance(fn, nn.Module) and callable(getattr(fn, "forward_features", None)):
        features = PatchFeatures(fn)
        try:
            return features, *_run(features)
        except ValueError as error:
            problem = error
    raise ValueError(
        f"{label} {problem}: give Encoder.from_module a function of images [B, 3, H, W] that "
        "returns patch tokens [B, D, h, w], and patch_size and embed_dim if it cannot take "
        f"{_SIDE} x {_SIDE} pixels"
    ) from problem


def _run(fn: Network) -> tuple[int, int]:
    images = torch.zeros(2, 3, _SIDE, _SIDE)
    modes: dict[nn.Module, bool] = {}
    if isinstance(fn, nn.Module):
        modes = {part: part.training for part in fn.modules()}
        first = next(iter([*fn.parameters(), *fn.buffers()]), images)
        images = images.to(first.device)
        fn.eval()
    try:
        with torch.no_grad():
            output = fn(images)
    except Exception as error:  # whatever a network of the user's does not like
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"stops at images {list(images.shape)} ({reason})") from error
    finally:
        for part, training in modes.items():
            part.training = training
    rows, width = token_side(output, len(images))
    if _SIDE % rows:
        raise ValueError(f"returned {rows} x {rows} tokens of {_SIDE} x {_SIDE} pixels")
    return _SIDE // rows, width
