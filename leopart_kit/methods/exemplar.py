"""Exemplar CNN: every image is a class of its own, under heavy augmentation.

Dosovitskiy et al., "Discriminative Unsupervised Feature Learning with Exemplar Convolutional Neural
Networks", NIPS 2014.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from leopart_kit.backbones import Encoder
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay


class Exemplar(Method):
    """A linear classifier with as many classes as there are images.

    Its size grows with the set: tens of thousands of images, as in the paper (up to 32,000), are
    what it is for.

    Args:
        encoder: trained in place.
        num_images: of the set.
        learning_rate: peak of its schedule.
    """

    def __init__(self, encoder: Encoder, *, num_images: int, learning_rate: float = 1e-3) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.embed_dim, num_images)
        self.learning_rate = learning_rate

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is `(views, indices)`, V `[B, 3, s, s]` and `[B]`."""
        views, indices = batch
        scores = self.classifier(self.encoder.cls_token(torch.cat(views))).float()
        labels = indices.repeat(len(views))
        right = (scores.argmax(dim=1) == labels).float().mean()
        return StepOutput(F.cross_entropy(scores, labels), {"accuracy": right})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.learning_rate)
