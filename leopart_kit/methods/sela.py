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
from leopart_kit.losses import transport_plan
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.whole_set import ImagesInOrder, agree_on, features_in_order

logger = logging.getLogger(__name__)


class SeLa(Method):
    """Encoder and several linear classifiers, each with labels of its own.

    Args:
        encoder: trained in place.
        images: the training set, for the passes over it.
        relabel_at: optimiser steps before which all images are labelled anew, see
            `labelling_steps`; 0 must be among them.
        learning_rate: peak of its schedule.
        num_heads, num_labels: classifiers, and labels of each.
        sharpness: lambda of the optimal transport.
        transport_iterations: of Sinkhorn-Knopp.

    Raises:
        ValueError: no labelling before the first step, fewer images than labels, or a number
            below 1.
    """

    labels: Tensor  # int64 [heads, N]

    def __init__(
        self,
        encoder: Encoder,
        images: ImagesInOrder,
        *,
        relabel_at: Collection[int],
        learning_rate: float = 1e-3,
        num_heads: int = 10,
        num_labels: int = 3000,
        sharpness: float = 25.0,
        transport_iterations: int = 100,
    ) -> None:
        super().__init__()
        if 0 not in relabel_at:
            raise ValueError("the set must be labelled before step 0; add 0 to relabel_at")
        if min(num_heads, transport_iterations) < 1 or sharpness <= 0:
            raise ValueError(
                "num_heads and transport_iterations must be 1 or more and sharpness above 0, got "
                f"{num_heads}, {transport_iterations}, {sharpness}"
            )
        if not 1 <= num_labels <= len(images):
            raise ValueError(
                f"num_labels {num_labels} must lie between 1 and the {len(images)} images"
            )
        self.encoder = encoder
        self.heads = nn.ModuleList(
            nn.Linear(encoder.embed_dim, num_labels) for _ in range(num_heads)
        )
        self.images = images
        self.relabel_at = frozenset(relabel_at)
        self.learning_rate = learning_rate
        self.sharpness = sharpness
        self.transport_iterations = transport_iterations
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
        return split_by_decay("all", self, self.learning_rate)

    def before_step(self, step: int) -> None:
        """Where it is due, label the set anew."""
        if step in self.relabel_at:
            self._relabel(step)

    def assignments(self) -> Tensor:
        """See `Method.assignments`: the last labels of the first head."""
        return self.labels[0]

    def _relabel(self, step: int) -> None:
        features = features_in_order(self.encoder, self.images)
        found = torch.stack([self._labels_of(head(features)) for head in self.heads])
        found = agree_on(found)
        moved = (found != self.labels).float().mean().item()
        self.labels.copy_(found)
        logger.info("step %d: %.0f%% of the images have another label", step, 100 * moved)

    def _labels_of(self, scores: Tensor) -> Tensor:
        log_probabilities = torch.log_softmax(scores.float(), dim=1)
        plan = transport_plan(log_probabilities, self.sharpness, self.transport_iterations)
        return plan.argmax(dim=1)


def labelling_steps(number: int, max_steps: int) -> tuple[int, ...]:
    """Steps at which the set is labelled, denser at the start: `max_steps · (i / number)²`.

    Args:
        number: of labellings, the one before step 0 included; steps that coincide count once.
        max_steps: of the training.

    Raises:
        ValueError: fewer than one labelling.

    Source: the released code of Asano et al. 2020, which spaces its optimisations by the square of
    a linear sequence over the epochs.
    """
    if number < 1:
        raise ValueError(f"num_labellings must be 1 or more, got {number}")
    return tuple(sorted({int(max_steps * (i / number) ** 2) for i in range(number)}))
