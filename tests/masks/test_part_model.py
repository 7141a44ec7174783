"""A saved model finds the same parts again; a wrong one says why it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from leopart_kit.backbones import Encoder
from leopart_kit.clustering.kmeans import Metric
from leopart_kit.masks import PartModel, PartNames
from tests.evaluation.tiny_data import ShiftedColour, encoder_of
from tests.masks.part_models import model_of

ENCODER = encoder_of(ShiftedColour(0.0))


def planted(num_clusters: int, dim: int, seed: int = 0) -> Tensor:
    """40 points around each of K far corners, shuffled, one dimension a hundred times the others'
    scale."""
    generator = torch.Generator().manual_seed(seed)
    centres = 10 * torch.eye(dim)[:num_clusters] + 3
    points = centres.repeat(40, 1) + 0.1 * torch.randn(40 * num_clusters, dim, generator=generator)
    return points[torch.randperm(len(points), generator=generator)] * torch.tensor(
        [100.0] + [1.0] * (dim - 1)
    )


def fit(points: Tensor, num_clusters: int, **options: object) -> PartModel:
    def tokens() -> Iterator[Tensor]:
        yield from points.split(50)

    return PartModel.fit(
        tokens,
        num_clusters,
        encoder=ENCODER,
        resolution=(32, 48),
        **options,  # type: ignore[arg-type]
    )


@settings(max_examples=12)
@given(
    metric=st.sampled_from(["euclidean", "spherical"]),
    standardize=st.booleans(),
    l2_normalize=st.booleans(),
    pca_dim=st.sampled_from([None, 3, 6, 99]),
)
def test_parts_survive_saving(
    tmp_path_factory: pytest.TempPathFactory,
    metric: Metric,
    standardize: bool,
    l2_normalize: bool,
    pca_dim: int | None,
):
    points = planted(4, 6)
    model = fit(
        points,
        4,
        metric=metric,
        standardize=standardize,
        l2_normalize=l2_normalize,
        pca_dim=pca_dim,
    )
    path = tmp_path_factory.mktemp("model") / "model.npz"
    model.save(path)
    loaded = PartModel.load(path)
    new = planted(4, 6, seed=1).view(4, 40, 6)
    clusters = loaded.assign(new)
    assert clusters.shape == (4, 40)
    assert torch.equal(clusters, model.assign(new))
    assert torch.equal(loaded.scores(new).argmax(-1), clusters), "scores rank as k-means does"
    assert loaded.centroids.shape[1] == (3 if pca_dim == 3 else 6)
    assert (loaded.encoder, loaded.encoder_sha256) == (ENCODER.name, ENCODER.fingerprint())
    assert (loaded.resolution, loaded.metric) == ((32, 48), metric)
    assert loaded.communities is None


def test_planted_parts_are_found():
    model = fit(planted(4, 6), 4)
    clusters = model.assign(planted(4, 6, seed=1))
    corners = (planted(4, 6, seed=1)[:, :4] / torch.tensor([100.0, 1, 1, 1])).argmax(1)
    pairs = set(zip(clusters.tolist(), corners.tolist(), strict=True))
    assert len(pairs) == 4


def test_everything_else_survives_saving(tmp_path: Path):
    model = model_of(
        3,
        foreground=np.array([True, False, True]),
        communities=np.array([1, -1, 0]),
        names=PartNames({2: "Räder"}, {1: "car"}),
    )
    model.save(tmp_path / "model.npz")
    loaded = PartModel.load(tmp_path / "model.npz")
    assert loaded.foreground.tolist() == [True, False, True]
    assert loaded.communities is not None
    assert loaded.communities.tolist() == [1, -1, 0]
    assert loaded.num_communities == 2
    assert loaded.names == model.names
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_scores_by_hand():
    """Centroids 0, 1, 2 less their mean 1: 2 · (x - 1) · c - c²."""
    scores = model_of(3).scores(torch.tensor([[0.0], [1.25]]))
    assert scores.tolist() == [[1.0, 0.0, -3.0], [-1.5, 0.0, -0.5]]


@given(share=st.floats(0, 1))
def test_score_of_a_mixture_is_the_mixture_of_scores(share: float):
    """Up to a constant of all clusters: what upsampling relies on."""
    torch.manual_seed(0)
    model = model_of(5, centroids=torch.randn(5, 3))
    a, b = torch.randn(2, 3)
    mixed = model.scores(share * a + (1 - share) * b)
    mixture = share * model.scores(a) + (1 - share) * model.scores(b)
    torch.testing.assert_close(mixed - mixed[0], mixture - mixture[0], atol=1e-5, rtol=1e-5)


def test_margins_by_hand():
    """Centroids 0, 1, 2 on a line: 1 less the nearest distance over the second."""
    clusters, margins = model_of(3).assign_with_margin(
        torch.tensor([[[0.0], [0.25]], [[1.5], [4.0]]])
    )
    assert clusters[0].tolist() == [0, 0]
    assert int(clusters[1, 1]) == 2
    torch.testing.assert_close(margins, torch.tensor([[1.0, 2 / 3], [0.0, 1 / 3]]))


def test_spherical_margins_by_hand():
    """Distances are 1 - cosine, whatever the length: of (3, 4) 0.4 to x and 0.2 to y."""
    model = model_of(2, centroids=torch.tensor([[2.0, 0.0], [0.0, 5.0]]), metric="spherical")
    clusters, margins = model.assign_with_margin(torch.tensor([[3.0, 4.0], [7.0, 0.0]]))
    assert clusters.tolist() == [1, 0]
    torch.testing.assert_close(margins, torch.tensor([0.5, 1.0]))


@pytest.mark.parametrize("metric", ["euclidean", "spherical"])
def test_the_only_cluster_is_certain(metric: Metric):
    model = model_of(1, centroids=torch.tensor([[1.0, 1.0]]), metric=metric)
    clusters, margins = model.assign_with_margin(torch.randn(3, 5, 2))
    assert clusters.tolist() == [[0] * 5] * 3
    assert margins.tolist() == [[1.0] * 5] * 3


@pytest.mark.parametrize("metric", ["euclidean", "spherical"])
def test_a_token_on_two_equal_centroids_has_no_margin_and_no_nan(metric: Metric):
    model = model_of(2, centroids=torch.ones(2, 2), metric=metric)
    margins = model.assign_with_margin(torch.tensor([[1.0, 1.0], [2.0, 1.0]]))[1]
    assert torch.isfinite(margins).all()
    assert float(margins[1]) == pytest.approx(0, abs=1e-5)


@given(seed=st.integers(0, 99), metric=st.sampled_from(["euclidean", "spherical"]))
def test_margins_go_with_the_assignment(seed: int, metric: Metric):
    generator = torch.Generator().manual_seed(seed)
    centroids = F.normalize(torch.randn(5, 3, generator=generator), dim=1)
    model = model_of(5, centroids=centroids, metric=metric)
    tokens = torch.randn(4, 6, 3, generator=generator)
    clusters, margins = model.assign_with_margin(tokens)
    assert torch.equal(clusters, model.assign(tokens))
    assert ((margins >= -1e-5) & (margins <= 1 + 1e-5)).all()


def test_fingerprint_is_of_the_parts_and_not_of_their_names(tmp_path: Path):
    model = model_of(3, communities=np.array([0, 0, -1]))
    model.save(tmp_path / "model.npz")
    same = [
        PartModel.load(tmp_path / "model.npz"),
        model.with_names(PartNames({1: "wheel"}, {0: "car"})),
    ]
    assert {other.fingerprint() for other in same} == {model.fingerprint()}
    other = [
        replace(model, centroids=model.centroids + 1),
        replace(model, foreground=np.array([True, True, False])),
        replace(model, communities=None),
        replace(model, communities=np.array([0, 1, -1])),
        replace(model, metric="spherical"),
        replace(model, encoder_sha256="1" * 64),
    ]
    prints = {item.fingerprint() for item in (model, *other)}
    assert len(prints) == 7
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in prints)


def test_another_encoder_is_refused():
    model = fit(planted(2, 3), 2)
    model.check_encoder(ENCODER)
    other: Encoder = encoder_of(ShiftedColour(0.5))
    with pytest.raises(ValueError, match="fingerprint"):
        model.check_encoder(other)


def test_more_clusters_than_tokens_are_refused():
    with pytest.raises(ValueError, match="got 80"):
        fit(planted(2, 3), 81)


def test_fields_must_fit_the_clusters():
    with pytest.raises(ValueError, match=r"foreground.*\[2\]"):
        model_of(3, foreground=np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match=r"communities.*\[4\]"):
        model_of(3, communities=np.zeros(4, dtype=np.int64))
    with pytest.raises(ValueError, match="3, 17"):
        model_of(3).with_names(PartNames({3: "a", 1: "b", 17: "c"}))
    with pytest.raises(ValueError, match="object_002"):
        replace(model_of(2), communities=np.array([0, 1]), names=PartNames({}, {2: "car"}))


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "model.npz"
    model_of(2).save(path)

    def fill_the_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fill_the_disk)
    with pytest.raises(OSError, match=r"model\.npz"):
        model_of(3).save(path)
    assert PartModel.load(path).num_clusters == 2
    assert list(tmp_path.iterdir()) == [path]
