"""Losses on the similarities of an image's patches: kernel alignment and Gram anchoring."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from torch import Tensor

from leopart_kit.losses import gram_anchoring, patch_kernel_alignment


def as_tensors(arrays: dict) -> dict[str, Tensor]:
    return {name: torch.as_tensor(array) for name, array in arrays.items()}


def assert_near(gradient: Tensor | None, expected: Tensor) -> None:
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("kind", ["all", "masked"])
def test_kernel_alignment_equals_the_released_code(golden, kind):
    arrays = as_tensors(golden("patch_kernel_alignment"))
    student = arrays["student"].requires_grad_()
    ignored = arrays["ignored"] if kind == "masked" else None
    loss = patch_kernel_alignment(student, arrays["teacher"], ignored)
    loss.backward()
    assert loss.item() == pytest.approx(arrays[f"loss_{kind}"].item(), rel=1e-4)
    assert_near(student.grad, arrays[f"grad_{kind}"])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("image", {}),
        ("batch", {"per_image": False}),
        ("no_negative", {"negatives": "drop"}),
        ("no_teacher_negative", {"negatives": "drop_teacher"}),
    ],
)
def test_gram_anchoring_equals_the_released_code(golden, kind, options):
    arrays = as_tensors(golden("gram_anchoring"))
    student = arrays["student"].requires_grad_()
    loss = gram_anchoring(student, arrays["teacher"], **options)
    loss.backward()
    assert loss.item() == pytest.approx(arrays[f"loss_{kind}"].item(), rel=1e-4)
    assert_near(student.grad, arrays[f"grad_{kind}"])


sizes = st.tuples(st.integers(1, 3), st.integers(2, 6), st.integers(2, 5), st.integers(0, 999))


@tries(max_examples=30)
@given(sizes, st.floats(0.1, 10))
def test_kernels_that_are_alike_up_to_scale_rotation_and_shift_lose_nothing(size, scale):
    batch, number, dim, seed = size
    generator = torch.Generator().manual_seed(seed)
    tokens = 3 * torch.randn(batch, number, dim, dtype=torch.float64, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=generator))
    moved = scale * tokens @ turn + 1
    assert patch_kernel_alignment(moved, tokens).item() == pytest.approx(0, abs=1e-3)
    order = torch.randperm(number, generator=generator)
    other = torch.randn(batch, number, dim, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(
        patch_kernel_alignment(other[:, order], tokens[:, order]),
        patch_kernel_alignment(other, tokens),
    )


@tries(max_examples=30)
@given(sizes)
def test_gram_anchoring_knows_no_length_and_no_direction(size):
    batch, number, dim, seed = size
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(batch, number, dim, dtype=torch.float64, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=generator))
    assert gram_anchoring(2 * tokens @ turn, tokens).item() == pytest.approx(0, abs=1e-12)


def test_gram_anchoring_by_hand():
    student, teacher = torch.tensor([[[3.0, 0], [0, 2]]]), torch.tensor([[[1.0, 0], [-1, 0]]])
    assert gram_anchoring(student, teacher).item() == pytest.approx(0.5)  # 0 and -1, twice of 4
    assert gram_anchoring(student, teacher, negatives="drop_teacher").item() == 0


def test_no_image_that_counts_loses_nothing():
    tokens = torch.randn(2, 3, 4, requires_grad=True)
    ignored = torch.tensor([[True, True, False], [True, True, True]])
    loss = patch_kernel_alignment(tokens, tokens, ignored)
    loss.backward()
    assert loss.item() == 0
    assert tokens.grad is not None
    assert not tokens.grad.any()


@pytest.mark.parametrize("loss", [patch_kernel_alignment, gram_anchoring])
def test_other_shapes_are_told(loss):
    with pytest.raises(ValueError, match="teacher"):
        loss(torch.zeros(2, 3, 4), torch.zeros(2, 4, 4))
