"""Features of two views of an image where both show the same thing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from leopart_kit.losses.arguments import check_positive
from leopart_kit.losses.region_alignment import align_regions


def aligned_pairs(
    teacher_features: Tensor,
    student_features: Sequence[Tensor],
    overlap_in_global: Tensor,
    overlap_in_view: Tensor,
    patch_size: int,
    roi_size: int = 7,
) -> tuple[Tensor, Tensor]:
    """RoI-align the teacher in global view g and the student in view v, for all pairs g != v.

    Args:
        teacher_features: `[G, B, h, w, D]` of the G global views; taken without gradient.
        student_features: V tensors `[B, h_v, w_v, D]`, the G global views first.
        overlap_in_global, overlap_in_view, patch_size, roi_size: see `leopart_loss`.

    Returns:
        Teacher and student `[G · (V - 1), B, roi_size², D]`; pairs by g, then v ascending.

    Raises:
        ValueError: the shapes do not fit each other, or there are no two views.
    """
    check_positive(patch_size=patch_size, roi_size=roi_size)
    _check_shapes(teacher_features, student_features, overlap_in_global, overlap_in_view)
    num_global, num_views = len(teacher_features), len(student_features)
    dtype = torch.promote_types(student_features[0].dtype, torch.float32)
    in_global = overlap_in_global.to(teacher_features.device, dtype) / patch_size
    in_view = overlap_in_view.to(teacher_features.device, dtype) / patch_size
    others = [[v for v in range(num_views) if v != g] for g in range(num_global)]
    longest = max(teacher_features.shape[2:4])
    teacher = [
        align_regions(maps, without(in_global[:, g], g), roi_size, longest).transpose(0, 1)
        for g, maps in enumerate(teacher_features.detach().to(dtype))
    ]
    student: dict[tuple[int, int], Tensor] = {}
    for v, maps in enumerate(student_features):
        seen_by = [g for g in range(num_global) if g != v]
        if seen_by:
            boxes, longest = without(in_view[:, v], v), max(maps.shape[1:3])
            cells = align_regions(maps.to(dtype), boxes, roi_size, longest)
            student.update(zip(((g, v) for g in seen_by), cells.unbind(1), strict=True))
    pairs = torch.stack([student[g, v] for g in range(num_global) for v in others[g]])
    return torch.cat(teacher).flatten(2, 3), pairs.flatten(2, 3)


def without(values: Tensor, index: int, dim: int = 1) -> Tensor:
    """All entries of a dimension but one; all where there are fewer. No list goes to a GPU."""
    if index >= values.shape[dim]:
        return values
    before, after = (
        values.narrow(dim, 0, index),
        values.narrow(dim, index, values.shape[dim] - index),
    )
    return torch.cat([before, after.narrow(dim, 1, after.shape[dim] - 1)], dim=dim)


def _check_shapes(
    teacher: Tensor, student: Sequence[Tensor], in_global: Tensor, in_view: Tensor
) -> None:
    if teacher.ndim != 5 or not teacher.numel():
        raise ValueError(
            "teacher_features must be [global views, images, h, w, D], none of them 0, got shape "
            f"{list(teacher.shape)}"
        )
    num_global, batch, dim, num_views = *teacher.shape[:2], teacher.shape[-1], len(student)
    if num_views < max(2, num_global):
        raise ValueError(
            f"{num_global} global views of {num_views} give no pair of two; use 2 views or more, "
            "the global ones first"
        )
    for v, maps in enumerate(student):
        if maps.ndim != 4 or (len(maps), maps.shape[-1]) != (batch, dim):
            raise ValueError(
                f"student_features[{v}] must be [{batch}, h, w, {dim}] to fit the teacher's, got "
                f"shape {list(maps.shape)}"
            )
    for name, boxes, shape in (
        ("overlap_in_global", in_global, (batch, num_global, num_views, 4)),
        ("overlap_in_view", in_view, (batch, num_views, num_global, 4)),
    ):
        if boxes.shape != shape:
            raise ValueError(f"{name} must be {list(shape)}, got shape {list(boxes.shape)}")
