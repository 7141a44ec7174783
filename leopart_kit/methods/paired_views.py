"""Dense methods that compare a student's patches with a teacher's where two views overlap."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from leopart_kit.data import ImagesOf, MultiCropViews
from leopart_kit.losses import token_spread
from leopart_kit.methods.building import Built, Parts, overlapping_views
from leopart_kit.methods.collapse import warn_of_alike_tokens
from leopart_kit.methods.method import StepOutput
from leopart_kit.methods.patch_embedder import PatchEmbedder
from leopart_kit.methods.projection_head import LinearProjection, ProjectionHead, UnitTokens
from leopart_kit.methods.student_teacher import StudentTeacher, StudentTeacherSettings
from leopart_kit.settings import settings


@settings
class PairedViewsSettings(StudentTeacherSettings):
    """Settings of methods that compare patches of two views; `compared` makes the method."""

    head: bool = True
    """Compare embeddings of a projection head; false: the tokens themselves."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.roi_size < 2:
            raise ValueError(
                f"roi_size={self.roi_size} leaves one cell, which has no other to be compared "
                "with; use 2 or more"
            )

    def compared(
        self, student: PatchEmbedder, teacher: PatchEmbedder | None, parts: Parts
    ) -> PairedViews:
        """The method, of its two networks."""
        raise NotImplementedError

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = overlapping_views(parts)
        if parts.views.num_global + parts.views.num_local < 2:
            raise ValueError(
                "views.num_global=1 and views.num_local=0 leave no two views to compare; set "
                "views.num_global=2"
            )
        teacher = None
        if self.separate_heads:
            teacher = PatchEmbedder(copy.deepcopy(parts.encoder), self._projection(parts))
        student = PatchEmbedder(parts.encoder, self._projection(parts))
        return Built(self.compared(student, teacher, parts), ImagesOf(parts.dataset), views)

    def _projection(self, parts: Parts) -> ProjectionHead | LinearProjection | UnitTokens:
        dim = parts.encoder.embed_dim
        if not self.head:
            return UnitTokens(dim)
        kind = ProjectionHead if self.projection == "mlp" else LinearProjection
        return kind(dim, out_dim=self.projection_dim)


class PairedViews(StudentTeacher[PatchEmbedder]):
    """The step of such a method; each has its own `compare`.

    Args:
        student, settings, teacher: see `StudentTeacher`.
    """

    def __init__(
        self,
        student: PatchEmbedder,
        settings: PairedViewsSettings,
        teacher: PatchEmbedder | None = None,
    ) -> None:
        super().__init__(student, settings, teacher)
        self.warning_every = settings.warning_every

    def compare(
        self, taught: Tensor, embeddings: list[Tensor], views: MultiCropViews, step: int
    ) -> Tensor:
        """The loss, of teacher embeddings `[G, B, h, w, E]` and the student's of all views."""
        raise NotImplementedError

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is a collated `MultiCropViews`."""
        views = MultiCropViews(*batch)
        num_global = views.overlap_in_global.shape[1]
        with torch.no_grad():
            known = self.teacher.backbone.patch_tokens(torch.cat(views.views[:num_global]))
            taught = self.teacher.embed(known).unflatten(0, (num_global, -1))
        tokens = self.student.tokens_of_views(views.views)
        loss = self.compare(taught, [self.student.embed(maps) for maps in tokens], views, step)
        spread = token_spread(tokens[0])
        logs: dict[str, Tensor | float] = {"token_spread": spread}
        if self.gram is not None:
            term = self.gram(tokens, views.views, known)
            loss, logs["gram"] = loss + term, term.detach()
        warn_of_alike_tokens(spread, step, self.warning_every)
        return StepOutput(loss, logs)
