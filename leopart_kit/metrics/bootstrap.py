"""Bootstrap over images with the matching held fixed: intervals and paired comparison.

A resample gives every image a weight and scores the weighted pixel counts. The weights are drawn
from a flat Dirichlet distribution (the Bayesian bootstrap, Rubin 1981) instead of by counting draws
with replacement. For common classes both agree. A class that occurs in one image would be absent
from a third of the draws, score 0 there and push the interval of mIoU off its own estimate.

The same weights hold for every clustering seed, and the metric is averaged over seeds inside each
resample. The interval is that of the reported mean over seeds: it speaks of other images, not of
other seeds. One image says nothing of others: its intervals and p-values are NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Weighted counts held at a time (elements).
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Intervals:
    """`(low, high)` in percent; `iou` is `[C, 2]`."""

    miou: tuple[float, float]
    miou_present: tuple[float, float]
    miou_union: tuple[float, float]
    pixel_accuracy: tuple[float, float]
    iou: np.ndarray


@dataclass(frozen=True)
class PairedDifference:
    """A metric of the first result minus that of the second, in points.

    Attributes:
        difference: on the images as they are.
        interval: `(low, high)`.
        p_value: two-sided; the smallest possible is 2 / (num_resamples + 1).
    """

    difference: float
    interval: tuple[float, float]
    p_value: float


@dataclass(frozen=True)
class PairedComparison:
    """Differences of two results on the same images."""

    miou: PairedDifference
    miou_present: PairedDifference
    miou_union: PairedDifference
    pixel_accuracy: PairedDifference


class _Rates(NamedTuple):
    """Metrics in percent, mean over seeds; one row a resample."""

    miou: np.ndarray
    miou_present: np.ndarray
    miou_union: np.ndarray
    pixel_accuracy: np.ndarray
    iou: np.ndarray


def bootstrap_intervals(
    outcomes: np.ndarray,
    *,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> Intervals:
    """Percentile intervals over images, as `PerImageCounts.outcomes` describes them.

    Args:
        outcomes: `[N, C, 3]` or `[seeds, N, C, 3]`: true positive, false positive and false
            negative pixels of each image and class.
        confidence: share of resamples inside the interval.
        num_resamples: the ends of a 95 % interval move by a few percent of its width with 2000.
        seed: of the resampling.

    Raises:
        ValueError: malformed outcomes, no labelled pixel, or settings out of range.
    """
    counts = _check_outcomes(outcomes, "outcomes")
    _check_settings(confidence, num_resamples)
    rates = _resample(counts, num_resamples, seed)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    ends = [np.quantile(values, tails, axis=0) for values in rates]
    return Intervals(
        *((float(low), float(high)) for low, high in ends[:4]),
        iou=ends[4].T,
    )


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    *,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> PairedComparison:
    """Compares two results on the same images, in the same order, with the same weights.

    Args:
        first, second: outcomes as for `bootstrap_intervals`; the numbers of seeds may differ.

    Raises:
        ValueError: as `bootstrap_intervals`, or the two differ in their images or classes.
    """
    counts = _check_outcomes(first, "first"), _check_outcomes(second, "second")
    _check_settings(confidence, num_resamples)
    if counts[0].shape[1:] != counts[1].shape[1:]:
        raise ValueError(
            f"first has [images, classes] {list(counts[0].shape[1:3])}, second "
            f"{list(counts[1].shape[1:3])}: score both on the same images and label set"
        )
    truth = [c[0, :, :, 0] + c[0, :, :, 2] for c in counts]
    differs = (truth[0] != truth[1]).any(axis=1)
    if differs.any():
        image = int(np.flatnonzero(differs)[0])
        raise ValueError(
            f"image {image} has other ground-truth pixels in first than in second: score both on "
            "the same images, in the same order, at the same resolution"
        )
    uniform = np.full((1, counts[0].shape[1]), 1.0)
    estimate = [_rates(c, uniform) for c in counts]
    resampled = [_resample(c, num_resamples, seed) for c in counts]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]

    def compare(name: str) -> PairedDifference:
        difference = getattr(estimate[0], name)[0] - getattr(estimate[1], name)[0]
        spread = getattr(resampled[0], name) - getattr(resampled[1], name)
        low, high = np.quantile(spread, tails)
        tail = min((spread <= 0).sum(), (spread >= 0).sum())
        p_value = min(1.0, 2 * (tail + 1) / (num_resamples + 1))
        p_value = np.nan if np.isnan(spread).any() else p_value
        return PairedDifference(float(difference), (float(low), float(high)), float(p_value))

    return PairedComparison(*(compare(name) for name in _Rates._fields[:4]))


def _resample(counts: np.ndarray, num_resamples: int, seed: int) -> _Rates:
    if counts.shape[1] == 1:
        unknown = np.full(1, np.nan)
        return _Rates(*[unknown] * 4, iou=np.full((1, counts.shape[2]), np.nan))
    blocks = [_rates(counts, weights) for weights in _weights(counts, num_resamples, seed)]
    return _Rates(*(np.concatenate(values) for values in zip(*blocks, strict=True)))


def _weights(counts: np.ndarray, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Weights of the images in blocks `[R, N]`, each row with mean 1."""
    num_seeds, num_images, num_classes, _ = counts.shape
    generator = np.random.default_rng(seed)
    size = max(1, _BLOCK // max(num_images, 3 * num_seeds * num_classes))
    for start in range(0, num_resamples, size):
        rows = min(size, num_resamples - start)
        # Exponentials, scaled to their mean, are the flat Dirichlet.
        weights = generator.standard_exponential((rows, num_images))
        yield weights / weights.mean(axis=1, keepdims=True)


def _rates(counts: np.ndarray, weights: np.ndarray) -> _Rates:
    """Rates of weighted counts: `[seeds, N, C, 3]`, `[R, N]` → rows of R."""
    num_seeds, num_images, num_classes, _ = counts.shape
    flat = counts.transpose(1, 0, 2, 3).reshape(num_images, -1).astype(np.float64)
    total = (weights @ flat).reshape(len(weights), num_seeds, num_classes, 3)
    tp, fp, fn = total[..., 0], total[..., 1], total[..., 2]
    truth, union = tp + fn, tp + fp + fn
    iou = 100.0 * np.divide(tp, union, out=np.zeros_like(tp), where=union > 0)

    def mean(valid: np.ndarray) -> np.ndarray:
        return np.where(valid, iou, 0.0).sum(axis=2) / valid.sum(axis=2)

    return _Rates(
        miou=iou.mean(axis=(1, 2)),
        miou_present=mean(truth > 0).mean(axis=1),
        miou_union=mean(union > 0).mean(axis=1),
        # Divided first: 100 x / x may round to more than 100.
        pixel_accuracy=100.0 * (tp.sum(axis=2) / truth.sum(axis=2)).mean(axis=1),
        iou=iou.mean(axis=1),
    )


def _check_outcomes(outcomes: np.ndarray, name: str) -> np.ndarray:
    counts = np.asarray(outcomes)
    if counts.ndim == 3:
        counts = counts[None]
    if counts.ndim != 4 or counts.shape[-1] != 3 or 0 in counts.shape:
        raise ValueError(
            f"{name} must be [images, classes, 3] or [seeds, images, classes, 3], got "
            f"{list(counts.shape)}"
        )
    if counts.min() < 0:
        raise ValueError(f"{name} must not be negative, got {counts.min()}")
    if (counts[..., 0] + counts[..., 2]).sum(axis=(1, 2)).min() == 0:
        raise ValueError(f"{name} has no labelled pixel: there is nothing to score")
    return counts


def _check_settings(confidence: float, num_resamples: int) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples}")
