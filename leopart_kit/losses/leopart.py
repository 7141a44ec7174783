"""The dense clustering loss of Leopart: predict the teacher's patch assignments across views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from leopart_kit.clustering.sinkhorn import sinkhorn_knopp
from leopart_kit.losses.arguments import check_positive
from leopart_kit.losses.region_alignment import align_regions, cells_inside
from leopart_kit.losses.view_pairs import without


def leopart_loss(
    teacher_scores: Tensor,
    student_scores: Sequence[Tensor],
    overlap_in_global: Tensor,
    overlap_in_view: Tensor,
    patch_size: int,
    roi_size: int = 7,
    epsilon: float = 0.05,
    num_iterations: int = 3,
    temperature: float = 0.1,
    foreground: Tensor | None = None,
    queue_scores: Tensor | None = None,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Cross entropy between aligned teacher assignments and student predictions of all view pairs.

    `teacher_assignments` followed by `assignment_cross_entropy`; call these two to log the
    assignments as well. Scores are cosine similarities of patches and prototypes.

    >>> scores = torch.rand(2, 4, 3, 3, 6)  # 2 views, 4 images, 3 × 3 patches, K = 6
    >>> whole = torch.tensor([0.0, 0.0, 48.0, 48.0]).expand(4, 2, 2, 4)
    >>> loss = leopart_loss(scores, list(scores), whole, whole, patch_size=16)
    >>> loss.shape, bool(loss > 0)
    (torch.Size([]), True)

    Args:
        teacher_scores: `[G, B, h, w, K]` of the G global views.
        student_scores: V tensors `[B, h_v, w_v, K]`, the G global views first.
        overlap_in_global: `[B, G, V, 4]`, overlap of global view g and view v, xyxy in pixels of g.
        overlap_in_view: `[B, V, G, 4]`, the same region in pixels of v.
        patch_size: pixels of a patch.
        roi_size: cells along each side onto which the overlap is aligned.
        epsilon: Sinkhorn-Knopp entropy weight.
        num_iterations: Sinkhorn-Knopp iterations.
        temperature: of the student's softmax over prototypes.
        foreground: `[G, B, h, w]` of 0 and 1; only cells wholly inside count. None: all cells.
        queue_scores: `[G, Q, K]` scores of stored features, assigned along with the batch.
        process_group: if given, assignments and means are those of the global batch; see
            `assignment_cross_entropy` for the value and the gradient then.

    Returns:
        scalar; its gradient reaches the student's scores only.

    Raises:
        ValueError: if the shapes do not fit each other, or a number is not above 0.

    Source: Ziegler and Asano (Leopart), CVPR 2022, section 3.1, equations 1 to 4.
    """
    assignments = teacher_assignments(
        teacher_scores, epsilon, num_iterations, queue_scores, process_group
    )
    return assignment_cross_entropy(
        assignments,
        student_scores,
        overlap_in_global,
        overlap_in_view,
        patch_size,
        roi_size,
        temperature,
        foreground,
        process_group,
    )


def teacher_assignments(
    teacher_scores: Tensor,
    epsilon: float = 0.05,
    num_iterations: int = 3,
    queue_scores: Tensor | None = None,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Sinkhorn-Knopp assignments of all patches of each global view, without gradient.

    Args:
        teacher_scores: `[G, B, h, w, K]`.
        epsilon: entropy weight.
        num_iterations: Sinkhorn-Knopp iterations.
        queue_scores: `[G, Q, K]`, assigned along with the view's patches and then cut off.
        process_group: if given, the patches of all processes are assigned together.

    Returns:
        `[G, B, h, w, K]`, sums to 1 over the prototypes.

    Raises:
        ValueError: if the shapes do not fit each other, or a number is not above 0.
    """
    if teacher_scores.ndim != 5:
        raise ValueError(
            "teacher_scores must be [global views, images, h, w, prototypes], "
            f"got shape {list(teacher_scores.shape)}"
        )
    num_global, num_prototypes = teacher_scores.shape[0], teacher_scores.shape[-1]
    scores = teacher_scores.detach().flatten(1, 3)
    num_queued = 0
    if queue_scores is not None:
        if queue_scores.shape[::2] != (num_global, num_prototypes):
            raise ValueError(
                f"queue_scores must be [{num_global}, Q, {num_prototypes}] to fit teacher_scores, "
                f"got shape {list(queue_scores.shape)}"
            )
        num_queued = queue_scores.shape[1]
        scores = torch.cat([queue_scores.detach().to(scores.dtype), scores], dim=1)
    assignments = [
        sinkhorn_knopp(view, epsilon, num_iterations, process_group)[num_queued:] for view in scores
    ]
    return torch.stack(assignments).view(teacher_scores.shape)


def assignment_cross_entropy(
    assignments: Tensor,
    student_scores: Sequence[Tensor],
    overlap_in_global: Tensor,
    overlap_in_view: Tensor,
    patch_size: int,
    roi_size: int = 7,
    temperature: float = 0.1,
    foreground: Tensor | None = None,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Align assignments and student scores to the shared region of each view pair and compare.

    The mean over pairs (g, v), v != g, of the mean cross entropy over the counting cells of the
    batch. A pair without a counting cell adds 0 and is not left out of the mean over pairs.
    Arguments as in `leopart_loss`, with `assignments` `[G, B, h, w, K]`.

    With a process group, sums and numbers of cells are added up over its processes, which may hold
    different numbers of images and of foreground cells, even none. Every process then returns the
    loss of the global batch. The gradient on each process is that of its own cells, times the
    number of processes. So the *average* over processes, which DistributedDataParallel forms, is
    the gradient of the global batch's loss.

    Raises:
        ValueError: if the shapes do not fit each other, or a number is not above 0.
    """
    check_positive(temperature=temperature, patch_size=patch_size, roi_size=roi_size)
    _check_shapes(assignments, student_scores, overlap_in_global, overlap_in_view, foreground)
    num_global = len(assignments)
    with torch.autocast(assignments.device.type, enabled=False):
        dtype = torch.promote_types(student_scores[0].dtype, torch.float32)
        boxes_in_global = overlap_in_global.to(assignments.device, dtype) / patch_size
        boxes_in_view = overlap_in_view.to(assignments.device, dtype) / patch_size
        longest = max(assignments.shape[2:4])
        targets = torch.stack(
            [
                align_regions(maps, boxes_in_global[:, g], roi_size, longest)
                for g, maps in enumerate(assignments.to(dtype))
            ],
            dim=1,
        )
        counting = _counting_cells(foreground, boxes_in_global, roi_size)
        sums, counts = [], []
        for v, scores in enumerate(student_scores):
            if num_global == 1 and v == 0:  # no other global view
                continue
            boxes, longest = without(boxes_in_view[:, v], v), max(scores.shape[1:3])
            aligned = align_regions(scores.to(dtype), boxes, roi_size, longest)
            log_probabilities = torch.log_softmax(aligned / temperature, dim=-1)
            cross_entropy = -(without(targets[:, :, v], v) * log_probabilities).sum(dim=-1)
            cells = without(counting[:, :, v], v).to(dtype)
            sums.append((cross_entropy * cells).sum(dim=(0, 2, 3)))
            counts.append(cells.sum(dim=(0, 2, 3)))
        return _mean_over_pairs(torch.cat(sums), torch.cat(counts), process_group)


def _counting_cells(foreground: Tensor | None, boxes: Tensor, roi_size: int) -> Tensor:
    """bool `[B, G, V, roi_size, roi_size]`: which cells enter the mean."""
    if foreground is None:
        return boxes.new_ones(*boxes.shape[:3], roi_size, roi_size, dtype=torch.bool)
    inside = [cells_inside(mask, boxes[:, g], roi_size) for g, mask in enumerate(foreground)]
    return torch.stack(inside, dim=1)


def _mean_over_pairs(sums: Tensor, counts: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    """Mean over pairs of `sums / counts`, both `[pairs]`, pooled over the processes of a group."""
    if group is None:
        return (sums / counts.clamp(min=1)).mean()
    totals = torch.stack([sums.detach(), counts])
    dist.all_reduce(totals, group=group)
    total_counts = totals[1].clamp(min=1)
    share = (sums / total_counts).mean() * dist.get_world_size(group)
    return share + ((totals[0] / total_counts).mean() - share).detach()


def _check_shapes(
    assignments: Tensor,
    student_scores: Sequence[Tensor],
    overlap_in_global: Tensor,
    overlap_in_view: Tensor,
    foreground: Tensor | None,
) -> None:
    num_global, batch, height, width, num_prototypes = assignments.shape
    num_views = len(student_scores)
    if num_views < max(2, num_global):
        raise ValueError(
            f"student_scores must hold all views, the {num_global} global ones first, and at least "
            f"2 views; got {num_views}"
        )
    for v, scores in enumerate(student_scores):
        if scores.ndim != 4 or (len(scores), scores.shape[-1]) != (batch, num_prototypes):
            raise ValueError(
                f"student_scores[{v}] must be [{batch}, h, w, {num_prototypes}] to fit the "
                f"teacher's scores, got shape {list(scores.shape)}"
            )
    expected = {
        "overlap_in_global": (overlap_in_global, (batch, num_global, num_views, 4)),
        "overlap_in_view": (overlap_in_view, (batch, num_views, num_global, 4)),
        "foreground": (foreground, (num_global, batch, height, width)),
    }
    for name, (value, shape) in expected.items():
        if value is not None and value.shape != shape:
            raise ValueError(f"{name} must be {list(shape)}, got shape {list(value.shape)}")
