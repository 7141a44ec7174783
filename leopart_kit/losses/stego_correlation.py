"""Codes whose correlations follow those of frozen features: STEGO's correspondence loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.losses.arguments import check_not_empty
from leopart_kit.losses.full_precision import full_precision


@full_precision
def stego_correlation(
    features: Tensor, other_features: Tensor, codes: Tensor, other_codes: Tensor, shift: float
) -> Tensor:
    """Correspondence of two images' codes, weighted by that of their features.

    With F the cosine of the features of each two points, centred over the second image's points
    with its mean over all put back, and C the cosine of their codes, the loss is the mean of
    `-max(C, 0) * (F - shift)`: points that are more alike than `shift` pull their codes together.

    Args:
        features: `[B, D, s, s]`, sampled at s · s points of each image; without gradient.
        other_features: `[B, D, s, s]`, of the images they are compared with, one for each.
        codes: `[B, E, s, s]`, at the same points as `features`.
        other_codes: `[B, E, s, s]`, at the same points as `other_features`.
        shift: similarity below which points push each other away.

    Returns:
        scalar, the mean over images and pairs of points.

    Raises:
        ValueError: shapes that do not fit, or no points.

    Source: Hamilton et al. (STEGO), ICLR 2022, equations 3 to 5.
    """
    if features.shape != other_features.shape or codes.shape != other_codes.shape:
        raise ValueError(
            "both images need features, and codes, of one shape, got "
            f"{[list(t.shape) for t in (features, other_features, codes, other_codes)]}"
        )
    if features.ndim != 4 or codes.ndim != 4 or _points(features) != _points(codes):
        raise ValueError(
            "features and codes must be [B, D, s, s] and [B, E, s, s] at the same points, got "
            f"{list(features.shape)} and {list(codes.shape)}"
        )
    check_not_empty(features=features, codes=codes)
    return correlation_of_points(
        unit_points(features),
        unit_points(other_features),
        unit_points(codes),
        unit_points(other_codes),
        shift,
    )


@full_precision
def unit_points(maps: Tensor) -> Tensor:
    """Unit vectors `[B, s · s, D]` of the points of maps `[B, D, s, s]`."""
    # Rows that lie together: products of them take a third of the time of columns.
    return F.normalize(maps.flatten(2).transpose(1, 2).contiguous(), dim=2)


@full_precision
def correlation_of_points(
    features: Tensor, other_features: Tensor, codes: Tensor, other_codes: Tensor, shift: float
) -> Tensor:
    """`stego_correlation` of `unit_points`, for points that are compared several times."""
    alike = centred_similarities(features, other_features)
    cosines = codes @ other_codes.transpose(1, 2)
    return -(F.relu(cosines) * (alike - shift)).mean()


@torch.no_grad()
def centred_similarities(features: Tensor, other_features: Tensor) -> Tensor:
    """Cosines `[B, n, m]` of `unit_points`, centred for each of the first; their mean stays."""
    alike = features @ other_features.transpose(1, 2)
    mean = alike.mean()
    alike -= alike.mean(dim=2, keepdim=True)
    alike += mean - alike.mean()
    return alike


def sample_points(maps: Tensor, points: Tensor) -> Tensor:
    """Values of maps `[B, D, h, w]` at points `[B, s, s, 2]`, bilinear: `[B, D, s, s]`.

    Points are (x, y) from -1 to 1, the centres of the outermost patches; beyond is the border.
    """
    return F.grid_sample(maps, points, padding_mode="border", align_corners=True)


def _points(maps: Tensor) -> tuple[int, ...]:
    return (maps.shape[0], *maps.shape[2:])
