"""Context prediction: where does the second patch lie, seen from the first?

Doersch, Gupta & Efros, "Unsupervised Visual Representation Learning by Context Prediction",
ICCV 2015.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.data import NEIGHBOURS, PatchPair, PatchPairTransform
from leopart_kit.methods.building import (
    Built,
    MethodSettings,
    Parts,
    TrainingDefaults,
    check_patches,
)
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.projection_head import mlp
from leopart_kit.settings import Count, NotNegative, Probability, settings


class ContextPrediction(Method):
    """One encoder for both patches; their features together are classified into eight places.

    Args:
        encoder: trained in place.
        settings: the method's numbers.
    """

    def __init__(self, encoder: Encoder, settings: ContextPredictionSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or ContextPredictionSettings()
        self.encoder = encoder
        self.classifier = mlp(
            2 * encoder.embed_dim,
            settings.hidden_dim,
            len(NEIGHBOURS),
            batch_norm=True,
            activation="relu",
        )

    def place_scores(self, centre: Tensor, neighbour: Tensor) -> Tensor:
        """Patches `[B, 3, p, p]` each → scores `[B, 8]` of the places in `data.NEIGHBOURS`."""
        features = self.encoder.cls_token(torch.cat([centre, neighbour]))
        return self.classifier(torch.cat(features.chunk(2), dim=1))

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is a collated `PatchPair`."""
        pair = PatchPair(*batch)
        scores = self.place_scores(pair.centre, pair.neighbour).float()
        labels = torch.as_tensor(pair.label)
        right = (scores.argmax(dim=1) == labels).float().mean()
        return StepOutput(F.cross_entropy(scores, labels), {"accuracy": right})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.settings.learning_rate)


@settings
class ContextPredictionSettings(MethodSettings):
    """Settings of context prediction, which has pairs of patches for views."""

    learning_rate: NotNegative = 1e-3
    """Peak of its schedule."""
    hidden_dim: Count = 512
    """Of the two hidden layers of the classifier; the paper: 4,096."""
    patch_size: Count | None = None
    """Side of a patch in pixels; null: views.local_size."""
    gap: NotNegative = 0.5
    """Between two patches, as a share of their side; the paper: 48 of 96 px."""
    jitter: NotNegative = 0.073
    """Largest shift of a patch, as a share of its side; the paper: 7 of 96 px."""
    keep_colour: Probability = 0.0
    """Of keeping all three channels; otherwise two of them become noise."""
    image_side: Count | None = None
    """Shorter side in pixels to which images are resized; null: they stay as they are."""
    training: TrainingDefaults = TrainingDefaults(
        epochs=100, weight_decay=0.0, final_weight_decay=0.0
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        encoder, size = parts.encoder, self.patch_size or parts.views.local_size
        check_patches({"method.patch_size": size}, encoder)
        pairs = PatchPairTransform(
            size,
            gap=self.gap,
            jitter=self.jitter,
            keep_colour=self.keep_colour,
            image_side=self.image_side,
            mean=encoder.mean,
            std=encoder.std,
        )
        return Built(ContextPrediction(encoder, self), ImagesOf(parts.dataset), pairs)


PART = ContextPredictionSettings
