"""SwAV: predict the cluster of one view of an image from another.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS
2020.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.losses import (
    across_views_cross_entropy,
    assignment_statistics,
    collapse_warning,
    teacher_assignments,
)
from leopart_kit.methods.feature_queue import FeatureQueue
from leopart_kit.methods.image_clusterer import ImageClusterer
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput
from leopart_kit.methods.world import process_group, world_size

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SwAVSettings:
    """The numbers of the method; the defaults are the paper's, without what it does in epochs.

    Attributes:
        num_global: views that are assigned to prototypes; they come first.
        learning_rate: peak of its schedule; for AdamW, where the paper has LARS.
        temperature: of the softmax over prototypes.
        epsilon, sinkhorn_iterations: of the assignments.
        queue_length: embeddings kept per global view over all processes; 0 for no queue. It is used
            once it is full.
        frozen_prototype_steps: steps at the start in which the prototypes do not move.
        warning_every: steps between two warnings of collapse.
    """

    num_global: int = 2
    learning_rate: float = 1e-3
    temperature: float = 0.1
    epsilon: float = 0.05
    sinkhorn_iterations: int = 3
    queue_length: int = 3840
    frozen_prototype_steps: int = 0
    warning_every: int = 50

    def __post_init__(self) -> None:
        if self.num_global < 1:
            raise ValueError(f"num_global must be at least 1, got {self.num_global}")
        if self.queue_length < 0:
            raise ValueError(f"queue_length must be 0 or more, got {self.queue_length}")


class SwAV(Method):
    """One network; the codes of its global views are what its other views predict.

    Args:
        network: trained in place.
        settings: the method's numbers.
    """

    def __init__(self, network: ImageClusterer, settings: SwAVSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.queue = None
        if settings.queue_length:
            length = -(-settings.queue_length // world_size())
            self.queue = FeatureQueue(settings.num_global, length, network.projection.out_dim)

    @property
    def encoder(self) -> Encoder:
        """See `Method.encoder`."""
        return self.network.backbone

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds V views `[B, 3, s_v, s_v]`."""
        settings = self.settings
        embeddings = self.network.embeddings_of_views(batch)  # V times [B, 1, 1, E]
        scores = [self.network.scores(rows) for rows in embeddings]
        codes = self._codes(torch.stack(scores[: settings.num_global]))
        loss = across_views_cross_entropy(
            codes.flatten(2, 3)[:, :, 0], [s[:, 0, 0] for s in scores], settings.temperature
        )
        if self.queue is not None:
            self.queue.store(torch.stack(embeddings[: settings.num_global]).detach())
        return StepOutput(loss, self._logs(loss, codes, step))

    def _codes(self, scores: Tensor) -> Tensor:
        """Balanced assignments of the global views, `[G, B, 1, 1, K]` → the same."""
        queued = None
        if self.queue is not None and self.queue.full:
            with torch.no_grad():
                queued = self.network.scores(self.queue.features)
        return teacher_assignments(
            scores,
            self.settings.epsilon,
            self.settings.sinkhorn_iterations,
            queued,
            process_group(),
        )

    def _logs(self, loss: Tensor, codes: Tensor, step: int) -> dict[str, Tensor | float]:
        statistics = assignment_statistics(codes)
        warning = collapse_warning(statistics)
        if warning and step % self.settings.warning_every == 0:
            logger.warning("step %d: %s", step, warning)
        return {
            "prototypes_used": statistics.prototypes_used,
            "assignment_entropy": statistics.entropy,
            "loss_over_log_prototypes": loss.detach() / statistics.log_num_prototypes,
        }

    def parameter_groups(self) -> list[ParameterGroup]:
        """Backbone and head, each with and without weight decay."""
        rate = self.settings.learning_rate
        return self.network.parameter_groups(rate, rate)

    def before_step(self, step: int) -> None:
        """Prototypes are unit vectors before each step."""
        self.network.prototypes.normalize_()
        frozen = step < self.settings.frozen_prototype_steps
        self.network.prototypes.hold_still(frozen)

    def started_anew(self, step: int) -> list[nn.Parameter]:
        """The prototypes, once they are let go."""
        let_go = step == self.settings.frozen_prototype_steps
        return [self.network.prototypes.weight] if let_go else []
