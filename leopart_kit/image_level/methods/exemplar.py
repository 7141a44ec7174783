"""Exemplar CNN: every image is a class of its own, under heavy augmentation.

Dosovitskiy et al., "Discriminative Unsupervised Feature Learning with Exemplar Convolutional Neural
Networks", NIPS 2014.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesWith
from leopart_kit.image_level.data import OfImage, ViewSettings
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings, kinds
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.settings import settings


class Exemplar(Method):
    """A linear classifier with as many classes as there are images.

    Its size grows with the set: tens of thousands of images, as in the paper (up to 32,000), are
    what it is for.

    Args:
        encoder: trained in place.
        num_images: of the set.
        settings: the method's numbers.
    """

    def __init__(
        self, encoder: Encoder, num_images: int, settings: ExemplarSettings | None = None
    ) -> None:
        super().__init__()
        self.settings = settings or ExemplarSettings()
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.embed_dim, num_images)

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is `(views, indices)`, V `[B, 3, s, s]` and `[B]`."""
        views, indices = batch
        scores = self.classifier(self.encoder.cls_token(torch.cat(views))).float()
        labels = indices.repeat(len(views))
        right = (scores.argmax(dim=1) == labels).float().mean()
        return StepOutput(F.cross_entropy(scores, labels), {"accuracy": right})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.settings.learning_rate)


@settings
class ExemplarSettings(ImageMethodSettings):
    """Settings of exemplar CNNs."""

    num_exemplars: Annotated[int, Field(ge=2)] | None = None
    """Images that are used, evenly spread over the set; null: all."""
    views: dict[str, ViewSettings] = kinds(
        image=ViewSettings(count=2, scale=(0.2, 1.0), jitter=1.0, grey_probability=0.2)
    )
    training: TrainingDefaults = TrainingDefaults(
        epochs=100, weight_decay=4e-3, final_weight_decay=4e-3
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views, images, number = self.random_views(parts), parts.dataset, self.num_exemplars
        if number is not None and number > len(images):
            raise ValueError(
                f"method.num_exemplars={number}: give 2 to {len(images)}, the images of the set"
            )
        if number is not None:
            images = images.spread(number)
        method = Exemplar(parts.encoder, len(images), self)
        return Built(method, ImagesWith(images, range(len(images))), OfImage(views))


PART = ExemplarSettings
