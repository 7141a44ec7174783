"""A head that starts from the data: PCA of standardised tokens, spherical k-means on top."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from leopart_kit.clustering import PCA, KMeans, Standardizer
from leopart_kit.methods.warm_start import sampled_rows, warm_start


def tokens(num: int = 600, dim: int = 6) -> Tensor:
    """Correlated dimensions with means and scales far apart."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(dim, dim, generator=generator)
    scales = torch.logspace(-1, 2, dim)
    return torch.randn(num, dim, generator=generator) @ mixing * scales + 10 * scales


def in_chunks(rows: Tensor, size: int = 77):
    def chunks() -> Iterator[Tensor]:
        return iter(rows.split(size))

    return chunks


def test_the_projection_is_the_pca_of_standardised_tokens():
    rows = tokens()
    projection, _ = warm_start(in_chunks(rows), 4, projection_dim=3)
    standard = (rows - rows.mean(0)) / rows.std(0, correction=0)
    _, _, directions = torch.linalg.svd(standard, full_matrices=False)
    expected = standard @ directions[:3].T
    expected = expected / expected.norm(dim=1, keepdim=True)
    signs = (expected * projection(rows)).sum(0).sign()  # those of an SVD are arbitrary
    torch.testing.assert_close(projection(rows), expected * signs, rtol=0, atol=2e-4)


def test_it_agrees_with_the_steps_taken_one_by_one():
    rows = tokens()
    projection, prototypes = warm_start(in_chunks(rows), 4, projection_dim=3, seed=5)
    standardizer = Standardizer().fit(rows)
    standard = standardizer.transform(rows)
    reduced = PCA(3).fit(standard).transform(standard)
    unit = torch.nn.functional.normalize(reduced, dim=1)
    torch.testing.assert_close(projection(rows), unit, rtol=0, atol=1e-4)
    kmeans = KMeans(4, metric="spherical", num_restarts=3, max_points_per_cluster=400, seed=5).fit(
        projection(rows).detach()
    )
    torch.testing.assert_close(prototypes.weight, kmeans.centroids, rtol=0, atol=1e-5)
    # Each prototype is the mean direction of the patches that like it most.
    nearest = (unit @ prototypes.weight.T).argmax(dim=1)
    for k in range(4):
        mean = torch.nn.functional.normalize(unit[nearest == k].mean(dim=0), dim=0)
        torch.testing.assert_close(prototypes.weight[k].detach(), mean, rtol=0, atol=0.02)


def test_both_can_be_trained():
    head = warm_start(in_chunks(tokens()), 4, projection_dim=3)
    assert all(p.requires_grad for module in head for p in module.parameters())


def test_chunks_and_seeds():
    rows = tokens()
    ways = [
        warm_start(in_chunks(rows, size), 4, projection_dim=3, seed=seed)[1].weight
        for size, seed in ((77, 1), (77, 1), (600, 1))
    ]
    assert torch.equal(ways[0], ways[1])
    torch.testing.assert_close(ways[0], ways[2], rtol=0, atol=1e-3)


def test_all_rows_unless_there_are_too_many_then_a_random_share():
    rows = torch.arange(1000.0)[:, None]
    assert torch.equal(torch.cat(list(sampled_rows(in_chunks(rows), 1000, 0))), rows)
    some = torch.cat(list(sampled_rows(in_chunks(rows), 250, 0)))
    assert 200 < len(some) < 300
    assert torch.equal(some, some.unique(dim=0)), "in order, none twice"
    # Patches lie row by row in an image: an even step could meet one column alone.
    assert len((some % 28).unique()) == 28
    assert torch.equal(some, torch.cat(list(sampled_rows(in_chunks(rows), 250, 0))))
    assert not torch.equal(some[:100], torch.cat(list(sampled_rows(in_chunks(rows), 250, 1)))[:100])


@pytest.mark.parametrize(
    ("num", "prototypes", "dim", "message"),
    [
        (3, 4, 2, "4 clusters"),
        (50, 4, 7, "PCA"),
    ],
)
def test_too_little_data(num: int, prototypes: int, dim: int, message: str):
    with pytest.raises(ValueError, match=message):
        warm_start(in_chunks(tokens(num)), prototypes, projection_dim=dim)
