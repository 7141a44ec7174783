"""The directed graph of parts that occur together: clusters that lie next to each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Neighbourhood = Literal["symmetric", "as_released"]


class CooccurrenceSums:
    """Streaming co-occurrence of clusters; memory is constant in the number of maps.

    Sums over disjoint sets of images can be merged, so that a resample of images costs no second
    pass over them: keep one object for each block of images and merge the blocks drawn.

    Args:
        num_clusters: K, any number; memory is 8 · K² bytes.
        distances: of the neighbours, in pixels of the map.
        neighbourhood: `symmetric` or `as_released`, see `cooccurrence`.

    Attributes:
        num_images: int64 `[K]`, images in which the cluster has a neighbour of another cluster.

    Raises:
        ValueError: fewer than one cluster, no distance or one below 1, unknown neighbourhood.
    """

    def __init__(
        self,
        num_clusters: int,
        distances: Sequence[int] = (1, 2),
        neighbourhood: Neighbourhood = "symmetric",
    ) -> None:
        if num_clusters < 1:
            raise ValueError(f"num_clusters must be at least 1, got {num_clusters}")
        self.num_clusters = num_clusters
        self.offsets = neighbour_offsets(distances, neighbourhood)
        self.num_images = torch.zeros(num_clusters, dtype=torch.int64)
        # Ignored pixels are one more cluster. Its pairs and those within a cluster are added too,
        # and dropped on reading: cheaper than picking them out.
        self._sums = torch.zeros(num_clusters + 1, num_clusters + 1, dtype=torch.float64)

    def update(self, cluster_maps: Tensor | Iterable[Tensor | np.ndarray]) -> CooccurrenceSums:
        """Adds maps `[N, h, w]`, or any iterable of `[h, w]` maps, whose sizes may differ.

        Raises:
            ValueError: a map that is not integer `[h, w]`, or an id of K or more (map and id are
                named). The maps before it have been added then.
        """
        for index, cluster_map in enumerate(cluster_maps):
            self._add(self._check(cluster_map, index))
        return self

    def merge(self, other: CooccurrenceSums) -> CooccurrenceSums:
        """Adds the images of `other` to these, which are returned.

        Raises:
            ValueError: the two count other clusters or other neighbours.
        """
        if self.num_clusters != other.num_clusters or self.offsets != other.offsets:
            raise ValueError(
                "cannot merge co-occurrences that differ in clusters, distances or neighbourhood"
            )
        self._sums += other._sums
        self.num_images += other.num_images
        return self

    def mean(self) -> Tensor:
        """float64 `[K, K]`, the co-occurrence of the images added so far."""
        mean = self._sums[:-1, :-1] / self.num_images.clamp(min=1)[:, None]
        return mean.fill_diagonal_(0)

    def _check(self, cluster_map: Tensor | np.ndarray, index: int) -> np.ndarray:
        """The map as int64 with every negative id turned into K."""
        if isinstance(cluster_map, Tensor):
            cluster_map = cluster_map.detach().cpu().numpy()
        if cluster_map.ndim != 2 or cluster_map.dtype.kind not in "iu":
            raise ValueError(
                f"cluster map {index} must hold integer ids [h, w], got {cluster_map.dtype} "
                f"{list(cluster_map.shape)}"
            )
        if cluster_map.size and cluster_map.max() >= self.num_clusters:
            raise ValueError(
                f"cluster map {index} holds id {cluster_map.max()}: valid ids are 0 to "
                f"{self.num_clusters - 1}, and negative ids are ignored"
            )
        ids = cluster_map.astype(np.int64)
        ids[ids < 0] = self.num_clusters
        return ids

    def _add(self, ids: np.ndarray) -> None:
        """Adds one to the sum of every row of the map, shared out over the neighbours of others.

        Each (pixel, neighbour) pair is worth one over the row sum of the pixel's cluster. The row
        sums come from the pixels, so that the table of a single image is never formed.
        """
        ignored = self.num_clusters
        any_ignored = bool((ids == ignored).any())
        views = [view for offset in self.offsets if (view := _shifted(ids.shape, offset))]
        narrow = ids.astype(np.int32)  # compares in half the time
        strangers = np.zeros(ids.shape, np.min_scalar_type(len(views)))  # neighbours that differ
        for here, there in views:
            different = narrow[here] != narrow[there]
            if any_ignored:
                different &= narrow[there] != ignored
            strangers[here] += different
        row_sums = np.bincount(ids.ravel(), strangers.ravel(), minlength=ignored + 1)
        self.num_images += torch.from_numpy(row_sums[:ignored] > 0)
        worth = (1 / np.maximum(row_sums, 1))[ids]
        row_starts = ids * (ignored + 1)
        codes, weights = np.empty(ids.size, dtype=np.int64), np.empty(ids.size)
        flat_sums = self._sums.view(-1)
        for here, there in views:
            shape, count = ids[here].shape, ids[here].size
            np.add(row_starts[here], ids[there], out=codes[:count].reshape(shape))
            np.copyto(weights[:count].reshape(shape), worth[here])
            # In place, and faster than a weighted bincount.
            flat_sums.scatter_add_(
                0, torch.from_numpy(codes[:count]), torch.from_numpy(weights[:count])
            )


def cooccurrence(
    cluster_maps: Tensor | Iterable[Tensor | np.ndarray],
    num_clusters: int,
    distances: Sequence[int] = (1, 2),
    neighbourhood: Neighbourhood = "symmetric",
) -> Tensor:
    """Rate of each other cluster among the neighbours of a cluster that are not itself.

    In every image, the pixels of a cluster count their neighbours of *other* clusters in 8
    directions at each distance. The counts are divided by their sum. Rows are averaged over the
    images in which the cluster has such a neighbour. A cluster that covers a whole image, or occurs
    only beside ignored pixels, says nothing there.

    Args:
        cluster_maps: `[N, h, w]`, or any iterable of `[h, w]` maps, whose sizes may differ. A
            negative id marks a pixel without a cluster, which is nobody's neighbour.
        num_clusters: K, any number.
        distances: in pixels of the map.
        neighbourhood: `symmetric`, the 8 offsets d · (dy, dx); or `as_released`, offsets rounded
            from a list of angles as in the released code: diagonals at distance 2 fall on (±1, ±1),
            and 4π/3 stands where 5π/4 looks meant.

    Returns:
        float64 `[K, K]`; row i is the distribution over the neighbours of cluster i (sum 1), or 0
        where it never meets another cluster. Diagonal 0.

    Raises:
        ValueError: a malformed map, an id of K or more, or settings out of range.

    Source: Ziegler and Asano (Leopart), CVPR 2022, fully unsupervised segmentation, and its
    released code.
    """
    return CooccurrenceSums(num_clusters, distances, neighbourhood).update(cluster_maps).mean()


def neighbour_offsets(
    distances: Sequence[int], neighbourhood: Neighbourhood
) -> list[tuple[int, int]]:
    """Offsets (dy, dx) of the neighbours counted; one that occurs twice counts twice.

    Raises:
        ValueError: no distance, a distance below 1 or an unknown neighbourhood.
    """
    if not distances or min(distances) < 1:
        raise ValueError(f"distances must be whole numbers of at least 1, got {list(distances)}")
    if neighbourhood == "symmetric":
        steps = (-1, 0, 1)
        return [(d * y, d * x) for d in distances for y in steps for x in steps if y or x]
    if neighbourhood == "as_released":
        angles = np.pi * np.array([0, 1 / 4, 1 / 2, 3 / 4, 1, 4 / 3, 3 / 2, 7 / 4])
        return [
            (round(d * float(np.sin(angle))), round(d * float(np.cos(angle))))
            for d in distances
            for angle in angles
        ]
    raise ValueError(f"neighbourhood must be 'symmetric' or 'as_released', got {neighbourhood!r}")


def _shifted(
    shape: tuple[int, ...], offset: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Slices of the pixels that have a neighbour at the offset, and of these neighbours, if any."""
    (height, width), (y, x) = shape, offset
    if abs(y) >= height or abs(x) >= width:
        return None
    here = slice(max(0, -y), height - max(0, y)), slice(max(0, -x), width - max(0, x))
    there = slice(max(0, y), height - max(0, -y)), slice(max(0, x), width - max(0, -x))
    return here, there
