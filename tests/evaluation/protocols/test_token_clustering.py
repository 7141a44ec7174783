from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from leopart_kit.evaluation import FeatureStore
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.evaluation.protocols.token_clusters import token_points
from leopart_kit.evaluation.protocols.token_clusters.token_clustering import cluster_tokens
from leopart_kit.evaluation.protocols.token_clusters.token_points import TokenPoints
from leopart_kit.metrics import ConfusionMatrix, segmentation_scores
from leopart_kit.metrics.scores import match_clusters


def store_of(folder: Path, tokens: np.ndarray, grid: tuple[int, int]) -> FeatureStore:
    """A finished store of tokens `[N, h·w, D]`."""
    np.save(folder / "tokens.npy", tokens.astype(np.float16))
    np.save(folder / "status.npy", np.ones(len(tokens), np.uint8))
    (folder / "broken.json").write_text(json.dumps({}))
    return FeatureStore(folder, grid)


def project(store: FeatureStore, **settings) -> torch.Tensor:
    return TokenPoints(store, Overclustering(**settings)).points


@pytest.fixture
def random_store(tmp_path: Path) -> FeatureStore:
    generator = np.random.default_rng(0)
    scale = np.array([1.0, 5.0, 0.2, 30.0, 1.0, 2.0])
    tokens = generator.normal(size=(7, 6, 6)) * scale + np.arange(6)
    return store_of(tmp_path, tokens, (2, 3))


def test_projection_equals_numpy(random_store: FeatureStore):
    rows = np.array(random_store.tokens, dtype=np.float64).reshape(42, 6)
    standard = (rows - rows.mean(0)) / rows.std(0)
    np.testing.assert_allclose(project(random_store, pca_dim=None), standard, atol=1e-4)
    _, _, components = np.linalg.svd(standard, full_matrices=False)
    projected = project(random_store, pca_dim=2).numpy()
    expected = standard @ components[:2].T
    # Signs of components are free, products are not.
    np.testing.assert_allclose(projected @ projected.T, expected @ expected.T, atol=1e-3)
    raw = project(random_store, standardize=False, pca_dim=None)
    np.testing.assert_allclose(raw, rows, rtol=1e-6)
    unit = project(random_store, standardize=False, pca_dim=None, l2_normalize=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, rows / lengths, atol=1e-5)


def test_a_pca_wider_than_the_tokens_keeps_them_all(random_store: FeatureStore):
    assert project(random_store, pca_dim=50).shape == (42, 6)


def test_more_clusters_than_patches_is_an_error(random_store: FeatureStore):
    with pytest.raises(ValueError, match="the 42 patches"):
        cluster_tokens(random_store, Overclustering(seeds=(0,)), 43)
    assert cluster_tokens(random_store, Overclustering(seeds=(0,)), 42).maps[0].shape == (7, 2, 3)


@pytest.mark.parametrize("engine", ["leopart_kit", "faiss"])
def test_maps_follow_the_grid_and_repeat_by_seed(tmp_path: Path, engine):
    """Tokens that lie on three distant points, laid out on a 2 x 3 grid."""
    places = np.array([[0, 0, 1, 2, 2, 1], [1, 1, 1, 0, 0, 2], [2, 0, 2, 0, 2, 0]])
    tokens = np.eye(3)[places] * 10
    store = store_of(tmp_path, tokens, (2, 3))
    protocol = Overclustering(seeds=(3, 4), engine=engine)
    first = cluster_tokens(store, protocol, 3)
    again = cluster_tokens(store, protocol, 3)
    for seed in (3, 4):
        maps = first.maps[seed]
        assert maps.dtype == np.int32
        np.testing.assert_array_equal(maps, again.maps[seed])
        # Equal where the tokens are equal, different where they differ.
        flat, expected = maps.reshape(-1), places.reshape(-1)
        np.testing.assert_array_equal(
            flat[:, None] == flat[None], expected[:, None] == expected[None]
        )
    assert first.details["points"] == 18
    report = first.details["kmeans"][0]
    assert (report["seed"], report["points_used"], report["empty_clusters"]) == (3, 18, 0)
    assert report["inertia"] == pytest.approx(0, abs=1e-3)
    assert report["largest_cluster_percent"] == pytest.approx(100 * 7 / 18, abs=1e-3)


def test_scratch_files_go_and_finished_seeds_stay(
    random_store: FeatureStore, monkeypatch: pytest.MonkeyPatch
):
    before = {path.name for path in random_store.folder.iterdir()}
    done = []
    cluster = token_points.cluster_points

    def stop_at_the_third(points, protocol, num_clusters, seed, **options):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(seed)
        return cluster(points, protocol, num_clusters, seed, **options)

    monkeypatch.setattr(token_points, "cluster_points", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        cluster_tokens(random_store, Overclustering(seeds=3), 4)  # type: ignore[arg-type]
    monkeypatch.undo()
    assert {path.name for path in random_store.folder.iterdir()} == before | {"stages"}
    fresh = cluster_tokens(random_store, Overclustering(seeds=(5, 2)), 4)
    done[:] = [0]  # one more may be made
    monkeypatch.setattr(token_points, "cluster_points", stop_at_the_third)
    again = cluster_tokens(random_store, Overclustering(seeds=(0, 1, 5, 2)), 4)
    assert done == [0], "all four were there"
    np.testing.assert_array_equal(again.maps[5], fresh.maps[5])
    assert again.details["kmeans"][2:] == fresh.details["kmeans"]
    cluster_tokens(random_store, Overclustering(seeds=(0,), num_restarts=1), 4)
    assert done == [0, 0], "other settings are another k-means"


@pytest.fixture
def reference(shared_dir: Path) -> dict[str, np.ndarray]:
    """Tokens of 40 real images and what the released code makes of them."""
    with np.load(shared_dir / "golden" / "overclustering_end_to_end.npz") as arrays:
        return dict(arrays)


def reference_store(folder: Path, reference: dict[str, np.ndarray]) -> FeatureStore:
    return store_of(folder, reference["tokens"].reshape(40, 256, 384), (16, 16))


def test_projected_points_agree_with_the_released_code(tmp_path: Path, reference):
    points = project(reference_store(tmp_path, reference)).double()
    rows = points[torch.from_numpy(reference["gram_rows"])]
    gram, expected = (rows @ rows.T).numpy(), reference["gram"]
    assert np.abs(gram - expected).max() <= 1e-2 * np.abs(expected).max()


@pytest.mark.parametrize("engine", ["leopart_kit", "faiss"])
def test_a_hundred_clusters_score_as_with_the_released_code(tmp_path: Path, reference, engine):
    """Five seeds each: mIoU within 0.01, inertia within 0.5 % (ours may also be lower)."""
    protocol = Overclustering(engine=engine)
    clusters = cluster_tokens(reference_store(tmp_path, reference), protocol, 100)
    miou = []
    for maps in clusters.maps.values():
        nearest = np.arange(100) * 16 // 100
        counts = ConfusionMatrix(21, 100)
        counts.update(reference["masks"], maps[:, nearest][:, :, nearest])
        classes = match_clusters(counts.counts, "many_to_one_precision", 0)
        miou.append(segmentation_scores(counts.counts, classes).miou / 100)
    assert np.mean(miou) == pytest.approx(reference["miou_fraction_K100"].mean(), abs=0.01)
    inertia = np.mean([run["inertia"] for run in clusters.details["kmeans"]])
    ratio = inertia / reference["inertia_K100"].mean()
    assert ratio < 1.005
    if engine == "faiss":
        assert ratio > 0.995
