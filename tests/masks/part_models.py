"""Part models whose answers can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from leopart_kit.clustering.projection import TokenProjection
from leopart_kit.masks import PartModel


def model_of(num_clusters: int, **fields: Any) -> PartModel:
    """A model on one-dimensional tokens whose cluster k is at k; `fields` replace its own."""
    settings: dict[str, Any] = {
        "encoder": "colours",
        "encoder_sha256": "0" * 64,
        "resolution": (32, 32),
        "projection": TokenProjection(False, None, None),
        "centroids": torch.arange(num_clusters, dtype=torch.float32)[:, None],
        "metric": "euclidean",
        "foreground": np.ones(num_clusters, dtype=bool),
    }
    return PartModel(**{**settings, **fields})
