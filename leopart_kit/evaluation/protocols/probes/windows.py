"""Logits of a whole image from windows of it that overlap."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.evaluation.scores.resizing import resize_image
from leopart_kit.evaluation.segmentation_heads import LinearHead
from leopart_kit.evaluation.task import Task


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Starts of windows that cover `length` pixels; the last one ends with them."""
    last = max(length - window, 0)
    return [*range(0, last, stride), last]


def window_logits(
    task: Task,
    heads: Mapping[int, LinearHead],
    image: Tensor,
    window: tuple[int, int],
    stride: int,
) -> dict[int, Tensor]:
    """Mean logits of overlapping windows, float32 `[C, H, W]` by seed, for an image `[3, ., .]`.

    The image is resized so that it holds one window with its shorter side.
    """
    scale = max(window[0] / image.shape[1], window[1] / image.shape[2])
    height, width = (max(round(s * scale), w) for s, w in zip(image.shape[1:], window, strict=True))
    image = resize_image(image, (height, width))
    device, encoder = task.run.device, task.encoder.to(task.run.device).eval()
    total = {
        seed: torch.zeros(head.classify.out_channels, height, width, device=device)
        for seed, head in heads.items()
    }
    times = torch.zeros(height, width, device=device)
    for top in window_starts(height, window[0], stride):
        for left in window_starts(width, window[1], stride):
            area = (slice(top, top + window[0]), slice(left, left + window[1]))
            crop = image[(slice(None), *area)][None].to(device)
            tokens = encoder.patch_tokens(encoder.preprocess(crop)).float()
            times[area] += 1
            for seed, head in heads.items():
                logits = F.interpolate(head.to(device)(tokens), size=window, mode="bilinear")
                total[seed][(slice(None), *area)] += logits[0]
    return {seed: (logits / times).cpu() for seed, logits in total.items()}
