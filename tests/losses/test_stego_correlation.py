from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.losses import stego_correlation
from leopart_kit.losses.stego_correlation import sample_points

GOLDEN = Path(__file__).parents[1] / "golden" / "stego_correlation.npz"


def test_value_and_gradient_are_those_of_the_released_code():
    arrays = {name: torch.from_numpy(array) for name, array in np.load(GOLDEN).items()}
    codes = arrays["codes"].requires_grad_()
    positive = arrays["codes_positive"].requires_grad_()
    here, there = arrays["coords_xy"], arrays["coords_positive_xy"]
    features, own = sample_points(arrays["features"], here), sample_points(codes, here)
    near = sample_points(arrays["features_positive"], there), sample_points(positive, there)
    terms = {
        "intra": stego_correlation(features, features, own, own, float(arrays["shift_intra"])),
        "inter": stego_correlation(features, near[0], own, near[1], float(arrays["shift_inter"])),
        "negative": torch.stack(
            [
                stego_correlation(
                    features,
                    sample_points(arrays["features"][rows], there),
                    own,
                    sample_points(codes[rows], there),
                    float(arrays["shift_negative"]),
                )
                for rows in arrays["negative_permutations"]
            ]
        ).mean(),
    }
    for name, term in terms.items():
        assert term.item() == pytest.approx(arrays[f"loss_{name}"].item(), abs=1e-6)
    loss = sum(arrays[f"weight_{name}"] * term for name, term in terms.items())
    assert loss.item() == pytest.approx(arrays["loss"].item(), rel=1e-4)  # type: ignore[union-attr]
    loss.backward()  # type: ignore[union-attr]
    torch.testing.assert_close(codes.grad, arrays["grad_codes"], rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(positive.grad, arrays["grad_codes_positive"], rtol=1e-4, atol=1e-8)


def test_a_case_by_hand():
    """Two points of one image: F = [[1, 0], [0, 1]], already centred around its mean of 1/2."""
    features = torch.eye(2).view(1, 2, 1, 2)
    codes = torch.tensor([[[[3.0, 0.0]], [[4.0, 2.0]]]])  # cosines 1 and 0.8
    loss = stego_correlation(features, features, codes, codes, 0.25)
    assert loss.item() == pytest.approx(-(0.75 + 0.75 + 0.8 * -0.25 + 0.8 * -0.25) / 4)
    opposite = stego_correlation(features, features, codes, -codes, 0.25)
    assert opposite.item() == 0, "what points the other way neither pulls nor pushes"


@given(st.integers(0, 2**31), st.floats(0.1, 50))
@settings(max_examples=20, deadline=None)
def test_lengths_of_features_and_codes_do_not_matter(seed: int, scale: float):
    generator = torch.Generator().manual_seed(seed)
    one, two = torch.randn(2, 3, 6, 4, 4, generator=generator).unbind()
    codes, others = torch.randn(2, 3, 2, 4, 4, generator=generator).unbind()
    loss = stego_correlation(one, two, codes, others, 0.1)
    scaled = stego_correlation(one * scale, two, codes, others * scale, 0.1)
    torch.testing.assert_close(loss, scaled, rtol=1e-4, atol=1e-6)


def test_no_gradient_flows_into_features():
    features = torch.randn(2, 3, 4, 4, requires_grad=True)
    codes = torch.randn(2, 5, 4, 4, requires_grad=True)
    stego_correlation(features, features, codes, codes, 0.1).backward()
    assert features.grad is None
    assert codes.grad is not None


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 3, 4, 4), (2, 3, 5, 5), (2, 5, 4, 4), (2, 5, 4, 4)],
        [(2, 3, 4, 4), (2, 3, 4, 4), (2, 5, 3, 3), (2, 5, 3, 3)],
        [(2, 3, 16), (2, 3, 16), (2, 5, 16), (2, 5, 16)],
    ],
)
def test_shapes_that_do_not_fit_are_named(shapes: list[tuple[int, ...]]):
    tensors = [torch.zeros(shape) for shape in shapes]
    with pytest.raises(ValueError, match=r"features"):
        stego_correlation(*tensors, 0.1)  # type: ignore[misc]
