"""Starts of k-means that compete on a sample, shared by several processes where there are some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from leopart_kit.clustering.lloyd import BLOCK, LloydFit, Points, lloyd
from leopart_kit.clustering.seeding import SeedDraws, greedy_kmeans_plus_plus, sampled_rows
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import Track, quiet


@dataclass(frozen=True)
class Start:
    """The random choices of a start: rows `[n]` of the sample to seed from, and draws among them.

    All starts are drawn before the work: each is the same, whichever process makes it.
    """

    rows: Tensor
    draws: SeedDraws

    def seeds(self, sample: Points) -> Tensor:
        """The first centroids `[K, D]`."""
        candidates = replace(sample, x=sample.x[self.rows.to(sample.x.device)])
        return greedy_kmeans_plus_plus(candidates.rows(0, len(self.rows)), self.draws)


def draw_starts(
    number: int, num_points: int, num_clusters: int, generator: torch.Generator
) -> list[Start]:
    """Starts on a sample of so many points."""
    # 20 points a cluster are enough to seed from, and the seeding costs K passes over them.
    size = min(num_points, max(20 * num_clusters, 4096))
    starts = []
    for _ in range(number):
        rows = torch.arange(size)
        if size < num_points:
            rows = sampled_rows(num_points, size, generator)
        starts.append(Start(rows, SeedDraws.draw(size, num_clusters, generator)))
    return starts


def best_start(
    sample: Points,
    starts: Sequence[Start],
    num_iterations: int,
    tolerance: float,
    track: Track,
    processes: Processes,
) -> LloydFit:
    """The start of the smallest inertia once it has been iterated on a sample that all have.

    Each process makes some of the starts, or all of them share the points of each start: whichever
    takes less time.
    """
    blocks = -(-len(sample) // BLOCK)
    largest_part = -(-blocks // processes.count) / blocks
    shared = len(starts) * largest_part < -(-len(starts) // processes.count)
    points = share_points(sample, processes) if shared else sample
    mine = starts if shared else processes.share(starts)
    fits = []
    for start in track(mine, "k-means starts", len(mine)):

        def seeds(start: Start = start) -> Tensor:
            return start.seeds(sample)

        # Shared, they must be the same to the last bit, which another node may round otherwise.
        centroids = processes.once(lambda: seeds().cpu()).to(sample.device) if shared else seeds()
        fit = lloyd(points, centroids, num_iterations, tolerance, quiet)
        fits.append(replace(fit, centroids=fit.centroids.cpu()))
    best = min(fits if shared else processes.join(fits), key=lambda fit: fit.inertia)
    return replace(best, centroids=best.centroids.to(sample.device))


def draw_points(points: Points, total: int, size: int, generator: torch.Generator) -> Points:
    """`size` random points of the `total` of all processes, in their order, in every process."""
    x = points.x
    if size < total:
        rows = sampled_rows(total, size, generator) - points.before
        x = x[rows[(rows >= 0) & (rows < len(x))].to(x.device)]
    return replace(points, x=points.processes.concatenate(x), processes=ALONE, before=0)


def share_points(points: Points, processes: Processes) -> Points:
    """The part of this process of points that all have."""
    part = processes.part(len(points), BLOCK)
    return replace(points, x=points.x[part], processes=processes, before=part.start)
