from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.clustering import PCA, Standardizer


def make_rows(seed: int, count: int, dim: int) -> torch.Tensor:
    """Correlated rows far from 0, in float64."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    rows = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    scales = torch.linspace(3, 0.5, dim, dtype=torch.float64)
    return (rows * scales) @ mixing + 20


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60))
def test_streaming_pca_equals_a_singular_value_decomposition(seed: int, chunk: int) -> None:
    rows = make_rows(seed, 90, 6)
    pca = PCA(3).fit(rows.split(chunk))
    centred = rows - rows.mean(dim=0)
    _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    cosine = (pca.components.double() * directions[:3]).sum(dim=1).abs()
    assert torch.allclose(cosine, torch.ones(3, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(pca.explained_variance.double(), singular[:3] ** 2 / 89, rtol=1e-5)
    share = singular[:3] ** 2 / (singular**2).sum()
    assert torch.allclose(pca.explained_variance_ratio.double(), share, rtol=1e-5)
    projected = centred @ (directions[:3].T * (pca.components.double() @ directions[:3].T).diag())
    assert torch.allclose(pca.transform(rows).double(), projected, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60))
def test_streaming_standardizer_equals_whole_set_statistics(seed: int, chunk: int) -> None:
    rows = make_rows(seed, 90, 6)
    standardizer = Standardizer().fit(iter(rows.split(chunk)))
    assert torch.allclose(standardizer.mean.double(), rows.mean(dim=0), rtol=1e-6)
    assert torch.allclose(standardizer.std.double(), rows.std(dim=0, correction=0), rtol=1e-6)
    transformed = standardizer.transform(rows)
    assert torch.allclose(transformed.mean(dim=0), torch.zeros(6), atol=1e-5)


def test_half_precision_far_from_zero_does_not_cancel() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = (1000 + 4 * torch.randn(30_000, 3, generator=generator)).half()
    standardizer = Standardizer().fit(rows.split(4096))
    exact = rows.double()
    assert torch.allclose(standardizer.std.double(), exact.std(dim=0, correction=0), rtol=1e-5)
    variances = PCA(3).fit(rows.split(4096)).explained_variance.double()
    expected = torch.linalg.eigvalsh(torch.cov(exact.T)).flip(0)
    assert torch.allclose(variances, expected, rtol=1e-5)


def test_signs_are_fixed_and_rows_orthonormal() -> None:
    rows = make_rows(1, 200, 5)
    components = PCA(5).fit(rows).components
    peaks = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    assert (peaks > 0).all()
    assert torch.allclose(components @ components.T, torch.eye(5), atol=1e-5)
    # Mirrored data have the same axes.
    assert torch.allclose(PCA(5).fit(-rows).components, components, atol=1e-5)


def test_constant_dimension_is_shifted_only() -> None:
    rows = torch.tensor([[1.0, 7.1], [3.0, 7.1], [5.0, 7.1]])
    transformed = Standardizer().fit(rows).transform(rows)
    assert transformed[:, 0].tolist() == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])
    assert transformed[:, 1].tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_states_restore_the_transform() -> None:
    rows = make_rows(2, 50, 4)
    standardizer, pca = Standardizer().fit(rows), PCA(2).fit(rows)
    restored = Standardizer.from_state_dict(standardizer.state_dict())
    assert torch.equal(restored.transform(rows), standardizer.transform(rows))
    restored_pca = PCA.from_state_dict(pca.state_dict())
    assert torch.equal(restored_pca.transform(rows), pca.transform(rows))
    assert restored_pca.num_components == 2
    with pytest.raises(ValueError, match="state lacks std"):
        Standardizer.from_state_dict({"mean": rows[0]})


def test_bad_rows_are_explained() -> None:
    rows = torch.ones(10, 3)
    rows[7, 1] = float("nan")
    with pytest.raises(ValueError, match="row 7"):
        Standardizer().fit(rows.split(4))
    with pytest.raises(ValueError, match="row 7"):
        PCA(1).fit(rows)
    with pytest.raises(ValueError, match="no row"):
        Standardizer().fit([])
    with pytest.raises(ValueError, match="has 2 dimensions"):
        Standardizer().fit([torch.ones(2, 3), torch.ones(2, 2)])
    with pytest.raises(ValueError, match="10 rows"):
        PCA(4).fit(torch.ones(10, 3))
    with pytest.raises(ValueError, match="num_components"):
        PCA(0)


def test_projection_equals_the_released_pipeline(shared_dir) -> None:
    figures = np.load(shared_dir / "golden" / "overclustering_end_to_end.npz")
    tokens = torch.from_numpy(figures["tokens"]).reshape(-1, 384)
    standardizer = Standardizer().fit(tokens.split(3000))
    standardized = standardizer.transform(tokens)
    rows = PCA(50).fit(standardized.split(3000)).transform(standardized[figures["gram_rows"]])
    gram = torch.from_numpy(figures["gram"])
    assert torch.allclose(rows @ rows.T, gram, atol=1e-5 * float(gram.abs().max()))
