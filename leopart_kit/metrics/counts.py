"""Joint counts of ground-truth classes and predicted clusters, of a set and of each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from leopart_kit.metrics.scores import check_matching

# Pixels handled at a time: the index of one block stays in the processor's cache.
_BLOCK = 1 << 18


class ConfusionMatrix:
    """Streaming counts of (class, cluster) pairs; memory is constant in the number of pixels.

    Args:
        num_classes: C, the ids `0 … C - 1` are valid targets.
        num_clusters: K, the ids `0 … K - 1` are valid predictions.
        ignore_index: target id whose pixels are dropped, with their prediction unread.

    Attributes:
        counts: int64 `[C, K]`, pixels of class c that were put into cluster k.

    Raises:
        ValueError: fewer than one class or cluster.
    """

    def __init__(self, num_classes: int, num_clusters: int, ignore_index: int = 255) -> None:
        if num_classes < 1 or num_clusters < 1:
            raise ValueError(
                f"num_classes and num_clusters must be at least 1, got {num_classes} and "
                f"{num_clusters}"
            )
        self.num_classes = num_classes
        self.num_clusters = num_clusters
        self.ignore_index = ignore_index
        self.counts = torch.zeros(num_classes, num_clusters, dtype=torch.int64)

    def update(self, target: Tensor | np.ndarray, prediction: Tensor | np.ndarray) -> None:
        """Adds pixels.

        Args:
            target: integer class ids of any shape.
            prediction: integer cluster ids, same shape.

        Raises:
            ValueError: shapes differ, ids are not integers, or an id is out of range (named).
                The counts are then left as they were.
        """
        self.counts += torch.from_numpy(
            count_pairs(target, prediction, self.num_classes, self.num_clusters, self.ignore_index)
        )

    def merge(self, other: ConfusionMatrix) -> ConfusionMatrix:
        """Adds the counts of `other` to this matrix, which is returned.

        Raises:
            ValueError: the two matrices have different numbers of classes or clusters.
        """
        if self.counts.shape != other.counts.shape:
            raise ValueError(
                f"cannot merge counts {list(other.counts.shape)} into {list(self.counts.shape)}: "
                "both need the same num_classes and num_clusters"
            )
        self.counts += other.counts
        return self

    def __repr__(self) -> str:
        return (
            f"ConfusionMatrix({self.num_classes}, {self.num_clusters}, "
            f"ignore_index={self.ignore_index}, pixels={int(self.counts.sum())})"
        )


def count_pairs(
    target: Tensor | np.ndarray,
    prediction: Tensor | np.ndarray,
    num_classes: int,
    num_clusters: int,
    ignore_index: int = 255,
) -> np.ndarray:
    """Counts (class, cluster) pairs of pixels; int64 `[C, K]`.

    Raises:
        ValueError: as `ConfusionMatrix.update`.
    """
    classes, clusters = _integers(target, "target"), _integers(prediction, "prediction")
    if classes.shape != clusters.shape:
        raise ValueError(
            f"target {list(classes.shape)} and prediction {list(clusters.shape)} differ in shape; "
            "resize one to the other first"
        )
    classes, clusters = classes.reshape(-1), clusters.reshape(-1)
    counts = np.zeros(num_classes * num_clusters, dtype=np.int64)
    for start in range(0, classes.size, _BLOCK):
        block_classes = classes[start : start + _BLOCK]
        block_clusters = clusters[start : start + _BLOCK]
        labelled = block_classes != ignore_index
        if not labelled.all():
            block_classes, block_clusters = block_classes[labelled], block_clusters[labelled]
        if block_classes.size == 0:
            continue
        _check_range(block_classes, num_classes, "target", f", and {ignore_index} is ignored")
        _check_range(block_clusters, num_clusters, "prediction", "")
        pairs = block_classes.astype(np.int64)
        pairs *= num_clusters
        pairs += block_clusters.astype(np.int64)
        counts += np.bincount(pairs, minlength=counts.size)
    return counts.reshape(num_classes, num_clusters)


def _integers(ids: Tensor | np.ndarray, role: str) -> np.ndarray:
    array = ids.detach().cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    if array.dtype.kind not in "iub":
        raise ValueError(f"{role} must hold integer ids, got {array.dtype}")
    return array


def _check_range(ids: np.ndarray, limit: int, role: str, remark: str) -> None:
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= limit:
        unknown = low if low < 0 else high
        raise ValueError(f"{role} holds id {unknown}: valid ids are 0 to {limit - 1}{remark}")


class PerImageCounts:
    """Counts of (class, cluster) pairs of each image, stored sparsely.

    An image costs 8 bytes for every pair that occurs in it, whatever C and K are: some hundreds of
    bytes to a few kilobytes.

    Args:
        num_classes: C.
        num_clusters: K.
        ignore_index: target id whose pixels are dropped.

    Raises:
        ValueError: so many classes and clusters that a pair does not fit 32 bits.
    """

    def __init__(self, num_classes: int, num_clusters: int, ignore_index: int = 255) -> None:
        if num_classes < 1 or num_clusters < 1 or num_classes * num_clusters > 2**31:
            raise ValueError(
                f"num_classes x num_clusters must lie in 1 … 2**31, got {num_classes} x "
                f"{num_clusters}"
            )
        self.num_classes = num_classes
        self.num_clusters = num_clusters
        self.ignore_index = ignore_index
        self._pairs: list[np.ndarray] = []
        self._pixels: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._pairs)

    def update(self, target: Tensor | np.ndarray, prediction: Tensor | np.ndarray) -> None:
        """Adds one image; an image without a labelled pixel counts as an image with zeros.

        Raises:
            ValueError: as `ConfusionMatrix.update`.
        """
        table = count_pairs(
            target, prediction, self.num_classes, self.num_clusters, self.ignore_index
        ).reshape(-1)
        pairs = np.flatnonzero(table)
        self._pairs.append(pairs.astype(np.uint32))
        self._pixels.append(table[pairs].astype(np.uint32))

    def merge(self, other: PerImageCounts) -> PerImageCounts:
        """Puts the images of `other` behind those of this one, which is returned.

        Raises:
            ValueError: the two have different numbers of classes or clusters.
        """
        mine = self.num_classes, self.num_clusters
        theirs = other.num_classes, other.num_clusters
        if mine != theirs:
            raise ValueError(
                f"cannot merge counts [C, K] = {list(theirs)} into {list(mine)}: both need the "
                "same num_classes and num_clusters"
            )
        self._pairs += other._pairs
        self._pixels += other._pixels
        return self

    @staticmethod
    def interleave(shares: Sequence[PerImageCounts]) -> PerImageCounts:
        """The images of n shares in the order 1st of the 1st, 1st of the 2nd, … 2nd of the 1st, …

        Raises:
            ValueError: the shares are not those of one list dealt out in turn.
        """
        first = shares[0]
        whole = PerImageCounts(first.num_classes, first.num_clusters, first.ignore_index)
        total = sum(len(share) for share in shares)
        for index in range(total):
            share, row = shares[index % len(shares)], index // len(shares)
            if row >= len(share):
                raise ValueError(f"shares of {[len(s) for s in shares]} images were not dealt out")
            whole._pairs.append(share._pairs[row])
            whole._pixels.append(share._pixels[row])
        return whole

    def total(self) -> Tensor:
        """int64 `[C, K]` over all images, as a `ConfusionMatrix` of them holds."""
        total = np.zeros(self.num_classes * self.num_clusters, dtype=np.int64)
        for pairs, pixels in zip(self._pairs, self._pixels, strict=True):
            total[pairs] += pixels
        return torch.from_numpy(total.reshape(self.num_classes, self.num_clusters))

    def image_counts(self, index: int) -> Tensor:
        """int64 `[C, K]` of one image."""
        table = np.zeros(self.num_classes * self.num_clusters, dtype=np.int64)
        table[self._pairs[index]] = self._pixels[index]
        return torch.from_numpy(table.reshape(self.num_classes, self.num_clusters))

    def outcomes(self, cluster_to_class: Tensor | np.ndarray) -> np.ndarray:
        """Pixels right, wrong and missed of each image and class under a matching.

        Args:
            cluster_to_class: `[K]`; -1 is wrong everywhere.

        Returns:
            int64 `[N, C, 3]`: true positives, false positives, false negatives.

        Raises:
            ValueError: malformed matching.
        """
        mapping = check_matching(cluster_to_class, self.num_classes, self.num_clusters)
        outcomes = np.zeros((len(self), self.num_classes, 3), dtype=np.int64)
        for image, pairs, pixels in zip(outcomes, self._pairs, self._pixels, strict=True):
            classes, clusters = np.divmod(pairs.astype(np.int64), self.num_clusters)
            predicted = mapping[clusters]
            right = predicted == classes
            spurious = ~right & (predicted >= 0)
            np.add.at(image[:, 0], classes[right], pixels[right])
            np.add.at(image[:, 1], predicted[spurious], pixels[spurious])
            np.add.at(image[:, 2], classes[~right], pixels[~right])
        return outcomes
