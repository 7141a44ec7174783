"""Leopart with an anchor: dense clustering whose targets cannot drift.

The student learns from the clusters of whole, clean images under the encoder it started from. An
EMA teacher follows a student that has seen a few hundred images for a few minutes, and takes the
targets with it; here they stay, and what the student gains is agreement across views.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.data import AnchoredViews
from leopart_kit.losses import anchored_cross_entropy, assignment_statistics, collapse_warning
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput
from leopart_kit.methods.patch_clusterer import PatchClusterer
from leopart_kit.methods.token_anchor import TokenAnchor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnchoredSettings:
    """The numbers of the method.

    Attributes:
        backbone_learning_rate, head_learning_rate: peaks of the two groups' schedules.
        temperature: of the student's softmax over prototypes.
        trained_blocks: how many of the last blocks are trained; `None` trains everything.
        warning_every: steps between two warnings of collapse.
    """

    backbone_learning_rate: float = 2e-5
    head_learning_rate: float = 3e-4
    temperature: float = 0.1
    trained_blocks: int | None = None
    warning_every: int = 50


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
        student.freeze_below(settings.trained_blocks)

    @property
    def encoder(self) -> Encoder:
        """See `Method.encoder`: the student's backbone."""
        return self.student.backbone

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is a collated `AnchoredViews`."""
        views = AnchoredViews(*batch)
        assignments = self.anchor(views.tokens)  # [B, h, w, K]
        loss = anchored_cross_entropy(
            assignments,
            self.student.scores_of_views(views.views),
            views.boxes,
            self.settings.temperature,
        )
        statistics = assignment_statistics(assignments)
        warning = collapse_warning(statistics)
        if warning and step % self.settings.warning_every == 0:
            logger.warning("step %d: %s", step, warning)
        logs: dict[str, Tensor | float] = {
            "prototypes_used": statistics.prototypes_used,
            "assignment_entropy": statistics.entropy,
            "usage_entropy": statistics.usage_entropy,
            "loss_over_log_prototypes": loss.detach() / statistics.log_num_prototypes,
        }
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
