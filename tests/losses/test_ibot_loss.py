from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leopart_kit.losses import ibot_loss

GOLDEN = Path(__file__).parents[1] / "golden" / "ibot.npz"


def test_value_and_gradient_are_those_of_the_released_code():
    arrays = {name: torch.from_numpy(array) for name, array in np.load(GOLDEN).items()}
    names = ("student_cls", "student_patches", "student_local_cls")
    student: Any = [arrays[name].requires_grad_() for name in names]
    taught = arrays["teacher_cls"], arrays["teacher_patches"]
    terms = ibot_loss(
        student[0],
        student[1],
        student[2],
        *taught,
        arrays["mask"],
        centre_cls=arrays["center_cls"],
        centre_patches=arrays["center_patches"],
        student_temperature=float(arrays["student_temperature"]),
        teacher_temperature=float(arrays["teacher_temperature_cls"]),
        teacher_patch_temperature=float(arrays["teacher_temperature_patches"]),
    )
    for term, name in zip(terms, ("loss_cls", "loss_patches"), strict=True):
        assert term.item() == pytest.approx(arrays[name].item(), rel=1e-5)
    sum(terms).backward()  # type: ignore[union-attr]
    for tensor, name in zip(student, ("cls", "patches", "local_cls"), strict=True):
        torch.testing.assert_close(tensor.grad, arrays[f"grad_{name}"], rtol=1e-4, atol=1e-7)


def test_a_case_by_hand():
    """One image, two views, two outputs: a sure teacher, an undecided student, one mask of two."""
    sure = torch.tensor([[50.0, 0.0]])
    cls, local, patches = torch.zeros(2, 2), None, torch.zeros(2, 4, 2)
    mask = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    mask[0, 0, 0] = True
    first, second = ibot_loss(
        cls, patches, local, sure.expand(2, 2), sure.expand(2, 4, 2), mask,
        teacher_temperature=1, teacher_patch_temperature=1,
    )  # fmt: skip
    assert first.item() == pytest.approx(math.log(2))
    assert second.item() == pytest.approx(math.log(2) / 2), "the view without a mask adds 0"


def test_a_single_masked_patch_counts_in_full():
    mask = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    mask[0, 0, 1, 1] = True
    sure = torch.tensor([[50.0, 0.0]])
    _, term = ibot_loss(
        torch.zeros(1, 2), torch.zeros(1, 4, 2), torch.zeros(1, 2), sure, sure.expand(1, 4, 2),
        mask, teacher_temperature=1, teacher_patch_temperature=1,
    )  # fmt: skip
    assert term.item() == pytest.approx(math.log(2))


def test_without_masks_patches_have_no_gradient_and_no_loss():
    patches = torch.randn(2, 4, 3, requires_grad=True)
    mask = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    cls = torch.randn(2, 3)
    _, term = ibot_loss(cls, patches, None, cls, torch.randn(2, 4, 3), mask)
    term.backward()
    assert term.item() == 0
    assert patches.grad is not None
    assert not patches.grad.any()


@pytest.mark.parametrize("wrong", ["student_cls", "teacher_patches", "student_local_cls", "mask"])
def test_shapes_that_do_not_fit_are_named(wrong: str):
    given = {
        "student_cls": torch.zeros(4, 3),
        "student_patches": torch.zeros(4, 4, 3),
        "student_local_cls": torch.zeros(2, 3),
        "teacher_cls": torch.zeros(4, 3),
        "teacher_patches": torch.zeros(4, 4, 3),
        "mask": torch.zeros(2, 2, 2, 2, dtype=torch.bool),
    }
    given[wrong] = given[wrong][:, :-1].float() if wrong == "mask" else given[wrong][:-1]
    with pytest.raises(ValueError, match=f"^{wrong} must be"):
        ibot_loss(*given.values())
