"""Cross entropy of views against the assignments of the whole image they were cut from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from leopart_kit.losses.arguments import check_positive
from leopart_kit.losses.region_alignment import align_regions


def anchored_cross_entropy(
    assignments: Tensor,
    student_scores: Sequence[Tensor],
    boxes: Tensor,
    temperature: float = 0.1,
) -> Tensor:
    """Mean over all patches of all views of the cross entropy with the aligned assignments.

    The image's assignment map is RoI-aligned to each view's own patch grid, so that the student's
    scores are used as they are, one target a patch.

    Args:
        assignments: `[B, h, w, K]` of whole images, rows sum to 1.
        student_scores: V tensors `[B, h_v, w_v, K]` with h_v = w_v.
        boxes: `[B, V, 4]`, xyxy of each view as shares of its image's sides, in [0, 1]; a
            mirrored view runs backwards (`x0 > x1`).
        temperature: of the student's softmax over prototypes.

    Returns:
        scalar; its gradient reaches the student's scores only.

    Raises:
        ValueError: if the shapes do not fit each other, or a temperature not above 0.
    """
    check_positive(temperature=temperature)
    batch, height, width, num_prototypes = assignments.shape
    if boxes.shape != (batch, len(student_scores), 4):
        raise ValueError(
            f"boxes must be [{batch}, {len(student_scores)}, 4], got {list(boxes.shape)}"
        )
    with torch.autocast(assignments.device.type, enabled=False):
        targets = assignments.detach().float()
        x0, y0, x1, y1 = boxes.float().unbind(-1)
        cells = torch.stack([x0 * width, y0 * height, x1 * width, y1 * height], dim=-1)
        total, count = targets.new_zeros(()), 0
        for v, scores in enumerate(student_scores):
            side = scores.shape[1]
            if scores.shape != (batch, side, side, num_prototypes):
                raise ValueError(
                    f"student_scores[{v}] must be [{batch}, side, side, {num_prototypes}], got "
                    f"{list(scores.shape)}"
                )
            own, longest = cells[:, v : v + 1], max(height, width)
            aligned = align_regions(targets, own, side, longest)[:, 0]
            log_probabilities = torch.log_softmax(scores.float() / temperature, dim=-1)
            total = total - (aligned * log_probabilities).sum()
            count += batch * side * side
        return total / count
