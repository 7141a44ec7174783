"""The anchored loss against values worked out by hand and an independent formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from leopart_kit.losses import anchored_cross_entropy

WHOLE = [0.0, 0.0, 1.0, 1.0]


def one_hot(labels: list[list[int]], num_prototypes: int = 4) -> Tensor:
    """Assignments `[1, h, w, K]` that are sure of one prototype a patch."""
    return torch.nn.functional.one_hot(torch.tensor([labels]), num_prototypes).float()


def random_case(seed: int = 0, batch: int = 2, grid: int = 3, num_prototypes: int = 5):
    generator = torch.Generator().manual_seed(seed)
    assignments = torch.rand(batch, grid, grid, num_prototypes, generator=generator).softmax(-1)
    scores = torch.rand(batch, grid, grid, num_prototypes, generator=generator) * 2 - 1
    return assignments, scores


def boxes_of(*boxes: list[float], batch: int = 1) -> Tensor:
    return torch.tensor([list(boxes)] * batch)


def test_by_hand():
    """Scores (0.1, 0, 0, 0) at temperature 0.1: the sure patch costs ln((e + 3) / e)."""
    scores = torch.zeros(1, 2, 2, 4)
    scores[..., 0] = 0.1
    right = math.log((math.e + 3) / math.e)
    sure = anchored_cross_entropy(one_hot([[0, 0], [0, 0]]), [scores], boxes_of(WHOLE))
    assert sure.item() == pytest.approx(right, abs=1e-6)
    # One of the four patches belongs elsewhere: its cost is ln(e + 3), one more.
    mixed = anchored_cross_entropy(one_hot([[0, 0], [3, 0]]), [scores], boxes_of(WHOLE))
    assert mixed.item() == pytest.approx(right + 1 / 4, abs=1e-6)


def test_a_view_of_the_whole_image_is_a_plain_cross_entropy():
    assignments, scores = random_case()
    loss = anchored_cross_entropy(assignments, [scores], boxes_of(WHOLE, batch=2), 0.2)
    logits = (scores / 0.2).flatten(0, 2)
    plain = torch.nn.functional.cross_entropy(logits, assignments.flatten(0, 2))
    torch.testing.assert_close(loss, plain)


def test_the_gradient_is_softmax_minus_target_and_reaches_the_student_alone():
    assignments, scores = random_case(1)
    assignments.requires_grad_(True)
    scores.requires_grad_(True)
    anchored_cross_entropy(assignments, [scores], boxes_of(WHOLE, batch=2), 0.2).backward()
    expected = ((scores / 0.2).softmax(-1) - assignments).detach() / 0.2 / (2 * 3 * 3)
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, expected)
    assert assignments.grad is None


def test_a_mirrored_view_is_compared_with_the_mirrored_image():
    assignments, scores = random_case(2)
    box = [0.1, 0.2, 0.8, 0.9]
    mirrored = [box[2], box[1], box[0], box[3]]
    loss = anchored_cross_entropy(assignments, [scores], boxes_of(box, batch=2))
    same = anchored_cross_entropy(assignments, [scores.flip(2)], boxes_of(mirrored, batch=2))
    torch.testing.assert_close(same, loss)
    assert not torch.isclose(
        anchored_cross_entropy(assignments, [scores], boxes_of(mirrored, batch=2)), loss
    )


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_quadrant_sees_the_patches_of_its_quadrant(row: int, column: int):
    assignments, _ = random_case(3, grid=4)
    _, scores = random_case(4, grid=2)
    box = [column / 2, row / 2, column / 2 + 0.5, row / 2 + 0.5]
    loss = anchored_cross_entropy(assignments, [scores], boxes_of(box, batch=2))
    targets = assignments[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
    expected = -(targets * (scores / 0.1).log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(loss, expected)


def test_an_oblong_image_has_oblong_boxes():
    """The box is a share of each side: the right half of 2 x 4 patches is 2 x 2 of them."""
    assignments = one_hot([[0, 0, 1, 2], [0, 0, 3, 1]])
    scores = torch.zeros(1, 2, 2, 4)
    scores[..., 0] = 5.0
    left = anchored_cross_entropy(assignments, [scores], boxes_of([0.0, 0.0, 0.5, 1.0]))
    right = anchored_cross_entropy(assignments, [scores], boxes_of([0.5, 0.0, 1.0, 1.0]))
    assert left.item() == pytest.approx(0, abs=1e-6)
    assert right.item() == pytest.approx(50, rel=1e-4)


def test_every_patch_counts_the_same_whatever_the_size_of_its_view():
    """9 patches of one view and 1 of the other: the mean over 10, not over the two views."""
    assignments, large = random_case(5, batch=1)
    small = torch.tensor([[[[0.3, -0.2, 0.1, 0.0, 0.5]]]])
    boxes = boxes_of(WHOLE, [1 / 3, 1 / 3, 2 / 3, 2 / 3])
    loss = anchored_cross_entropy(assignments, [large, small], boxes)
    of_large = anchored_cross_entropy(assignments, [large], boxes[:, :1])
    of_small = -(assignments[0, 1, 1] * (small[0, 0, 0] / 0.1).log_softmax(-1)).sum()
    torch.testing.assert_close(loss, (9 * of_large + of_small) / 10)


def test_scores_in_bfloat16_are_compared_in_float32():
    assignments, scores = random_case(6)
    rounded = scores.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = anchored_cross_entropy(assignments, [rounded], boxes_of(WHOLE, batch=2))
    expected = anchored_cross_entropy(assignments, [rounded.float()], boxes_of(WHOLE, batch=2))
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("shape", "boxes", "message"),
    [
        ((2, 3, 3, 5), (2, 2, 4), r"boxes.*\[2, 2, 4\]"),
        ((2, 3, 3, 5), (1, 1, 4), r"boxes.*\[1, 1, 4\]"),
        ((2, 3, 2, 5), (2, 1, 4), r"student_scores\[0\].*\[2, side, side, 5\]"),
        ((2, 3, 3, 4), (2, 1, 4), r"student_scores\[0\].*\[2, side, side, 5\]"),
        ((1, 3, 3, 5), (2, 1, 4), r"student_scores\[0\].*\[2, side, side, 5\]"),
    ],
)
def test_bad_shapes(shape, boxes, message):
    assignments, _ = random_case()
    with pytest.raises(ValueError, match=message):
        anchored_cross_entropy(assignments, [torch.zeros(shape)], torch.ones(boxes))
