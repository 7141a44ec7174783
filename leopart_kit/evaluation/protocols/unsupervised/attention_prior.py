"""The attention of an encoder over a data set, kept in a feature store like any other output."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.clustering import attention_foreground, foreground_confidence
from leopart_kit.evaluation.store.features import FeatureStore


class AttentionAsTokens(Encoder):
    """An encoder whose patch tokens are the attention of CLS to each patch, one channel a head.

    The values are multiplied by the number of patches: even attention is then 1, where half
    precision is at its best.

    Raises:
        ValueError: the encoder has no CLS attention.
    """

    def __init__(self, encoder: Encoder) -> None:
        patch = torch.zeros(1, 3, encoder.patch_size, encoder.patch_size)
        with torch.no_grad():
            heads = encoder.attention(patch.to(_device_of(encoder))).shape[1]
        super().__init__(
            name=f"attention of {encoder.name}",
            embed_dim=heads,
            patch_size=encoder.patch_size,
            mean=encoder.mean,
            std=encoder.std,
            weights=encoder.weights,
            settings={"encoder": encoder.fingerprint()},
        )
        self.encoder = encoder

    def patch_tokens(self, images: Tensor) -> Tensor:
        """`[B, heads, h, w]`, see the class."""
        attention = self.encoder.attention(images)
        return attention * attention.shape[-2] * attention.shape[-1]


def attention_masks(store: FeatureStore, mass: float) -> tuple[np.ndarray, np.ndarray]:
    """Foreground masks of all images of an attention store.

    Args:
        store: of `AttentionAsTokens`.
        mass: share of the attention that the foreground holds, see `attention_foreground`.

    Returns:
        bool `[N, h, w]`, and how clearly each image shows a foreground, `[N]` in 0 … 1.
    """
    masks, confidence = [], []
    for chunk in store.chunks():
        attention = chunk.unflatten(0, (-1, *store.grid)).permute(0, 3, 1, 2)
        found = attention_foreground(attention, mass)
        masks.append(found)
        confidence.append(foreground_confidence(attention, found))
    return torch.cat(masks).numpy(), torch.cat(confidence).numpy()


def _device_of(encoder: Encoder) -> torch.device:
    parameter = next(encoder.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
