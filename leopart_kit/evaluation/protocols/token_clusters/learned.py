"""Clusters that a training has learned: each patch goes to the centroid of the largest cosine."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.evaluation.store.features import FeatureStore


def learned_centroids(encoder: Encoder) -> Tensor:
    """Centroids `[K, D]` that an encoder brings, as those of method=stego.

    Raises:
        ValueError: it brings none.
    """
    centroids = getattr(encoder, "centroids", None)
    if not isinstance(centroids, Tensor):
        raise ValueError(
            f"protocol.clusters=learned: {encoder.name} brings no centroids; take the encoder of a "
            "training with method=stego, or protocol.clusters=kmeans"
        )
    return centroids.detach().cpu().float()


def assign_learned(store: FeatureStore, centroids: Tensor) -> np.ndarray:
    """The centroid of every patch, int32 `[N, h, w]`.

    Source: Hamilton et al. (STEGO), ICLR 2022, section 4, "cluster probe".
    """
    directions = F.normalize(centroids, dim=1)
    found = [(chunk @ directions.T).max(dim=1).indices for chunk in store.chunks()]
    return torch.cat(found).to(torch.int32).view(-1, *store.grid).numpy()
