"""NeCo: patches of two views must rank the same reference patches in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.losses.arguments import check_positive
from leopart_kit.losses.full_precision import full_precision
from leopart_kit.losses.gathering import gather_rows
from leopart_kit.losses.soft_sort import soft_sort
from leopart_kit.losses.view_pairs import aligned_pairs

Ordering = Literal["bitonic", "odd_even", "softmax"]

SMALLEST_SHARE = 1e-30  # its quotients still fit float32


@full_precision
def neco_loss(
    teacher_features: Tensor,
    student_features: Sequence[Tensor],
    overlap_in_global: Tensor,
    overlap_in_view: Tensor,
    patch_size: int,
    roi_size: int = 7,
    steepness: float = 100,
    network: Ordering = "bitonic",
    references: Tensor | None = None,
    reference_order: Tensor | None = None,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Mean over pairs of views and patches of the cross entropy of two soft orders.

    Each patch of the shared region has cosine similarities to the reference patches of its image,
    as many as the region has cells; sorting them softly gives a matrix for the teacher and one for
    the student.

    Args:
        teacher_features: `[G, B, h, w, D]` of the G global views, channels last.
        student_features: V tensors `[B, h_v, w_v, D]`, the G global views first.
        overlap_in_global, overlap_in_view, patch_size, roi_size: see `leopart_loss`.
        steepness: of the sorting network.
        network: `bitonic` or `odd_even`, see `soft_sort`; `softmax` compares the similarities
            themselves, see `similarity_cross_entropy`, with temperature `1 / steepness`.
        references: `[R, D]` patches to draw from, a queue of the teacher's; None for the aligned
            teacher patches of the batch (of all processes).
        reference_order: int64 `[G · (V - 1), B · roi_size²]`, which rows of them are the
            references of each pair, image by image; None draws them at random.
        process_group: the processes whose teacher patches are drawn from.

    Returns:
        scalar, finite for any finite input; its gradient reaches the student's features only. Its
        least value is the entropy of the teacher's orders, not 0.

    Raises:
        ValueError: the shapes do not fit each other, there are fewer references than a region has
            cells, a region of one cell, or another number out of range.

    Source: Pariza et al. (NeCo), ICLR 2025, section 3.
    """
    if roi_size < 2:
        raise ValueError(f"roi_size must be 2 or more: one cell has no order, got {roi_size}")
    if network not in get_args(Ordering):
        raise ValueError(f"network must be one of {', '.join(get_args(Ordering))}, got {network!r}")
    teacher, student = aligned_pairs(
        teacher_features,
        student_features,
        overlap_in_global,
        overlap_in_view,
        patch_size,
        roi_size,
    )
    teacher, student = F.normalize(teacher, dim=-1), F.normalize(student, dim=-1)
    pairs, batch, cells, dim = teacher.shape
    if references is None:
        drawn_from = torch.stack([gather_rows(p.flatten(0, 1), process_group)[0] for p in teacher])
    else:
        drawn_from = _checked(references, cells, dim).expand(pairs, -1, -1)
    if reference_order is None:
        number = drawn_from.shape[1]
        reference_order = torch.stack([drawn_rows(number, batch * cells) for _ in range(pairs)])
    elif reference_order.shape != (pairs, batch * cells):
        raise ValueError(
            f"reference_order must be {[pairs, batch * cells]}, got {list(reference_order.shape)}"
        )
    order = reference_order.to(drawn_from.device, non_blocking=True)
    chosen = torch.stack([rows[index] for rows, index in zip(drawn_from, order, strict=True)])
    chosen = F.normalize(chosen, dim=-1).unflatten(1, (batch, cells))
    # [pairs · B · cells, cells]: each patch and the references of its image.
    theirs, ours = ((patches @ chosen.mT).flatten(0, 2) for patches in (teacher, student))
    if network == "softmax":
        check_positive(steepness=steepness)
        return similarity_cross_entropy(theirs, ours, temperature=1 / steepness)
    return order_cross_entropy(theirs, ours, steepness, network)


@full_precision
def order_cross_entropy(
    teacher: Tensor, student: Tensor, steepness: float = 100, network: Ordering = "bitonic"
) -> Tensor:
    """Mean cross entropy of the soft orders of two sets of rows `[N, n]`.

    The value is finite even where the student's order leaves no share for the teacher's.

    Raises:
        ValueError: the shapes do not fit each other, or see `soft_sort`.
    """
    if network == "softmax":
        raise ValueError("softmax is no order; call similarity_cross_entropy")
    _check_rows(teacher, student)
    with torch.no_grad():
        _, target = soft_sort(teacher.detach(), steepness, network)
    _, order = soft_sort(student, steepness, network)
    logarithm = order.clamp(min=SMALLEST_SHARE).log()
    return -(target.flatten() @ logarithm.flatten()) / (len(target) * target.shape[1])


@full_precision
def similarity_cross_entropy(teacher: Tensor, student: Tensor, temperature: float = 0.1) -> Tensor:
    """Mean cross entropy of `softmax(row / temperature)` of two sets of rows `[N, n]`.

    The control of NeCo: the same similarities without sorting. The gradient reaches the student's.

    Raises:
        ValueError: the shapes do not fit each other, or a temperature not above 0.
    """
    check_positive(temperature=temperature)
    _check_rows(teacher, student)
    target = torch.softmax(teacher.detach() / temperature, dim=-1)
    return F.cross_entropy(student / temperature, target)


def drawn_rows(number: int, count: int, generator: torch.Generator | None = None) -> Tensor:
    """`count` of `number` rows in random order; none a second time before all were there once."""
    rounds = range(-(-count // number))
    return torch.cat([torch.randperm(number, generator=generator) for _ in rounds])[:count]


def _check_rows(teacher: Tensor, student: Tensor) -> None:
    if teacher.shape != student.shape or teacher.ndim != 2 or not teacher.numel():
        raise ValueError(
            f"rows must be two [N, n] alike, got {list(teacher.shape)} and {list(student.shape)}"
        )


def _checked(references: Tensor, cells: int, dim: int) -> Tensor:
    if references.ndim != 2 or references.shape[1] != dim or len(references) < cells:
        raise ValueError(
            f"references must be [R, {dim}] with R at least {cells}, the cells of a region, got "
            f"shape {list(references.shape)}"
        )
    return references.detach()
