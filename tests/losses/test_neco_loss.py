"""NeCo's loss: the released figures, values by hand, and values that stay finite."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from leopart_kit.losses import neco_loss, order_cross_entropy, similarity_cross_entropy
from tests.losses.test_leopart_loss import random_batch


@pytest.mark.parametrize(
    ("network", "steepness"), [("bitonic", 100), ("odd_even", 100), ("bitonic", 10)]
)
def test_loss_and_gradient_equal_the_released_code(golden, network, steepness):
    arrays = {name: torch.as_tensor(array) for name, array in golden("neco").items()}
    leaves = [arrays[f"student_{kind}"].requires_grad_() for kind in ("global", "local")]
    loss = neco_loss(
        arrays["teacher"],
        [*leaves[0], *leaves[1]],
        arrays["overlap_in_global"],
        arrays["overlap_in_view"],
        int(arrays["patch_size"]),
        steepness=steepness,
        network=network,
        reference_order=arrays["reference_order"],
    )
    loss.backward()
    name = f"{network}_{steepness}"
    assert loss.item() == pytest.approx(float(arrays[f"loss_{name}"]), rel=1e-4)
    for kind, leaf in zip(("global", "local"), leaves, strict=True):
        expected = arrays[f"grad_{kind}_{name}"]
        bound = 1e-4 * expected.abs().max().item()
        torch.testing.assert_close(leaf.grad, expected, rtol=0, atol=bound)


def arguments(seed: int = 0) -> dict:
    """Of `neco_loss`, from those of Leopart's: scores are features of five dimensions."""
    batch = random_batch(2, seed)
    batch["teacher_features"] = batch.pop("teacher_scores")
    batch["student_features"] = batch.pop("student_scores")
    return batch


@tries(max_examples=20, deadline=None)
@given(
    st.sampled_from(["bitonic", "odd_even", "softmax"]), st.floats(1e-3, 1e8), st.integers(0, 99)
)
def test_value_and_gradient_are_finite_whatever_the_order_says(network, steepness, seed):
    batch = arguments(seed)
    leaves = [maps.requires_grad_() for maps in batch["student_features"]]
    loss = neco_loss(**batch, steepness=steepness, network=network)
    loss.backward()
    assert math.isfinite(loss.item())
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves)


@tries(max_examples=20)
@given(st.sampled_from(["bitonic", "odd_even"]), st.integers(2, 50), st.floats(1, 1e38))
def test_opposite_orders_of_equal_gaps_are_finite(network, width, steepness):
    ascending = torch.arange(width).float()[None]
    student = ascending.flip(1).requires_grad_()
    loss = order_cross_entropy(ascending, student, steepness, network)
    loss.backward()
    assert math.isfinite(loss.item())
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_a_view_against_itself_has_the_entropy_of_its_order():
    rows = torch.tensor([[2.0, 1.0]])
    loss = order_cross_entropy(rows, rows, steepness=1)  # shares of 1/4 and 3/4
    assert loss.item() == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


def test_the_control_without_sorting_by_hand():
    loss = similarity_cross_entropy(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 0.0]]), 0.1)
    assert loss.item() == pytest.approx(math.log(2))


def test_the_gradient_reaches_the_student_only():
    batch = arguments()
    batch["teacher_features"].requires_grad_()
    queue = torch.randn(12, 5, requires_grad=True)
    batch["student_features"][0].requires_grad_()
    neco_loss(**batch, references=queue).backward()
    assert batch["teacher_features"].grad is None
    assert queue.grad is None
    assert batch["student_features"][0].grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"references": torch.zeros(8, 5)}, "references"),
        ({"references": torch.zeros(9, 4)}, "references"),
        ({"reference_order": torch.zeros(3, 18, dtype=torch.int64)}, "reference_order"),
        ({"overlap_in_view": torch.zeros(2, 3, 3, 4)}, "overlap_in_view"),
        ({"student_features": [torch.zeros(2, 3, 3, 5)]}, "global views"),
        ({"student_features": [torch.zeros(2, 3, 3, 4)] * 3}, "student_features"),
        ({"network": "bubble"}, "bubble"),
    ],
)
def test_what_does_not_fit_is_told(change, named):
    with pytest.raises(ValueError, match=named):
        neco_loss(**{**arguments(), **change})
