"""Soft sorting: doubly stochastic, a sort where it is steep, and the diffsort package's figures."""

from __future__ import annotations

import diffsort
import pytest
import torch
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from leopart_kit.losses import soft_sort
from leopart_kit.losses.soft_sort import Network

NETWORKS: list[Network] = ["bitonic", "odd_even"]
networks = st.sampled_from(NETWORKS)


def rows(number: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, width, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(
    ("network", "steepness"), [("bitonic", 100), ("odd_even", 100), ("bitonic", 10)]
)
def test_it_equals_the_released_figures(golden, network, steepness):
    arrays = {name: torch.from_numpy(array) for name, array in golden("neco").items()}
    values, matrix = soft_sort(arrays["values"], steepness, network)
    name = f"{network}_{steepness}"
    torch.testing.assert_close(values, arrays[f"sorted_{name}"], rtol=0, atol=1e-4)
    torch.testing.assert_close(matrix, arrays[f"permutation_{name}"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("width", [2, 3, 7, 11, 16, 21, 25, 49])
def test_it_equals_the_package_in_value_and_gradient(network: Network, width: int):
    values = rows(21, width, seed=width).requires_grad_()  # more rows than go through at once
    weights = rows(21, width * width, seed=1).view(21, width, width)
    theirs = diffsort.DiffSortNet(network, width, steepness=7, distribution="cauchy")
    gradients = []
    for ordered, matrix in (soft_sort(values, 7, network), theirs.double()(values)):
        loss = (matrix * weights).sum() + (ordered * weights[:, 0]).sum()
        gradients.append((ordered, matrix, *torch.autograd.grad(loss, values)))
    for ours, package in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, package, rtol=1e-6, atol=1e-6)


def test_two_values_by_hand():
    values, matrix = soft_sort(torch.tensor([[2.0, 1.0]]), 1)
    # The first stays by atan(-1) / pi + 1 / 2 = 1 / 4.
    torch.testing.assert_close(matrix[0], torch.tensor([[0.25, 0.75], [0.75, 0.25]]))
    torch.testing.assert_close(values[0], torch.tensor([1.25, 1.75]))


@tries(max_examples=40)
@given(networks, st.integers(1, 40), st.floats(0, 1e4), st.integers(0, 10**6))
def test_rows_and_columns_sum_to_one_and_carry_the_values(network, width, steepness, seed):
    values = rows(3, width, seed)
    ordered, matrix = soft_sort(values, steepness, network)
    ones = torch.ones(3, width, dtype=torch.float64)
    torch.testing.assert_close(matrix.sum(dim=1), ones)
    torch.testing.assert_close(matrix.sum(dim=2), ones)
    assert matrix.min() >= 0
    torch.testing.assert_close((values.unsqueeze(1) @ matrix)[:, 0], ordered)


@tries(max_examples=40)
@given(networks, st.integers(1, 70), st.integers(0, 10**6))
def test_a_steep_one_is_argsort(network, width, seed):
    values = rows(2, width, seed)
    ordered, matrix = soft_sort(values, 1e13, network)
    torch.testing.assert_close(ordered, values.sort(dim=1).values, rtol=0, atol=1e-6)
    assert torch.equal(matrix.argmax(dim=1), values.argsort(dim=1))


@pytest.mark.parametrize("width", range(1, 132))
def test_bitonic_sorts_at_every_width(width: int):
    """Zeros and ones are enough (the 0-1 principle); the package fails at 22 and some others."""
    generator = torch.Generator().manual_seed(width)
    shares = torch.rand(120, 1, generator=generator)
    values = (torch.rand(120, width, generator=generator) < shares).double()
    ordered, _ = soft_sort(values, 1e13)
    torch.testing.assert_close(ordered, values.sort(dim=1).values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("width", [1, 2, 5, 6])
def test_its_gradient_is_that_of_its_values(network: Network, width: int):
    values = rows(2, width, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: soft_sort(x, 3.0, network), values)


@pytest.mark.parametrize(
    ("shape", "steepness", "network", "named"),
    [
        ((3,), 1, "bitonic", "values"),
        ((3, 0), 1, "bitonic", "values"),
        ((3, 2), -1, "bitonic", "steepness"),
        ((3, 2), float("nan"), "bitonic", "steepness"),
        ((3, 2), 1, "bubble", "bubble"),
    ],
)
def test_what_cannot_be_sorted_is_told(shape, steepness, network, named):
    with pytest.raises(ValueError, match=named):
        soft_sort(torch.zeros(shape), steepness, network)
