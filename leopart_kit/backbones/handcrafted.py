"""The classical baseline: colour and gradient-orientation statistics of each patch."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.backbones.encoder import Encoder, grid_size, pad_to_grid

_ORIENTATIONS = 8
_PER_WINDOW = 7 + _ORIENTATIONS  # Lab mean, Lab standard deviation, gradient magnitude, histogram
# Lab spans about 100 units, orientation shares 1: one scale for all
_LAB_SCALE = 100.0


class HandcraftedEncoder(Encoder):
    """Lab mean and deviation, gradient magnitude and a histogram of gradient orientations.

    Computed twice for each patch, over the patch and over it with its eight neighbours, so `D =
    30`. Colours follow CIE Lab (divided by 100); orientations are unsigned, in 8 bins, weighted
    by magnitude and shared linearly between neighbouring bins, as in HOG (Dalal and Triggs 2005).
    Runs on the CPU and has no gradient.
    """

    def __init__(self, patch_size: int = 8) -> None:
        super().__init__(
            name="handcrafted",
            embed_dim=2 * _PER_WINDOW,
            patch_size=patch_size,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        )

    def patch_tokens(self, images: Tensor) -> Tensor:
        """See `Encoder.patch_tokens`; images in [0, 1], as `preprocess` returns them."""
        height, width = images.shape[-2:]
        pad_to_grid(images[:1], self.patch_size)
        rows, columns = grid_size(height, width, self.patch_size)
        padding = (0, columns * self.patch_size - width, 0, rows * self.patch_size - height)
        # repeat the border: a black margin would look like an edge
        padded = F.pad(images.detach().float().cpu(), padding, mode="replicate")
        pixels = padded.permute(0, 2, 3, 1).contiguous().numpy()
        means = torch.from_numpy(np.stack([_patch_means(p, self.patch_size) for p in pixels]))
        wide = F.avg_pool2d(F.pad(means, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return torch.cat([_statistics(means), _statistics(wide)], dim=1).to(images.device)


def _patch_means(image: np.ndarray, patch_size: int) -> np.ndarray:
    """RGB `[H, W, 3]` → patch means of Lab, Lab², magnitude by bin `[6 + bins, h, w]`."""
    rows, columns = image.shape[0] // patch_size, image.shape[1] // patch_size
    lab = cv2.cvtColor(np.clip(image, 0, 1), cv2.COLOR_RGB2Lab) / np.float32(_LAB_SCALE)
    moments = np.concatenate([lab, lab**2], axis=2).transpose(2, 0, 1)
    blocks = moments.reshape(6, rows, patch_size, columns, patch_size)
    bins = _orientation_sums(np.ascontiguousarray(lab[..., 0]), patch_size, columns)
    bins = bins.reshape(rows, columns, _ORIENTATIONS).transpose(2, 0, 1) / patch_size**2
    return np.concatenate([blocks.mean(axis=(2, 4)), bins]).astype(np.float32)


def _orientation_sums(light: np.ndarray, patch_size: int, columns: int) -> np.ndarray:
    """Gradient magnitude by patch and bin, each pixel shared between its two nearest bins."""
    dx = cv2.Sobel(light, cv2.CV_32F, 1, 0, ksize=3, scale=0.25, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(light, cv2.CV_32F, 0, 1, ksize=3, scale=0.25, borderType=cv2.BORDER_REPLICATE)
    magnitude, angle = cv2.cartToPolar(dx, dy)
    position = angle * np.float32(_ORIENTATIONS / np.pi)
    lower = position.astype(np.int64)
    share = magnitude * (position - lower)
    row, column = (np.arange(n) // patch_size for n in light.shape)
    first = (row[:, None] * columns + column) * _ORIENTATIONS
    size = int(first[-1, -1]) + _ORIENTATIONS
    here = np.bincount((first + lower % _ORIENTATIONS).ravel(), (magnitude - share).ravel(), size)
    above = np.bincount((first + (lower + 1) % _ORIENTATIONS).ravel(), share.ravel(), size)
    return here + above


def _statistics(means: Tensor) -> Tensor:
    """Means over a window `[B, 6 + bins, h, w]` → its 15 statistics `[B, 15, h, w]`."""
    lab, squared, bins = means[:, :3], means[:, 3:6], means[:, 6:]
    deviation = (squared - lab**2).clamp_min(0).sqrt()
    magnitude = bins.sum(dim=1, keepdim=True)
    # a flat window has no orientation: its histogram fades to zero rather than to noise
    histogram = bins / (magnitude + 0.01)
    return torch.cat([lab, deviation, magnitude, histogram], dim=1)
