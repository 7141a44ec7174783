"""The filters of a network's first convolution as one picture: what it looks for in raw pixels."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.whole_file import whole_file

_CELL = 44  # pixels a filter is wide at least
_GAP = 2


def first_convolution(encoder: Encoder) -> Tensor | None:
    """Weight `[C, 3, k, k]` of the first convolution on RGB; None where there is none."""
    for module in encoder.modules():
        if not isinstance(module, nn.Conv2d) or module.in_channels != 3:
            continue
        if min(module.kernel_size) > 1:
            return module.weight.detach().float().cpu()
    return None


def filters_picture(weight: Tensor, columns: int | None = None) -> np.ndarray:
    """Filters side by side, uint8 RGB `[H, W, 3]`, each stretched to the full range of its values.

    All three channels of a filter share one scale with 0 in the middle, so that a grey filter
    looks grey. Between filters lies a white line.

    Args:
        weight: `[C, 3, k, k]`.
        columns: filters in a row; about the square root of their number by default.

    Raises:
        ValueError: a weight of another shape.
    """
    if weight.ndim != 4 or weight.shape[1] != 3:
        raise ValueError(f"filters on RGB are [C, 3, k, k], got {list(weight.shape)}")
    count, _, height, width = weight.shape
    columns = columns or min(count, math.ceil(math.sqrt(1.5 * count)))
    rows = math.ceil(count / columns)
    zoom = max(1, math.ceil(_CELL / max(height, width)))
    step_y, step_x = height * zoom + _GAP, width * zoom + _GAP
    picture = np.full((rows * step_y + _GAP, columns * step_x + _GAP, 3), 255, dtype=np.uint8)
    for index, kernel in enumerate(weight.permute(0, 2, 3, 1).numpy()):
        top, left = index // columns * step_y + _GAP, index % columns * step_x + _GAP
        largest = max(float(np.abs(kernel).max()), 1e-12)
        grey = np.round((kernel / largest + 1) / 2 * 255).astype(np.uint8)
        cell = grey.repeat(zoom, axis=0).repeat(zoom, axis=1)
        picture[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return picture


def filters_uri(weight: Tensor) -> str:
    """The picture as a PNG data URI."""
    buffer = BytesIO()
    Image.fromarray(filters_picture(weight)).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def write_filters(encoder: Encoder, path: Path) -> Path:
    """Write the picture of an encoder's first convolution as a PNG.

    Raises:
        ValueError: the encoder has no convolution on RGB.
        OSError: the file cannot be written; carries its name.
    """
    weight = first_convolution(encoder)
    if weight is None:
        raise ValueError(f"{encoder.name} has no convolution on RGB: there are no filters to draw")
    with whole_file(path) as temporary:
        Image.fromarray(filters_picture(weight)).save(temporary, format="PNG")
    return path
