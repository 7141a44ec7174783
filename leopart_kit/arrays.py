"""Arrays in, arrays out: clustering and matching for people with tokens and maps of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering.kmeans import KMeans
from leopart_kit.clustering.token_projection import TokenProjection
from leopart_kit.metrics import (
    ConfusionMatrix,
    SegmentationScores,
    match_hungarian,
    match_many_to_one,
    segmentation_scores,
)

Array = TypeVar("Array", bound=Tensor | np.ndarray)

_IMAGES_AT_ONCE = 32


def cluster(
    tokens: Array,
    num_clusters: int,
    *,
    standardize: bool = True,
    pca_dim: int | None = 50,
    l2_normalize: bool = False,
    metric: Literal["euclidean", "spherical"] = "euclidean",
    num_restarts: int = 5,
    seed: int = 0,
) -> Array:
    """Cluster ids of patch tokens, by k-means over all images together as Leopart evaluates.

    >>> tokens = torch.randn(8, 14, 14, 384)
    >>> cluster(tokens, num_clusters=5).shape
    torch.Size([8, 14, 14])

    Args:
        tokens: `[N, h, w, D]`, an array or a tensor.
        num_clusters: K.
        standardize: zero mean and unit variance of each dimension.
        pca_dim: dimensions kept by PCA; `None` keeps all.
        l2_normalize: scale every token to length 1 before anything else.
        metric: of the k-means.
        num_restarts: starts of the k-means.
        seed: of the k-means.

    Returns:
        int64 `[N, h, w]`, an array for an array, on the device of the tokens for a tensor.

    Raises:
        ValueError: tokens of another shape or not finite, or fewer of them than clusters.
    """
    given = torch.as_tensor(tokens)
    if given.ndim != 4 or not given.is_floating_point():
        raise ValueError(f"tokens must be real [N, h, w, D], got {given.dtype} {list(given.shape)}")

    def chunks() -> Iterator[Tensor]:
        return (part.float().flatten(0, 2) for part in given.split(_IMAGES_AT_ONCE))

    projection = TokenProjection.fit(
        chunks, l2_normalize=l2_normalize, standardize=standardize, pca_dim=pca_dim
    )
    points = torch.cat(list(projection.apply(chunks())))
    kmeans = KMeans(num_clusters, metric=metric, num_restarts=num_restarts, seed=seed).fit(points)
    ids = kmeans.predict(points).to(given.device).reshape(given.shape[:3])
    return cast(Array, ids if isinstance(tokens, Tensor) else ids.numpy())


@dataclass(frozen=True)
class Match:
    """Classes of clusters with the scores that they give.

    Attributes:
        cluster_to_class: int64 `[K]`.
        scores: see `SegmentationScores`, rates in percent.
        counts: int64 `[C, K]`, pixels of class c in cluster k.
    """

    cluster_to_class: Tensor
    scores: SegmentationScores
    counts: Tensor


def match(
    target: Tensor | np.ndarray,
    prediction: Tensor | np.ndarray,
    num_classes: int,
    *,
    num_clusters: int | None = None,
    rule: Literal["hungarian", "many_to_one"] | None = None,
    unmatched: int = 0,
    ignore_index: int = 255,
) -> Match:
    """Classes for clusters, and the scores, of two stacks of maps.

    >>> target = np.array([[[0, 0], [1, 1]]])
    >>> match(target, np.array([[[3, 3], [0, 3]]]), num_classes=2).cluster_to_class.tolist()
    [1, 0, 0, 0]

    Args:
        target: integer class ids `[N, H, W]`, `ignore_index` where a pixel does not count.
        prediction: integer cluster ids of the same shape.
        num_classes: C.
        num_clusters: K; the largest id plus one by default.
        rule: `hungarian`, one cluster a class by IoU; `many_to_one`, each cluster its class of
            highest precision. By default the former for K = C or fewer, as papers do.
        unmatched: class of the clusters that are left over; -1 is wrong everywhere.

    Raises:
        ValueError: shapes that differ, ids out of range, or no pixel that counts.
    """
    found = torch.as_tensor(prediction)
    if found.numel() == 0:
        raise ValueError("there is no pixel to match: the maps are empty")
    number = int(found.max()) + 1 if num_clusters is None else num_clusters
    confusion = ConfusionMatrix(num_classes, number, ignore_index)
    confusion.update(target, prediction)
    one_to_one = number <= num_classes if rule is None else rule == "hungarian"
    if one_to_one:
        classes = match_hungarian(confusion.counts, unmatched=unmatched)
    else:
        classes = match_many_to_one(confusion.counts)
    return Match(classes, segmentation_scores(confusion.counts, classes), confusion.counts)
