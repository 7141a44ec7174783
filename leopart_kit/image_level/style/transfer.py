"""One image in the style of another, by changing its pixels until a network sees what it should.

Gatys, Ecker & Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016. Asano
et al. (ICLR 2020) use the first layers of a network that was trained on a single image for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.image_level.style.gram import gram_matrix
from leopart_kit.progress import Track, quiet
from leopart_kit.settings import Count, NotNegative, Text, settings, several


@settings
class StyleSettings:
    """Objective that the pixels are changed for.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    content_layer: Text | None = None
    """Layer whose features the image keeps; null: the last of the style layers."""
    style_layers: several(Text, at_least=0) = ()  # type: ignore[valid-type]
    """Layers whose Gram matrices the image takes over; empty: the first num_layers."""
    num_layers: Count = 2
    """First layers of the network, where none are named."""
    style_weight: NotNegative = 30.0
    """Of the style against the content."""
    smoothness: NotNegative = 0.1
    """Weight of the differences between neighbouring pixels."""
    steps: Count = 200
    """Of Adam."""
    learning_rate: NotNegative = 0.02
    """Of Adam, in units of the range of values from black to white."""


def stylize(
    encoder: Encoder,
    content: Tensor,
    style: Tensor,
    settings: StyleSettings | None = None,
    *,
    device: str | torch.device = "cpu",
    track: Track = quiet,
) -> Tensor:
    """Paint one image in the manner of another.

    Both losses are relative: the mean squared error of features (content) and of Gram matrices
    (style), each divided by the mean square of its target. So layers and networks count alike,
    whatever the size of their features.

    Args:
        encoder: its `layer_features` are looked at; it stays as it is.
        content, style: uint8 `[3, H, W]`, of any two sizes.

    Returns:
        uint8 `[3, H, W]` of the size of `content`, on the CPU.

    Raises:
        ValueError: a layer that the encoder does not have, or one without a gradient.
    """
    settings = settings or StyleSettings()
    encoder = encoder.to(device).eval()
    frozen = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        return _optimise(encoder, content.to(device), style.to(device), settings, track)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def _optimise(
    encoder: Encoder, content: Tensor, style: Tensor, settings: StyleSettings, track: Track
) -> Tensor:
    with torch.no_grad():
        shown = encoder.layer_features(encoder.preprocess(content[None]))
        painted = encoder.layer_features(encoder.preprocess(style[None]))
    style_layers, content_layer = _choose_layers(encoder, list(shown), settings)
    wanted = shown[content_layer]
    grams = {name: gram_matrix(painted[name]) for name in style_layers}
    # Black and white in the encoder's own units: the limits of every pixel.
    black = encoder.preprocess(torch.zeros_like(content[None, :, :1, :1]))
    white = encoder.preprocess(torch.full_like(content[None, :, :1, :1], 255))
    image = (content[None].float() / 255).requires_grad_(True)
    optimizer = torch.optim.Adam([image], lr=settings.learning_rate)
    for _ in track(range(settings.steps), "style", settings.steps):
        seen = encoder.layer_features(black + image * (white - black))
        if not seen[content_layer].requires_grad:
            raise ValueError(f"{encoder.name} has no gradient: choose a network of layers")
        loss = relative_error(seen[content_layer], wanted)
        for name, target in grams.items():
            error = relative_error(gram_matrix(seen[name]), target)
            loss = loss + settings.style_weight / len(grams) * error
        loss = loss + settings.smoothness * roughness(image)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 1)
    return (image.detach()[0] * 255).round().to(torch.uint8).cpu()


def _choose_layers(
    encoder: Encoder, known: Sequence[str], settings: StyleSettings
) -> tuple[list[str], str]:
    style = list(settings.style_layers) or list(known[: settings.num_layers])
    content = style[-1] if settings.content_layer is None else settings.content_layer
    for name in (*style, content):
        if name not in known:
            raise ValueError(f"{encoder.name} has no layer {name!r}; it has {', '.join(known)}")
    return style, content


def relative_error(value: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the mean square of the target."""
    return (value - target).square().mean() / target.square().mean().clamp(min=1e-12)


def roughness(image: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels of `[B, 3, H, W]`, along both sides."""
    rows, columns = image.diff(dim=-2), image.diff(dim=-1)
    return rows.square().mean() + columns.square().mean()
