"""Predict what one view of an image was assigned to from its other views: SwAV and DINO."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from leopart_kit.losses.arguments import check_positive
from leopart_kit.losses.full_precision import full_precision
from leopart_kit.losses.view_pairs import without


@full_precision
def across_views_cross_entropy(
    targets: Tensor, scores: Sequence[Tensor], temperature: float = 0.1
) -> Tensor:
    """Mean over pairs of a global view and another view of the cross entropy between the two.

    Args:
        targets: `[G, B, K]` distribution of each global view, rows sum to 1; taken without
            gradient.
        scores: V tensors `[B, K]`, the G global views first.
        temperature: of the softmax over the scores.

    Returns:
        scalar, the mean over images and the G · (V - 1) pairs.

    Raises:
        ValueError: if the shapes do not fit, there is no pair, or a temperature not above 0.

    Source: Caron et al. (SwAV), NeurIPS 2020, equations 1, 2 and 6; Caron et al. (DINO), ICCV 2021,
    equation 3.
    """
    check_positive(temperature=temperature)
    num_global, num_views = len(targets), len(scores)
    if num_views < max(2, num_global):
        raise ValueError(
            f"{num_global} global views of {num_views} give no pair of two; use 2 views or more"
        )
    for view, rows in enumerate(scores):
        if rows.shape != targets.shape[1:]:
            raise ValueError(
                f"scores[{view}] must be {list(targets.shape[1:])} as the targets are, got "
                f"{list(rows.shape)}"
            )
    targets = targets.detach()
    total = targets.new_zeros(())
    for view, rows in enumerate(scores):
        others = without(targets, view, dim=0)
        if len(others):
            log_probabilities = torch.log_softmax(rows / temperature, dim=-1)
            total = total - (others * log_probabilities).sum()
    return total / (targets.shape[1] * num_global * (num_views - 1))


@full_precision
def centred_targets(teacher_scores: Tensor, centre: Tensor, temperature: float = 0.04) -> Tensor:
    """Sharpened distributions of the teacher, `softmax((scores - centre) / temperature)`.

    The centre keeps one output from winning everywhere, the low temperature keeps all from being
    alike; either alone collapses.

    Args:
        teacher_scores: `[G, B, K]`.
        centre: `[K]`, see `mean_scores`.

    Returns:
        `[G, B, K]`, without gradient.

    Raises:
        ValueError: a centre of another width, or a temperature not above 0.

    Source: Caron et al. (DINO), ICCV 2021, section 3.1.
    """
    check_positive(temperature=temperature)
    if centre.shape != teacher_scores.shape[-1:]:
        raise ValueError(
            f"centre must be [{teacher_scores.shape[-1]}] as the scores are wide, got "
            f"{list(centre.shape)}"
        )
    return torch.softmax((teacher_scores.detach() - centre) / temperature, dim=-1)


@torch.no_grad()
def mean_scores(teacher_scores: Tensor, process_group: dist.ProcessGroup | None = None) -> Tensor:
    """Mean `[K]` of scores `[..., K]` over all rows of all processes, the batch's centre.

    Source: Caron et al. (DINO), ICCV 2021, equation 4.
    """
    mean = teacher_scores.float().flatten(0, -2).mean(dim=0)
    if process_group is not None:
        dist.all_reduce(mean, group=process_group)
        mean /= dist.get_world_size(process_group)
    return mean
