"""k-means and searches on the logical device: as on the host, and what waits for them.

Run by `test_logical_device.py`.
"""

from __future__ import annotations

import pytest
import torch

from leopart_kit.clustering import PCA, KMeans, Standardizer
from leopart_kit.clustering.nearest_neighbours import nearest_neighbours
from leopart_kit.clustering.seeding import SeedDraws, greedy_kmeans_plus_plus
from tests.logical_device.device import DEVICE, traffic


def points(number: int = 3000, dim: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = 4 * torch.randn(12, dim, generator=generator)
    which = torch.randint(12, (number,), generator=generator)
    return centres[which] + torch.randn(number, dim, generator=generator)


@pytest.mark.parametrize("metric", ["euclidean", "spherical"])
def test_k_means_finds_the_same_and_waits_a_few_times_an_iteration(metric):
    x = points()
    expected = KMeans(12, metric=metric, num_restarts=1).fit(x)
    with traffic() as seen:
        found = KMeans(12, metric=metric, num_restarts=1).fit(x.to(DEVICE))
    torch.testing.assert_close(found.centroids.cpu(), expected.centroids, rtol=1e-4, atol=1e-4)
    assert found.inertia == pytest.approx(expected.inertia, rel=1e-5)
    # The sample of a start that is all points, then all points: at most 4 each, and some beside.
    assert len(seen.syncs) <= 4 * 2 * (found.iterations + 12) + 12, str(seen)
    with traffic() as many_chunks:
        KMeans(12, metric=metric, num_restarts=1, chunk_size=64).fit(x.to(DEVICE))
    assert len(many_chunks.syncs) <= len(seen.syncs) + 8, "a wait for every chunk"


@pytest.mark.parametrize("number", [2, 60])
def test_no_centroid_is_waited_for_at_the_start(number: int):
    x = points(500)
    draws = SeedDraws.draw(len(x), number, torch.Generator().manual_seed(1))
    there = x.to(DEVICE)
    with traffic() as seen:
        found = greedy_kmeans_plus_plus(there, draws)
    assert not seen.syncs, str(seen)
    assert len(seen.copies) <= 1, str(seen)
    assert torch.equal(found.cpu(), greedy_kmeans_plus_plus(x, draws))


def test_projections_and_neighbours():
    x = points(400)
    there = x.to(DEVICE)

    def reduced(rows: torch.Tensor) -> torch.Tensor:
        scaled = Standardizer().fit([rows]).transform(rows)
        return PCA(3).fit([scaled]).transform(scaled).cpu()

    torch.testing.assert_close(reduced(there), reduced(x), rtol=1e-4, atol=1e-4)
    scores, rows = nearest_neighbours(there[:20], [there[:150], there[150:]], 5)
    expected_scores, expected_rows = nearest_neighbours(x[:20], [x[:150], x[150:]], 5)
    assert torch.equal(rows.cpu(), expected_rows)
    torch.testing.assert_close(scores.cpu(), expected_scores)
