"""Leopart with an anchor: dense clustering whose targets cannot drift.

The student learns from the clusters of whole, clean images under the encoder it started from. An
EMA teacher follows a student that has seen a few hundred images for a few minutes, and takes the
targets with it. Here the targets stay; the student gains agreement across views.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.data import AnchoredTransform, AnchoredViews, ImagesWithTokens
from leopart_kit.losses import anchored_cross_entropy, assignment_statistics
from leopart_kit.methods.building import (
    Built,
    Parts,
    StoredTokens,
    overlapping_views,
)
from leopart_kit.methods.collapse import warn_of_collapse
from leopart_kit.methods.gram_anchor import GramSettings
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput
from leopart_kit.methods.patch_clusterer import PatchClusterer
from leopart_kit.methods.token_anchor import TokenAnchor
from leopart_kit.settings import Count, NotNegative, Positive, Size, settings

logger = logging.getLogger(__name__)


class AnchoredLeopart(Method):
    """A student that predicts, view by view, the anchor's assignments of the whole image.

    Args:
        student: trained in place; its head usually starts as a copy of the anchor's.
        anchor: turns the stored tokens of the frozen encoder into assignments.
        settings: the method's numbers.
    """

    def __init__(
        self, student: PatchClusterer, anchor: TokenAnchor, settings: AnchoredSettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.student = student
        self.anchor = anchor
        self.gram = settings.gram_anchor(student.backbone)
        student.freeze_below(settings.trained_blocks)

    @property
    def encoder(self) -> Encoder:
        """See `Method.encoder`: the student's backbone."""
        return self.student.backbone

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is a collated `AnchoredViews`."""
        views = AnchoredViews(*batch)
        assignments = self.anchor(views.tokens)  # [B, h, w, K]
        tokens = self.student.tokens_of_views(views.views)
        loss = anchored_cross_entropy(
            assignments,
            [self.student.scores(self.student.embed(maps)) for maps in tokens],
            views.boxes,
            self.settings.temperature,
        )
        statistics = assignment_statistics(assignments)
        logs: dict[str, Tensor | float] = {
            "prototypes_used": statistics.prototypes_used,
            "assignment_entropy": statistics.entropy,
            "usage_entropy": statistics.usage_entropy,
            "loss_over_log_prototypes": loss.detach() / statistics.log_num_prototypes,
        }
        if self.gram is not None:
            term = self.gram(tokens, views.views)
            loss, logs["gram"] = loss + term, term.detach()
        warn_of_collapse(statistics, step, self.settings.warning_every)
        return StepOutput(loss, logs)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Backbone and head, each with and without weight decay."""
        return self.student.parameter_groups(
            self.settings.backbone_learning_rate, self.settings.head_learning_rate
        )

    def before_step(self, step: int) -> None:
        """Prototypes are unit vectors before each step."""
        self.student.prototypes.normalize_()


def student_of(anchor: TokenAnchor, backbone: Encoder) -> PatchClusterer:
    """A student whose head starts as the anchor's, so that it starts in agreement."""
    projection = copy.deepcopy(anchor.projection).requires_grad_(True)
    prototypes = copy.deepcopy(anchor.prototypes).requires_grad_(True)
    return PatchClusterer(backbone, projection, prototypes)


@settings
class AnchoredSettings(GramSettings):
    """Settings of Leopart with an anchor, for small sets and short training."""

    num_prototypes: Count = 100
    """K."""
    projection_dim: Count = 64
    """Dimensions of the embeddings."""
    anchor_resolution: Size = (448, 448)
    """`[H, W]` in pixels of the whole images whose tokens are the targets."""
    backbone_learning_rate: NotNegative = 2e-5
    """Peak of the backbone's schedule."""
    head_learning_rate: NotNegative = 3e-4
    """Peak of the head's schedule."""
    epsilon: Positive = 0.05
    """Of the anchor's Sinkhorn-Knopp."""
    sinkhorn_iterations: Count = 3
    """Of the anchor's Sinkhorn-Knopp."""
    temperature: Positive = 0.1
    """Of the student's softmax over prototypes."""
    trained_blocks: Count | None = 6
    """Last blocks that are trained; null: all."""
    warning_every: Count = 50
    """Steps between two warnings of collapse."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gram_weight and (self.gram_teacher == "ema" or self.gram_renew_every):
            raise ValueError(
                "anchored_leopart has no teacher that moves: leave gram_teacher=start and "
                "gram_renew_every=null"
            )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = AnchoredTransform(overlapping_views(parts))
        store = parts.features(parts.dataset, self.anchor_resolution)
        anchor = self._anchor(parts, store)
        left_out = len(parts.dataset) - len(store.indices)
        if left_out:
            number = len(parts.dataset)
            logger.warning("%d of %d images are left out, they are broken", left_out, number)
        images = ImagesWithTokens(parts.dataset, store.tokens, store.indices.tolist(), store.grid)
        method = AnchoredLeopart(student_of(anchor, parts.encoder), anchor, self)
        return Built(method, images, views)

    def _anchor(self, parts: Parts, store: StoredTokens) -> TokenAnchor:
        if parts.resumes or not parts.first:  # to be filled from a checkpoint or the first
            sizes = self.num_prototypes, self.projection_dim, self.epsilon
            return TokenAnchor.empty(parts.encoder.embed_dim, *sizes)
        return TokenAnchor.fit(
            store.chunks,
            self.num_prototypes,
            projection_dim=self.projection_dim,
            epsilon=self.epsilon,
            num_iterations=self.sinkhorn_iterations,
            seed=parts.seed,
        )


PART = AnchoredSettings
