"""Several processes that hold a share of the points each find the centroids of one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from leopart_kit.clustering import PCA, KMeans, Standardizer, kmeans, kmeans_starts, lloyd
from leopart_kit.processes import ALONE, Processes
from tests.two_processes import run_in_processes

BLOCK = 4096  # the real one would need hundreds of thousands of points


def small_blocks(patch: pytest.MonkeyPatch) -> None:
    for module in (kmeans, kmeans_starts, lloyd):
        patch.setattr(module, "BLOCK", BLOCK)


def mixture(number: int, dim: int, components: int) -> Tensor:
    """Groups that overlap, away from zero."""
    generator = torch.Generator().manual_seed(number)
    centres = 3 * torch.randn(components, dim, generator=generator) + 2
    which = torch.randint(components, (number,), generator=generator)
    return centres[which] + torch.randn(number, dim, generator=generator)


DISTINCT = mixture(6, 3, 6)

# Points and settings. Starts are made whole by one process or shared by all; a sample is fitted on;
# there are more clusters than distinct points, so that clusters stay empty.
CASES = {
    "whole starts": (mixture(3 * BLOCK + 77, 6, 40), {"num_clusters": 20}),
    "spherical": (mixture(2 * BLOCK, 5, 40), {"num_clusters": 15, "metric": "spherical"}),
    "one start": (mixture(6 * BLOCK, 4, 40), {"num_clusters": 70, "num_restarts": 1}),
    "sample": (
        mixture(6 * BLOCK + 5, 4, 30),
        {"num_clusters": 40, "max_points_per_cluster": 256, "num_restarts": 2},
    ),
    "duplicates": (DISTINCT.repeat_interleave(13, dim=0), {"num_clusters": 9}),
}


def _fit(x: Tensor, settings: dict, processes: Processes = ALONE):
    fitted = KMeans(**settings, seed=1, num_iterations=12, processes=processes).fit(x)
    sizes = fitted.predict(x).bincount(minlength=fitted.num_clusters)
    return fitted.centroids, torch.tensor(fitted.inertia, dtype=torch.float64), sizes


def _fit_all(rank: int, count: int):
    small_blocks(pytest.MonkeyPatch())
    processes = Processes(rank, count)
    return {
        name: _fit(x[processes.part(len(x), BLOCK)], settings, processes)
        for name, (x, settings) in CASES.items()
    }


@pytest.mark.parametrize("count", [2, 3])
def test_shares_of_whole_blocks_give_the_fit_of_one_process(count: int, monkeypatch):
    small_blocks(monkeypatch)
    found = run_in_processes(_fit_all, count, count)
    for name, (x, settings) in CASES.items():
        centroids, inertia, sizes = _fit(x, settings)
        for shares in found:
            torch.testing.assert_close(shares[name][0], centroids, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(shares[name][1], inertia, rtol=1e-6, atol=1e-9)
        together = sum(shares[name][2] for shares in found)
        assert torch.equal(torch.as_tensor(together), sizes), name


def _uneven(rank: int):
    processes = Processes(rank, 3)
    x = mixture(900, 3, 4)
    share = (x[:100], x[:0], x[100:])[rank]
    fitted = KMeans(4, seed=0, processes=processes).fit(share)
    rows = (share[:30], share[30:])
    scaler = Standardizer().fit(rows, processes)
    pca = PCA(2).fit(rows, processes)
    return fitted.centroids, fitted.inertia, scaler.mean, scaler.std, pca.components


def test_any_shares_will_do_also_an_empty_one():
    x = mixture(900, 3, 4)
    fitted, scaler, pca = KMeans(4, seed=0).fit(x), Standardizer().fit(x), PCA(2).fit(x)
    for centroids, inertia, mean, std, components in run_in_processes(_uneven, 3):
        torch.testing.assert_close(centroids, fitted.centroids, rtol=1e-5, atol=1e-5)
        assert inertia == pytest.approx(fitted.inertia, rel=1e-6)
        torch.testing.assert_close(mean, scaler.mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(std, scaler.std, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(components, pca.components, rtol=1e-5, atol=1e-5)


def _moved(rank: int, count: int) -> Tensor:
    """Centroids after an iteration from one in the middle and three too far from all points."""
    x = torch.arange(20.0).sub(9.4)[:, None].repeat(1, 2)
    processes = Processes(rank, count)
    part = processes.part(len(x))
    points = lloyd.Points(
        x[part], x.device, 8, False, torch.zeros(2), processes=processes, before=part.start
    )
    start = torch.tensor([[0.0, 0.0], [1e3, 0.0], [0.0, 1e3], [-1e3, 0.0]])
    return lloyd._means(points, lloyd.assign(points, start), start)


@pytest.mark.parametrize("count", [2, 3])
def test_empty_clusters_move_onto_the_points_farthest_of_all(count: int):
    expected = torch.tensor([[0.1, 0.1], [9.6, 9.6], [-9.4, -9.4], [8.6, 8.6]])
    torch.testing.assert_close(_moved(0, 1), expected)
    for found in run_in_processes(_moved, count, count):
        torch.testing.assert_close(found, expected)


def _errors(rank: int) -> list[str]:
    processes = Processes(rank, 2)
    share = torch.randn(50, 2)
    odd = share.clone()
    odd[7, 1] = torch.nan
    said = []
    for x, num_clusters in (((share, odd)[rank], 3), (share, 101)):
        with pytest.raises(ValueError, match="point") as error:
            KMeans(num_clusters, processes=processes).fit(x)
        said.append(str(error.value))
    with pytest.raises(ValueError, match="row") as error:
        Standardizer().fit(share[:0], processes)
    return [*said, str(error.value)]


def test_every_process_hears_of_points_that_do_not_fit():
    first, second = run_in_processes(_errors, 2)
    assert first == second
    assert "point 57 " in first[0]
    assert "got 100" in first[1]
