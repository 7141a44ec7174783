"""SeLa: label the whole set so that labels fit the predictions and all are used equally.

Asano, Rupprecht & Vedaldi, "Self-labelling via simultaneous clustering and representation
learning", ICLR 2020.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesWith
from leopart_kit.image_level.data import OfImage, ViewSettings
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings, in_order, kinds
from leopart_kit.image_level.networks.whole_set import own_features
from leopart_kit.losses import transport_plan
from leopart_kit.methods.building import Built, ImagesInOrder, Parts, TrainingDefaults
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.world import process_group, world
from leopart_kit.settings import Count, Positive, settings

logger = logging.getLogger(__name__)


class SeLa(Method):
    """Encoder and several linear classifiers, each with labels of its own.

    Args:
        encoder: trained in place.
        images: the training set, for the passes over it.
        settings: the method's numbers.
        relabel_at: optimiser steps before which all images are labelled anew, see
            `labelling_steps`; 0 must be among them.

    Raises:
        ValueError: no labelling before the first step, or fewer images than labels.
    """

    labels: Tensor  # int64 [heads, N]

    def __init__(
        self,
        encoder: Encoder,
        images: ImagesInOrder,
        settings: SeLaSettings | None = None,
        *,
        relabel_at: Collection[int],
    ) -> None:
        super().__init__()
        self.settings = settings = settings or SeLaSettings()
        num_heads, num_labels = settings.num_heads, settings.num_labels
        if 0 not in relabel_at:
            raise ValueError("the set must be labelled before step 0; add 0 to relabel_at")
        if num_labels > len(images):
            raise ValueError(
                f"num_labels {num_labels} must lie between 1 and the {len(images)} images"
            )
        self.encoder = encoder
        self.heads = nn.ModuleList(
            nn.Linear(encoder.embed_dim, num_labels) for _ in range(num_heads)
        )
        self.images = images
        self.relabel_at = frozenset(relabel_at)
        self.register_buffer("labels", torch.zeros(num_heads, len(images), dtype=torch.int64))

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is `(views, indices)`, V `[B, 3, s, s]` and `[B]`."""
        views, indices = batch
        features = self.encoder.cls_token(torch.cat(views))
        scores = torch.stack([head(features).float() for head in self.heads])  # [heads, V · B, K]
        labels = self.labels[:, indices].repeat(1, len(views))
        loss = F.cross_entropy(scores.flatten(0, 1), labels.flatten())
        right = (scores.argmax(dim=-1) == labels).float().mean()
        return StepOutput(loss, {"accuracy": right})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.settings.learning_rate)

    def before_step(self, step: int) -> None:
        """Label the set anew, where it is due."""
        if step in self.relabel_at:
            self._relabel(step)

    def assignments(self) -> Tensor:
        """See `Method.assignments`: the last labels of the first head."""
        return self.labels[0]

    def _relabel(self, step: int) -> None:
        features = own_features(self.encoder, self.images)
        own = torch.stack([self._labels_of(head(features)) for head in self.heads], dim=1)
        found = world().concatenate(own).T
        moved = (found != self.labels).float().mean().item()
        self.labels.copy_(found)
        logger.info("step %d: %.0f%% of the images have another label", step, 100 * moved)

    def _labels_of(self, scores: Tensor) -> Tensor:
        log_probabilities = torch.log_softmax(scores.float(), dim=1)
        sharpness, iterations = self.settings.sharpness, self.settings.transport_iterations
        plan = transport_plan(log_probabilities, sharpness, iterations, process_group())
        return plan.argmax(dim=1)


def labelling_steps(number: int, max_steps: int) -> tuple[int, ...]:
    """Steps at which the set is labelled, denser at the start: `max_steps · (i / number)²`.

    Args:
        number: of labellings, the one before step 0 included; steps that coincide count once.
        max_steps: of the training.

    Source: the released code of Asano et al. 2020, which spaces its optimisations by the square of
    a linear sequence over the epochs.
    """
    return tuple(sorted({int(max_steps * (i / number) ** 2) for i in range(number)}))


@settings
class SeLaSettings(ImageMethodSettings):
    """Settings of SeLa; the paper has SGD with a rate of 0.05, here AdamW."""

    num_heads: Count = 10
    """Classifiers, each with labels of its own."""
    num_labels: Count = 3000
    """Labels of each head."""
    sharpness: Positive = 25.0
    """Lambda of the optimal transport."""
    transport_iterations: Count = 100
    """Of Sinkhorn-Knopp."""
    num_labellings: Count = 80
    """Over the whole training, denser at the start."""
    views: dict[str, ViewSettings] = kinds(image=ViewSettings(jitter=0.5, grey_probability=0.2))
    training: TrainingDefaults = TrainingDefaults(
        epochs=400, weight_decay=1e-5, final_weight_decay=1e-5
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        steps = labelling_steps(self.num_labellings, parts.max_steps)
        method = SeLa(parts.encoder, in_order(parts, views), self, relabel_at=steps)
        numbered = ImagesWith(parts.dataset, range(len(parts.dataset)))
        return Built(method, numbered, OfImage(views))


PART = SeLaSettings
