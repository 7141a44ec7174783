"""Numbers out of range, nothing to compare, and two precisions: the same in every loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from leopart_kit import losses
from leopart_kit.losses.across_views import centred_targets
from leopart_kit.losses.neco import order_cross_entropy, similarity_cross_entropy
from leopart_kit.losses.soft_sort import soft_sort

WHOLE = torch.tensor([0.0, 0.0, 48.0, 48.0]).expand(3, 2, 2, 4)


def rows(*shape: int, dtype: Any = torch.float32, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def dense(loss: Callable[..., Tensor]) -> Callable[..., Any]:
    """A loss of views, of the student's precision `dtype` and `images` images."""

    def call(dtype: Any = torch.float32, images: int = 3, **numbers: Any) -> Tensor:
        boxes = WHOLE[:images]
        student = list(rows(2, images, 3, 3, 6, dtype=dtype, seed=1))
        return loss(rows(2, images, 3, 3, 6), student, boxes, boxes, **{"patch_size": 16} | numbers)

    return call


def pair(loss: Callable[..., Tensor], *shape: int) -> Callable[..., Any]:
    def call(dtype: Any = torch.float32, images: int = 3, **numbers: Any) -> Tensor:
        return loss(rows(images, *shape, dtype=dtype, seed=1), rows(images, *shape), **numbers)

    return call


def stego(dtype: Any = torch.float32, images: int = 3) -> Tensor:
    features, codes = rows(images, 4, 3, 3), rows(images, 2, 3, 3, dtype=dtype, seed=1)
    return losses.stego_correlation(features, features, codes, codes, 0.1)


def ibot(dtype: Any = torch.float32, images: int = 3, **numbers: Any) -> Tensor:
    cls, patches = rows(2 * images, 5), rows(2 * images, 9, 5)
    mask = rows(2, images, 3, 3) > 0.5
    arguments = cls.to(dtype), patches.to(dtype), None, cls, patches, mask
    return sum(losses.ibot_loss(*arguments, **numbers), torch.zeros(()))


LOSSES = {
    "neco": dense(losses.neco_loss),
    "paka": pair(losses.patch_kernel_alignment, 4, 5),
    "gram": pair(losses.gram_anchoring, 4, 5),
    "stego": stego,
    "ibot": ibot,
    "order": pair(order_cross_entropy, 5),
    "similarity": pair(similarity_cross_entropy, 5),
}
NUMBERS = [
    ("neco", "patch_size"), ("neco", "roi_size"), ("similarity", "temperature"),
    ("ibot", "student_temperature"), ("ibot", "teacher_temperature"),
    ("ibot", "teacher_patch_temperature"), ("leopart", "temperature"), ("leopart", "patch_size"),
    ("leopart", "roi_size"), ("nt_xent", "temperature"), ("queue", "temperature"),
    ("batch", "temperature"), ("distillation", "temperature"),
]  # fmt: skip
FURTHER = {
    "leopart": dense(losses.leopart_loss),
    "nt_xent": pair(losses.nt_xent, 5),
    "queue": lambda **n: losses.queue_info_nce(rows(3, 5), rows(3, 5), rows(7, 5), **n),
    "batch": pair(losses.batch_info_nce, 5),
    "distillation": pair(losses.distillation_loss, 5),
}


@pytest.mark.parametrize("number", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize(("name", "argument"), NUMBERS)
def test_a_number_out_of_range_is_named(name: str, argument: str, number: float):
    loss = {**LOSSES, **FURTHER}[name]
    assert torch.isfinite(loss())
    with pytest.raises(ValueError, match=argument):
        loss(**{argument: number})


@pytest.mark.parametrize("steepness", [0, -1, float("nan"), float("inf")])
def test_a_softmax_has_a_temperature(steepness: float):
    with pytest.raises(ValueError, match="steepness"):
        LOSSES["neco"](network="softmax", steepness=steepness)


@pytest.mark.parametrize("name", LOSSES)
def test_the_wider_of_two_precisions_is_taken(name: str):
    loss = LOSSES[name]
    torch.manual_seed(0)
    narrow = loss()
    torch.manual_seed(0)
    wide = loss(dtype=torch.float64)
    assert wide.dtype == torch.float64
    torch.testing.assert_close(wide.float(), narrow, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "paka"])  # 0 then, as it says
def test_no_images_are_nothing_to_compare(name: str):
    with pytest.raises(ValueError, match="must"):
        LOSSES[name](images=0)


@pytest.mark.parametrize("shapes", [((9, 4), (4, 6)), ((6, 6), (4, 9)), ((3, 4), (3, 5))])
@pytest.mark.parametrize("loss", [order_cross_entropy, similarity_cross_entropy])
def test_rows_of_two_shapes_are_refused(loss: Any, shapes: Any):
    with pytest.raises(ValueError, match="alike"):
        loss(*(rows(*shape) for shape in shapes))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8])
def test_whole_numbers_are_not_sorted_softly(dtype: Any):
    with pytest.raises(ValueError, match="floating"):
        soft_sort(torch.zeros(2, 3, dtype=dtype), 1.0)


def test_one_cell_has_no_order():
    with pytest.raises(ValueError, match="roi_size"):
        LOSSES["neco"](roi_size=1)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_what_is_ignored_is_said_by_bools(dtype: Any):
    student, teacher = rows(2, 5, 3), rows(2, 5, 3, seed=1)
    ignored = torch.tensor([[True, False, False, False, False]] * 2)
    with pytest.raises(ValueError, match="bool"):
        losses.patch_kernel_alignment(student, teacher, ignored.to(dtype))


def test_ignored_patches_may_hold_anything():
    student, teacher = rows(2, 5, 3), rows(2, 5, 3, seed=1)
    ignored = torch.tensor([[True, False, False, False, False]] * 2)
    expected = losses.patch_kernel_alignment(student[:, 1:], teacher[:, 1:])
    student[:, 0] = float("nan")
    student.requires_grad_()
    loss = losses.patch_kernel_alignment(student, teacher, ignored)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("width", [1, 4, 6])
def test_a_centre_is_as_wide_as_the_scores(width: int):
    with pytest.raises(ValueError, match="centre"):
        centred_targets(rows(2, 3, 5), rows(width))
