from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from leopart_kit.clustering import FaissKMeans, KMeans
from leopart_kit.clustering.lloyd import Points, lloyd
from leopart_kit.metrics import ConfusionMatrix, match_many_to_one, segmentation_scores
from leopart_kit.progress import quiet

ENGINES = [KMeans, FaissKMeans]


def make_blobs(seed: int, num_blobs: int, size: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    """Well separated groups of points and the group of each."""
    generator = torch.Generator().manual_seed(seed)
    angles = torch.arange(num_blobs) * (2 * torch.pi / num_blobs)
    centres = 10 * torch.stack([angles.cos(), angles.sin()], dim=1)
    groups = torch.arange(num_blobs).repeat_interleave(size)
    points = centres[groups] + 0.2 * torch.randn(len(groups), 2, generator=generator)
    return points, groups


def same_partition(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two labellings group points alike, whatever the names."""
    together = first[:, None] == first
    return torch.equal(together, second[:, None] == second)


def recomputed(kmeans: KMeans | FaissKMeans, points: torch.Tensor) -> float:
    if kmeans.metric == "spherical":
        points = F.normalize(points, dim=1)
    offset = points.double() - kmeans.centroids[kmeans.predict(points)].double()
    return float(offset.square().sum())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_order_of_points_does_not_matter_on_separated_data(seed: int, num_blobs: int) -> None:
    points, groups = make_blobs(seed, num_blobs)
    kmeans = KMeans(num_blobs, seed=seed).fit(points)
    assert same_partition(kmeans.predict(points), groups)
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    shuffled = KMeans(num_blobs, seed=seed).fit(points[order])
    assert same_partition(shuffled.predict(points), groups)
    assert shuffled.inertia == pytest.approx(kmeans.inertia, rel=1e-5)
    within = sum(
        float((points[groups == g] - points[groups == g].mean(0)).square().sum())
        for g in range(num_blobs)
    )
    assert kmeans.inertia == pytest.approx(within, rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_duplicate_points(seed: int, num_distinct: int, num_clusters: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    distinct = torch.randn(num_distinct, 3, generator=generator) * 5
    points = distinct.repeat_interleave(13, dim=0)
    kmeans = KMeans(num_clusters, seed=seed).fit(points)
    labels = kmeans.predict(points)
    assert kmeans.centroids.isfinite().all()
    assert (labels.reshape(num_distinct, 13) == labels[::13, None]).all()
    if num_clusters >= num_distinct:
        assert len(labels.unique()) == num_distinct
        assert kmeans.inertia == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("metric", ["euclidean", "spherical"])
def test_inertia_is_the_sum_over_all_points_given(engine, metric) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(3000, 8, generator=generator) + 3
    full = engine(10, metric=metric, num_restarts=2).fit(points)
    assert full.inertia == pytest.approx(recomputed(full, points), rel=1e-5)
    sampled = engine(10, metric=metric, num_restarts=2, max_points_per_cluster=50).fit(points)
    assert sampled.points_used == 500
    assert sampled.inertia == pytest.approx(recomputed(sampled, points), rel=1e-5)
    assert full.points_used == (3000 if engine is KMeans else 2560)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2.0**-12, 0.25, 8.0, 2.0**12]))
def test_scaled_points_give_scaled_centroids(seed: int, scale: float) -> None:
    # By powers of two every rounding is the same.
    points = torch.randn(400, 5, generator=torch.Generator().manual_seed(seed))
    kmeans, scaled = KMeans(7, seed=seed).fit(points), KMeans(7, seed=seed).fit(points * scale)
    assert torch.equal(scaled.centroids, kmeans.centroids * scale)
    assert torch.equal(scaled.predict(points * scale), kmeans.predict(points))
    assert scaled.inertia == pytest.approx(kmeans.inertia * scale**2, rel=1e-6)


def test_points_far_from_zero_are_told_apart() -> None:
    points, groups = make_blobs(0, 6)
    kmeans = KMeans(6).fit(points + 10_000)
    assert same_partition(kmeans.predict(points + 10_000), groups)
    # float32 itself keeps three decimals there.
    assert kmeans.inertia == pytest.approx(KMeans(6).fit(points).inertia, rel=1e-2)


def test_spherical_ignores_length_and_returns_unit_centroids() -> None:
    points, groups = make_blobs(1, 5)
    lengths = torch.rand(len(points), 1, generator=torch.Generator().manual_seed(0)) * 9 + 0.1
    kmeans = KMeans(5, metric="spherical").fit(points * lengths)
    assert same_partition(kmeans.predict(points * lengths), groups)
    assert torch.allclose(kmeans.centroids.norm(dim=1), torch.ones(5), atol=1e-6)
    first = F.normalize(points[groups == 0], dim=1).sum(dim=0)
    centroid = kmeans.centroids[kmeans.predict(points[:1])[0]]
    assert torch.allclose(centroid, F.normalize(first, dim=0), atol=1e-5)


def test_one_step_of_lloyd_by_hand() -> None:
    x = torch.tensor([[0.0], [1.0], [5.0], [7.0], [11.0]])
    points = Points(x, torch.device("cpu"), 2, False, torch.zeros(1))
    fit = lloyd(points, torch.tensor([[0.0], [4.0]]), 1, 0.0, quiet)
    # {0, 1} and {5, 7, 11}: means 0.5 and 23/3.
    assert fit.centroids.flatten().tolist() == pytest.approx([0.5, 23 / 3])
    assert fit.inertia == pytest.approx(0.5 + (64 + 4 + 100) / 9)
    assert (fit.iterations, fit.converged) == (1, False)


def test_empty_cluster_moves_to_the_farthest_point() -> None:
    x = torch.tensor([[0.0], [1.0], [2.0], [30.0]])
    points = Points(x, torch.device("cpu"), 4, False, torch.zeros(1))
    fit = lloyd(points, torch.tensor([[1.0], [500.0]]), 10, 0.0, quiet)
    assert fit.centroids.flatten().tolist() == pytest.approx([1, 30])
    assert fit.inertia == pytest.approx(2)


def test_no_cluster_stays_empty_on_varied_points() -> None:
    points = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) ** 3
    for seed in range(5):
        kmeans = KMeans(60, seed=seed).fit(points)
        assert len(kmeans.predict(points).unique()) == 60


def test_as_many_clusters_as_points() -> None:
    points = torch.randn(25, 3, generator=torch.Generator().manual_seed(0))
    kmeans = KMeans(25).fit(points)
    assert len(kmeans.predict(points).unique()) == 25
    assert kmeans.inertia == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_seed_repeats_itself(engine) -> None:
    points = torch.randn(2000, 6, generator=torch.Generator().manual_seed(0))
    first, second, other = (engine(12, seed=seed).fit(points) for seed in (3, 3, 4))
    assert torch.equal(first.centroids, second.centroids)
    assert first.inertia == second.inertia
    assert not torch.equal(first.centroids, other.centroids)


def test_chunks_do_not_change_the_answer() -> None:
    points, groups = make_blobs(2, 7, size=100)
    fits = [KMeans(7, chunk_size=size).fit(points) for size in (None, 64, 33)]
    for kmeans in fits:
        assert same_partition(kmeans.predict(points), groups)
        assert kmeans.inertia == pytest.approx(fits[0].inertia, rel=1e-6)


def test_starts_on_a_sample_are_finished_on_all_points(caplog) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(30_000, 4, generator=generator).half()
    with caplog.at_level(logging.INFO):
        kmeans = KMeans(8).fit(points)
    assert kmeans.points_used == 30_000
    assert "of 30000 points" in caplog.text
    # Each centroid is the mean of all its points, up to the last move below the tolerance.
    labels = kmeans.predict(points)
    for cluster in range(8):
        mean = points[labels == cluster].float().mean(dim=0)
        assert torch.allclose(kmeans.centroids[cluster], mean, atol=0.05)


def test_better_starts_win() -> None:
    # A single start now and then splits one group and joins two others.
    points = torch.cat([make_blobs(seed, 12)[0] + 60 * seed for seed in range(3)])
    single = [KMeans(36, num_restarts=1, seed=seed).fit(points).inertia for seed in range(10)]
    best = [KMeans(36, num_restarts=5, seed=seed).fit(points).inertia for seed in range(10)]
    assert np.mean(best) <= np.mean(single)
    assert np.median(best) == pytest.approx(min(single + best), rel=1e-4)


def test_more_iterations_never_hurt() -> None:
    points = torch.randn(1500, 10, generator=torch.Generator().manual_seed(0))
    inertia = [KMeans(30, num_iterations=n, tolerance=0).fit(points).inertia for n in (1, 3, 50)]
    assert inertia[0] > inertia[1] > inertia[2]


def test_progress_is_reported() -> None:
    seen = []

    def track(items, description, total):
        seen.append((description, total))
        return items

    KMeans(3, num_restarts=2, num_iterations=7, track=track).fit(make_blobs(0, 3)[0])
    assert seen == [("k-means starts", 2), ("k-means", 7)]


@pytest.mark.parametrize("engine", ENGINES)
def test_bad_points_are_explained(engine) -> None:
    points = torch.randn(10, 3)
    with pytest.raises(ValueError, match="got 10"):
        engine(11).fit(points)
    with pytest.raises(ValueError, match=r"points.*\[3\]"):
        engine(2).fit(points[0])
    with pytest.raises(ValueError, match=r"got torch\.int64"):
        engine(2).fit(points.long())
    fitted = engine(2).fit(points)
    with pytest.raises(ValueError, match="points"):
        fitted.predict(points[:, :2])
    with pytest.raises(RuntimeError, match="fit"):
        engine(2).predict(points)
    for broken in (float("nan"), float("inf")):
        points[6, 1] = broken
        with pytest.raises(ValueError, match=r"point 6 .*not finite"):
            engine(2).fit(points)
        with pytest.raises(ValueError, match=r"point 6 .*not finite"):
            fitted.predict(points)


@pytest.mark.parametrize("engine", ENGINES)
def test_bad_settings_are_explained(engine) -> None:
    with pytest.raises(ValueError, match="num_clusters"):
        engine(0)
    with pytest.raises(ValueError, match="num_restarts"):
        engine(2, num_restarts=0)
    with pytest.raises(ValueError, match="max_points_per_cluster"):
        engine(2, max_points_per_cluster=0)
    with pytest.raises(ValueError, match="'euclidean'"):
        engine(2, metric="cosine")


def test_overflow_is_explained() -> None:
    points = torch.randn(10, 3) * 1e30
    with pytest.raises(ValueError, match="squares overflow float32"):
        KMeans(2).fit(points)


def test_missing_faiss_is_explained(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(ImportError, match="pip install faiss-cpu"):
        FaissKMeans(2)


def test_no_worse_than_faiss_on_structured_points() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 2 * torch.randn(60, 16, generator=generator)
    groups = torch.randint(60, (6000,), generator=generator)
    points = centres[groups] + torch.randn(6000, 16, generator=generator)
    ours, faiss = KMeans(60).fit(points), FaissKMeans(60, num_iterations=40).fit(points)
    assert ours.inertia <= 1.005 * faiss.inertia


@pytest.fixture
def end_to_end(shared_dir) -> dict[str, np.ndarray]:
    with np.load(shared_dir / "golden" / "overclustering_end_to_end.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def projected(end_to_end) -> torch.Tensor:
    from leopart_kit.clustering import PCA, Standardizer

    tokens = torch.from_numpy(end_to_end["tokens"]).reshape(-1, 384)
    standardized = Standardizer().fit(tokens).transform(tokens)
    return PCA(50).fit(standardized).transform(standardized)


def mean_iou(labels: torch.Tensor, masks: np.ndarray, num_clusters: int) -> float:
    nearest = np.arange(100) * 16 // 100
    maps = labels.reshape(-1, 16, 16).numpy()[:, nearest][:, :, nearest]
    matrix = ConfusionMatrix(21, num_clusters)
    matrix.update(masks, maps)
    return segmentation_scores(matrix.counts, match_many_to_one(matrix.counts)).miou / 100


def test_faiss_engine_equals_the_released_pipeline(end_to_end, projected) -> None:
    kmeans = FaissKMeans(100, seed=2).fit(projected)
    assert kmeans.inertia == pytest.approx(end_to_end["inertia_K100"][2], rel=5e-3)
    score = mean_iou(kmeans.predict(projected), end_to_end["masks"], 100)
    assert score == pytest.approx(end_to_end["miou_fraction_K100"][2], abs=0.01)


def test_own_engine_reaches_the_released_pipeline(end_to_end, projected) -> None:
    fits = [KMeans(100, seed=seed).fit(projected) for seed in range(5)]
    # Starts by k-means++ find a lower inertia than random ones on these tokens.
    inertia = np.mean([kmeans.inertia for kmeans in fits])
    assert inertia <= 1.005 * end_to_end["inertia_K100"].mean()
    scores = [mean_iou(kmeans.predict(projected), end_to_end["masks"], 100) for kmeans in fits]
    assert np.mean(scores) == pytest.approx(end_to_end["miou_fraction_K100"].mean(), abs=0.01)
