"""Shifts of STEGO's terms: how alike two points must be for their codes to be pulled together.

The released ones fit the features that they were tuned for. Where most pairs of another network's
features are above them, all codes are pulled together and become alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import default_collate

from leopart_kit.losses.stego_correlation import centred_similarities, sample_points, unit_points

logger = logging.getLogger(__name__)

_CROPS = 64  # that are looked at


class Shifts(NamedTuple):
    """Of a crop with itself, with its neighbour and with others."""

    own: float
    neighbour: float
    random: float


class Similarities(NamedTuple):
    """Centred similarities of pairs of points, `[n]` each: of a crop's own, and so on."""

    own: Tensor
    neighbour: Tensor
    random: Tensor


@torch.no_grad()
def sampled_similarities(
    draw: Callable[[int], tuple[Tensor, Tensor]], num_crops: int, num_points: int
) -> Similarities:
    """Similarities in a few crops; the same for the same features, whatever was drawn before.

    Args:
        draw: a crop's number → features `[D, h, w]` of it and of a neighbour.
        num_crops: their number, 2 or more.
        num_points: points a side that are drawn in each.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rows = torch.randperm(num_crops)[:_CROPS].tolist()
        pair = default_collate([tuple(draw(row)) for row in rows])
        points = [2 * torch.rand(len(rows), num_points, num_points, 2) - 1 for _ in range(3)]
    own, neighbour, others = (
        unit_points(sample_points(maps, place))
        for maps, place in zip((*pair, pair[0].roll(1, 0)), points, strict=True)
    )
    return Similarities(
        *(centred_similarities(own, other).flatten() for other in (own, neighbour, others))
    )


def shifts_of(
    given: tuple[float | None, float | None, float | None],
    attracted: tuple[float, float, float],
    similarities: Similarities,
) -> Shifts:
    """The shifts that are given, and for each None the one above which that share of pairs lies.

    The log tells them, and the share of pairs above each.
    """
    found = Shifts(
        *(
            _largest_share(values, share) if shift is None else shift
            for shift, share, values in zip(given, attracted, similarities, strict=True)
        )
    )
    pulled = [(v > s).float().mean().item() for v, s in zip(similarities, found, strict=True)]
    logger.info(
        "stego: shifts %.3f, %.3f, %.3f pull together %.0f %% of the pairs of points in a crop, "
        "%.0f %% with its neighbour, %.0f %% with others",
        *found,
        *(100 * share for share in pulled),
    )
    return found


def _largest_share(values: Tensor, share: float) -> float:
    """The value above which a share of all lies."""
    rank = round((1 - share) * (len(values) - 1))
    return float(values.sort().values[rank])
