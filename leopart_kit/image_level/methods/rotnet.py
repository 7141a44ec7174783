"""RotNet: by how much was the image turned?

Gidaris, Singh & Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations",
ICLR 2018.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.settings import settings

NUM_ROTATIONS = 4


def rotated_copies(images: Tensor) -> tuple[Tensor, Tensor]:
    """All four rotations of each image, and the number of quarter turns of each.

    Args:
        images: `[B, 3, s, s]`.

    Returns:
        `([4 B, 3, s, s], int64 [4 B])`, anticlockwise: all images as they are, all turned once, …

    Source: section 2.1; that a batch holds all four at once is said in section 3.1.
    """
    copies = torch.cat([torch.rot90(images, turns, (-2, -1)) for turns in range(NUM_ROTATIONS)])
    labels = torch.arange(NUM_ROTATIONS, device=images.device).repeat_interleave(len(images))
    return copies, labels


class RotNet(Method):
    """A linear classifier of four rotations over the encoder.

    Args:
        encoder: trained in place.
        settings: the method's numbers.
    """

    def __init__(self, encoder: Encoder, settings: RotNetSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or RotNetSettings()
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.embed_dim, NUM_ROTATIONS)

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds one view `[B, 3, s, s]`."""
        copies, labels = rotated_copies(batch[0])
        scores = self.classifier(self.encoder.cls_token(copies)).float()
        right = (scores.argmax(dim=1) == labels).float().mean()
        return StepOutput(F.cross_entropy(scores, labels), {"accuracy": right})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.settings.learning_rate)


@settings
class RotNetSettings(ImageMethodSettings):
    """Settings of RotNet; the paper has SGD with a rate of 0.1, here AdamW."""

    num_views: ClassVar[int | None] = 1

    training: TrainingDefaults = TrainingDefaults(
        epochs=30, weight_decay=5e-4, final_weight_decay=5e-4
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        return Built(RotNet(parts.encoder, self), ImagesOf(parts.dataset), views)


PART = RotNetSettings
