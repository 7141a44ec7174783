"""Labels of patches, which of them are worth remembering, and how neighbours hand them on.

Hummingbird (Balažević et al., "Towards In-Context Scene Understanding", NeurIPS 2023, section 3).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leopart_kit.evaluation.scores.resizing import classes_at


def patch_class_counts(masks: Tensor, patch_size: int, num_classes: int) -> Tensor:
    """Pixels of every class in every patch.

    Args:
        masks: int64 `[N, H, W]`, H and W whole patches; other values than 0 … C - 1 are left out.

    Returns:
        int64 `[N, h, w, C]`.
    """
    count, height, width = masks.shape
    rows, columns = height // patch_size, width // patch_size
    patches = masks.view(count, rows, patch_size, columns, patch_size).transpose(2, 3)
    patches = patches.reshape(count * rows * columns, -1)
    inside = (patches >= 0) & (patches < num_classes)
    patch_of_pixel = torch.arange(len(patches))[:, None].expand_as(patches)
    cells = patch_of_pixel[inside] * num_classes + patches[inside]
    counts = torch.bincount(cells, minlength=len(patches) * num_classes)
    return counts.view(count, rows, columns, num_classes)


def patch_labels(counts: Tensor) -> Tensor:
    """Soft labels float32: the share of each class among the counted pixels of a patch.

    Args:
        counts: `[..., C]`, see `patch_class_counts`; a patch without any gets zeros.
    """
    return counts.float() / counts.sum(dim=-1, keepdim=True).clamp(min=1)


def patch_scores(counts: Tensor) -> Tensor:
    """Score of each patch by how common its content is in its own image; low is worth keeping.

    The sum over the classes of a patch of how many patches of the image hold that class.

    Args:
        counts: `[h, w, C]` of one image.

    Returns:
        float32 `[h, w]`; 0 for a patch without any counted pixel.
    """
    present = (counts > 0).float()
    return present @ present.sum(dim=(0, 1))


def sample_patches(scores: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """Patches `[number]`, ascending: those of the smallest score times uniform noise.

    Patches of score 0 hold no label and are never taken; fewer than `number` come back where
    there are no more.
    """
    candidates = np.flatnonzero(scores > 0)
    if number >= len(candidates):
        return candidates
    noisy = scores[candidates] * generator.random(len(candidates))
    return np.sort(candidates[np.argpartition(noisy, number)[:number]])


def transfer_labels(similarities: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Labels of the neighbours, weighted by the softmax of cosine similarity / temperature.

    Args:
        similarities: `[..., k]`.
        labels: `[..., k, C]`.

    Returns:
        `[..., C]`; a distribution where the labels are.
    """
    weights = torch.softmax(similarities / temperature, dim=-1)
    return (weights[..., None, :] @ labels)[..., 0, :]


def classes_of_soft_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge bilinearly and take the largest.

    Args:
        labels: float `[h, w, C]`, not negative.

    Returns:
        int64 `[*size]`, from 0 to C - 1.
    """
    # A class that no patch shows cannot win; most images have few.
    present = labels.amax(dim=(0, 1)).nonzero()[:, 0]
    if len(present) < 2:
        return torch.full(size, int(present[0]) if len(present) else 0)
    return present[classes_at(labels[:, :, present].permute(2, 0, 1), size)]
