"""iBOT: a teacher's view of whole images, and of patches that the student does not see."""

from __future__ import annotations

import torch
from torch import Tensor

from leopart_kit.losses.across_views import across_views_cross_entropy, centred_targets
from leopart_kit.losses.arguments import check_positive
from leopart_kit.losses.full_precision import full_precision


@full_precision
def ibot_loss(
    student_cls: Tensor,
    student_patches: Tensor,
    student_local_cls: Tensor | None,
    teacher_cls: Tensor,
    teacher_patches: Tensor,
    mask: Tensor,
    *,
    centre_cls: Tensor | None = None,
    centre_patches: Tensor | None = None,
    student_temperature: float = 0.1,
    teacher_temperature: float = 0.04,
    teacher_patch_temperature: float = 0.07,
) -> tuple[Tensor, Tensor]:
    """Cross entropies between a teacher and a student whose patches are masked.

    The CLS term is DINO's, over all pairs of a global view and another view. The patch term
    compares the two in the same view, on the masked patches: their mean in each image, then the
    mean over images; one without a masked patch adds 0.

    Args:
        student_cls: `[G · B, K]`, scores of the CLS tokens of the G masked global views, view by
            view.
        student_patches: `[G · B, n, K]`, of their patches.
        student_local_cls: `[L · B, K]`, of the local views; None without any.
        teacher_cls: `[G · B, K]`, of the unmasked global views; no gradient flows into it.
        teacher_patches: `[G · B, n, K]`, likewise.
        mask: bool `[G, B, h, w]`, True for patches that the student did not see; h · w = n.
        centre_cls: `[K]`, subtracted from the teacher's scores, see `mean_scores`; 0 by default.
        centre_patches: `[K]`, likewise for patches.
        student_temperature: of the student's softmax.
        teacher_temperature: of the teacher's for CLS tokens.
        teacher_patch_temperature: of the teacher's for patches.

    Returns:
        (CLS term, patch term), scalars; the loss of the paper is their sum.

    Raises:
        ValueError: shapes that do not fit, no images, or a temperature not above 0.

    Source: Zhou et al. (iBOT), ICLR 2022, equations 1 to 3.
    """
    check_positive(
        student_temperature=student_temperature,
        teacher_temperature=teacher_temperature,
        teacher_patch_temperature=teacher_patch_temperature,
    )
    num_global, batch = _check_shapes(
        student_cls, student_patches, student_local_cls, teacher_cls, teacher_patches, mask
    )
    zero = teacher_cls.new_zeros(teacher_cls.shape[-1])
    centre_cls = zero if centre_cls is None else centre_cls.flatten()
    centre_patches = zero if centre_patches is None else centre_patches.flatten()
    views = [*student_cls.split(batch)]
    views += [] if student_local_cls is None else student_local_cls.split(batch)
    taught = teacher_cls.unflatten(0, (num_global, batch))
    cls_term = across_views_cross_entropy(
        centred_targets(taught, centre_cls, teacher_temperature), views, student_temperature
    )
    targets = centred_targets(teacher_patches, centre_patches, teacher_patch_temperature)
    log_probabilities = torch.log_softmax(student_patches / student_temperature, dim=-1)
    cross_entropy = -(targets * log_probabilities).sum(dim=-1)
    masked = mask.flatten(0, 1).flatten(1).to(cross_entropy)
    per_image = (cross_entropy * masked).sum(dim=1) / masked.sum(dim=1).clamp(min=1)
    return cls_term, per_image.mean()


def _check_shapes(
    student_cls: Tensor,
    student_patches: Tensor,
    student_local_cls: Tensor | None,
    teacher_cls: Tensor,
    teacher_patches: Tensor,
    mask: Tensor,
) -> tuple[int, int]:
    """Numbers of global views and of images."""
    if mask.ndim != 4 or mask.dtype != torch.bool or not mask.numel():
        raise ValueError(
            f"mask must be bool [G, B, h, w], none of them 0, got {mask.dtype} {list(mask.shape)}"
        )
    num_global, batch = mask.shape[:2]
    rows, places, outputs = num_global * batch, mask[0, 0].numel(), student_cls.shape[-1]
    wanted = {
        "student_cls": (student_cls, [rows, outputs]),
        "teacher_cls": (teacher_cls, [rows, outputs]),
        "student_patches": (student_patches, [rows, places, outputs]),
        "teacher_patches": (teacher_patches, [rows, places, outputs]),
    }
    for name, (tensor, shape) in wanted.items():
        if list(tensor.shape) != shape:
            raise ValueError(f"{name} must be {shape}, got {list(tensor.shape)}")
    local = student_local_cls
    if local is not None and (
        local.ndim != 2 or local.shape[1] != outputs or not len(local) or len(local) % batch
    ):
        raise ValueError(
            f"student_local_cls must be [L · {batch}, {outputs}], got {list(local.shape)}"
        )
    return num_global, batch
