"""SwAV: predict the cluster of one view of an image from another.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS
2020.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.data import ViewSettings
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings, kinds
from leopart_kit.image_level.networks.image_clusterer import ImageClusterer
from leopart_kit.losses import (
    across_views_cross_entropy,
    assignment_statistics,
    teacher_assignments,
)
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.collapse import warn_of_collapse
from leopart_kit.methods.feature_queue import FeatureQueue
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput
from leopart_kit.methods.projection_head import ProjectionHead, Prototypes
from leopart_kit.methods.world import process_group, world_size
from leopart_kit.settings import Count, NotNegative, Positive, Whole, settings


class SwAV(Method):
    """One network; the codes of its global views are what its other views predict.

    Args:
        network: trained in place.
        settings: the method's numbers.
        num_global: views that are assigned to prototypes; they come first.
        frozen_steps: steps at the start in which the prototypes do not move.
    """

    def __init__(
        self,
        network: ImageClusterer,
        settings: SwAVSettings | None = None,
        *,
        num_global: int = 2,
        frozen_steps: int = 0,
    ) -> None:
        super().__init__()
        self.settings = settings = settings or SwAVSettings()
        self.network = network
        self.num_global = num_global
        self.frozen_steps = frozen_steps
        self.queue = None
        if settings.queue_length:
            length = -(-settings.queue_length // world_size())
            self.queue = FeatureQueue(num_global, length, network.projection.out_dim)

    @property
    def encoder(self) -> Encoder:
        """See `Method.encoder`."""
        return self.network.backbone

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds V views `[B, 3, s_v, s_v]`."""
        queued = None if self.queue is None else self.queue.when_full()
        embeddings = self.network.embeddings_of_views(batch)  # V times [B, 1, 1, E]
        scores = [self.network.scores(rows) for rows in embeddings]
        codes = self._codes(torch.stack(scores[: self.num_global]), queued)
        loss = across_views_cross_entropy(
            codes.flatten(2, 3)[:, :, 0], [s[:, 0, 0] for s in scores], self.settings.temperature
        )
        statistics = assignment_statistics(codes)
        logs = {
            "prototypes_used": statistics.prototypes_used,
            "assignment_entropy": statistics.entropy,
            "loss_over_log_prototypes": loss.detach() / statistics.log_num_prototypes,
        }
        warn_of_collapse(statistics, step, self.settings.warning_every)
        if self.queue is not None:
            self.queue.store(torch.stack(embeddings[: self.num_global]).detach())
        return StepOutput(loss, logs)

    def _codes(self, scores: Tensor, stored: Tensor | None) -> Tensor:
        """Balanced assignments of the global views, `[G, B, 1, 1, K]` → the same."""
        queued = None
        if stored is not None:
            with torch.no_grad():
                queued = self.network.scores(stored)
        return teacher_assignments(
            scores,
            self.settings.epsilon,
            self.settings.sinkhorn_iterations,
            queued,
            process_group(),
        )

    def parameter_groups(self) -> list[ParameterGroup]:
        """Backbone and head, each with and without weight decay."""
        rate = self.settings.learning_rate
        return self.network.parameter_groups(rate, rate)

    def before_step(self, step: int) -> None:
        """Prototypes are unit vectors before each step."""
        self.network.prototypes.normalize_()
        self.network.prototypes.hold_still(step < self.frozen_steps)

    def started_anew(self, step: int) -> list[nn.Parameter]:
        """The prototypes, once they are let go."""
        return [self.network.prototypes.weight] if step == self.frozen_steps else []


@settings
class SwAVSettings(ImageMethodSettings):
    """Settings of SwAV; the paper has LARS, here AdamW."""

    num_prototypes: Count = 3000
    """K."""
    hidden_dim: Count = 2048
    """Of the projection head, two layers with batch norm."""
    out_dim: Count = 128
    """Of the embeddings."""
    temperature: Positive = 0.1
    """Of the softmax over prototypes."""
    epsilon: Positive = 0.05
    """Of Sinkhorn-Knopp: smaller is closer to one prototype an image."""
    sinkhorn_iterations: Whole = 3
    """Of Sinkhorn-Knopp; with 0, one prototype may take all."""
    queue_length: Whole = 3840
    """Embeddings kept per global view over all processes, for small batches; used once it is full;
    0 for no queue."""
    frozen_prototype_epochs: NotNegative = 1
    """Passes over the images at the start in which the prototypes do not move."""
    warning_every: Count = 50
    """Steps between two warnings of collapse."""
    views: dict[str, ViewSettings] = kinds(
        **{
            "global": ViewSettings(
                count=2, scale=(0.14, 1.0), jitter=1.0, grey_probability=0.2, blur_probability=0.5
            )
        },
        local=ViewSettings(
            count=6, scale=(0.05, 0.14), jitter=1.0, grey_probability=0.2, blur_probability=0.5
        ),
    )
    training: TrainingDefaults = TrainingDefaults(
        epochs=400, weight_decay=1e-6, final_weight_decay=1e-6
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        prototypes = Prototypes(self.out_dim, self.num_prototypes)
        projection = ProjectionHead(
            parts.encoder.embed_dim,
            self.hidden_dim,
            self.out_dim,
            num_layers=2,
            batch_norm=True,
            activation="relu",
        )
        method = SwAV(
            ImageClusterer(parts.encoder, projection, prototypes),
            self,
            num_global=self.num_targets(),
            frozen_steps=parts.steps(self.frozen_prototype_epochs),
        )
        return Built(method, ImagesOf(parts.dataset), views)


PART = SwAVSettings
