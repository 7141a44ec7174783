"""Leopart: learn object parts by clustering patch tokens across views.

Ziegler & Asano, "Self-Supervised Learning of Object Parts for Semantic Segmentation", CVPR 2022.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import Tensor

from leopart_kit.clustering import attention_foreground
from leopart_kit.data import ImagesOf, MultiCropViews
from leopart_kit.losses import (
    AssignmentStatistics,
    assignment_cross_entropy,
    assignment_statistics,
    teacher_assignments,
)
from leopart_kit.methods.building import Built, Parts, overlapping_views
from leopart_kit.methods.collapse import warn_of_collapse
from leopart_kit.methods.feature_queue import FeatureQueue
from leopart_kit.methods.method import StepOutput
from leopart_kit.methods.patch_clusterer import PatchClusterer
from leopart_kit.methods.projection_head import LinearProjection, ProjectionHead, Prototypes
from leopart_kit.methods.student_teacher import StudentTeacher, StudentTeacherSettings
from leopart_kit.methods.warm_start import TokenChunks, warm_start
from leopart_kit.methods.world import process_group, world_size
from leopart_kit.settings import (
    Count,
    Positive,
    Share,
    Size,
    Whole,
    settings,
)

Foreground = Literal["fg", "bg", "all"]


class Leopart(StudentTeacher[PatchClusterer]):
    """Student and EMA teacher over one set of prototypes each.

    Args:
        student: trained in place; its backbone is what the training is for.
        settings: the method's numbers.
        num_global: global views of a batch, which the teacher sees.
        teacher: starts as a copy of the student unless given (the released code starts its two
            heads from different random weights).

    Raises:
        ValueError: more trained blocks than the backbone has, or a foreground without CLS
            attention.
    """

    def __init__(
        self,
        student: PatchClusterer,
        settings: LeopartSettings,
        *,
        num_global: int = 2,
        teacher: PatchClusterer | None = None,
    ) -> None:
        super().__init__(student, settings, teacher)
        self.settings = settings
        if settings.foreground != "all":
            _check_attention(self.teacher, settings.foreground)
        self.queue = None
        if settings.queue_length:
            length = -(-settings.queue_length // world_size())
            self.queue = FeatureQueue(num_global, length, student.projection.out_dim)

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is a collated `MultiCropViews`."""
        views = MultiCropViews(*batch)
        stored = None if self.queue is None else self.queue.when_full()
        patch_size = self.student.backbone.patch_size
        num_global = views.overlap_in_global.shape[1]
        known, embeddings, foreground = self._teach(torch.cat(views.views[:num_global]), num_global)
        assignments = teacher_assignments(
            self.teacher.scores(embeddings),
            self.settings.epsilon,
            self.settings.sinkhorn_iterations,
            None if stored is None else self._queue_scores(stored),
            process_group(),
        )
        tokens = self.student.tokens_of_views(views.views)
        loss = assignment_cross_entropy(
            assignments,
            [self.student.scores(self.student.embed(maps)) for maps in tokens],
            views.overlap_in_global,
            views.overlap_in_view,
            patch_size,
            self.settings.roi_size,
            self.settings.temperature,
            foreground,
            process_group(),
        )
        statistics = assignment_statistics(assignments)
        logs = self._logs(loss, statistics, foreground)
        if self.gram is not None:
            term = self.gram(tokens, views.views, known)
            loss, logs["gram"] = loss + term, term.detach()
        warn_of_collapse(statistics, step, self.settings.warning_every)
        if self.queue is not None:
            self.queue.store(embeddings, foreground)
        return StepOutput(loss, logs)

    @torch.no_grad()
    def _teach(self, images: Tensor, num_global: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Teacher tokens, embeddings `[G, B, h, w, E]`, which patches count `[G, B, h, w]`."""
        backbone, mask = self.teacher.backbone, None
        if self.settings.foreground == "all":
            tokens = backbone.patch_tokens(images)
        else:
            tokens, attention = backbone.tokens_and_attention(images)
            mask = attention_foreground(attention, self.settings.foreground_mass)
            mask = mask if self.settings.foreground == "fg" else ~mask
            mask = mask.unflatten(0, (num_global, -1))
        return tokens, self.teacher.embed(tokens).unflatten(0, (num_global, -1)), mask

    @torch.no_grad()
    def _queue_scores(self, stored: Tensor) -> Tensor:
        scorer = self.student if self.settings.queue_scored_by == "student" else self.teacher
        return scorer.scores(stored)

    def _logs(
        self, loss: Tensor, statistics: AssignmentStatistics, foreground: Tensor | None
    ) -> dict[str, Tensor | float]:
        share = 1.0 if foreground is None else foreground.float().mean()
        return {
            "prototypes_used": statistics.prototypes_used,
            "assignment_entropy": statistics.entropy,
            "usage_entropy": statistics.usage_entropy,
            "loss_over_log_prototypes": loss.detach() / statistics.log_num_prototypes,
            "counting_patches": share,
        }

    def before_step(self, step: int) -> None:
        """Prototypes are unit vectors before each step; means of unit vectors are shorter."""
        self.student.prototypes.normalize_()
        self.teacher.prototypes.normalize_()
        super().before_step(step)


def _check_attention(teacher: PatchClusterer, foreground: Foreground) -> None:
    """Raise the error of the first step before it, by one patch."""
    side = teacher.backbone.patch_size
    try:
        with torch.no_grad():
            teacher.backbone.attention(next(teacher.parameters()).new_zeros(1, 3, side, side))
    except ValueError as error:
        raise ValueError(f"foreground={foreground}: {error}; or set foreground=all") from error


@settings
class LeopartSettings(StudentTeacherSettings):
    """Settings of Leopart; the defaults are the paper's for ViT-S/16 (sections 3 and 4)."""

    num_prototypes: Count = 300
    """K."""
    warm_start: bool = False
    """Start from PCA and k-means of the data's own tokens; needs projection=linear."""
    warm_start_images: Count = 1000
    """Images read for the warm start, at most."""
    warm_start_resolution: Size = (448, 448)
    """`[H, W]` of these images in pixels."""
    epsilon: Positive = 0.05
    """Of Sinkhorn-Knopp: smaller is closer to one prototype a patch."""
    sinkhorn_iterations: Whole = 3
    """Of Sinkhorn-Knopp; with 0, one prototype may take all."""
    temperature: Positive = 0.1
    """Of the student's softmax over prototypes."""
    foreground: Foreground = "fg"
    """Patches that count: fg, the teacher's attention foreground; bg, the rest; all."""
    foreground_mass: Share = 0.6
    """Share of the attention that the foreground holds."""
    queue_length: Whole = 8192
    """Embeddings kept per global view over all processes; 0 for no queue."""
    queue_scored_by: Literal["teacher", "student"] = "teacher"
    """Whose prototypes score the queue; as released: student."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warm_start and self.projection != "linear":
            raise ValueError("warm_start=true needs projection=linear: a PCA is linear")

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = overlapping_views(parts)
        tokens = None
        if self.warm_start and not parts.resumes:  # a checkpoint has the head
            sample = parts.dataset.spread(self.warm_start_images)
            store = parts.features(sample, self.warm_start_resolution)
            tokens = store.chunks if parts.first else None  # the others receive the head
        teacher = None
        if self.separate_heads:
            head = self._head(parts, None)
            teacher = PatchClusterer(copy.deepcopy(parts.encoder), *head)
        student = PatchClusterer(parts.encoder, *self._head(parts, tokens))
        method = Leopart(student, self, num_global=parts.views.num_global, teacher=teacher)
        return Built(method, ImagesOf(parts.dataset), views)

    def _head(
        self, parts: Parts, tokens: TokenChunks | None
    ) -> tuple[ProjectionHead | LinearProjection, Prototypes]:
        dim, number = self.projection_dim, self.num_prototypes
        if tokens is not None:
            return warm_start(tokens, number, projection_dim=dim, seed=parts.seed)
        kind = ProjectionHead if self.projection == "mlp" else LinearProjection
        return kind(parts.encoder.embed_dim, out_dim=dim), Prototypes(dim, number)


PART = LeopartSettings
