"""PaKA: the patches of two views of an image are alike in the same pairs.

"PaKA: Patch-level Kernel Alignment", arXiv 2509.05606, 2025.
"""

from __future__ import annotations

from torch import Tensor

from leopart_kit.data import MultiCropViews
from leopart_kit.losses import aligned_pairs, patch_kernel_alignment
from leopart_kit.methods.building import Parts
from leopart_kit.methods.paired_views import PairedViews, PairedViewsSettings
from leopart_kit.methods.patch_embedder import PatchEmbedder
from leopart_kit.settings import settings


class PaKA(PairedViews):
    """Centred kernel alignment of the patches that a teacher and a student see of one region."""

    def __init__(
        self,
        student: PatchEmbedder,
        settings: PaKASettings,
        teacher: PatchEmbedder | None = None,
    ) -> None:
        super().__init__(student, settings, teacher)
        self.settings = settings

    def compare(
        self, taught: Tensor, embeddings: list[Tensor], views: MultiCropViews, step: int
    ) -> Tensor:
        """See `PairedViews.compare`."""
        known, found = aligned_pairs(
            taught,
            embeddings,
            views.overlap_in_global,
            views.overlap_in_view,
            self.encoder.patch_size,
            self.settings.roi_size,
        )
        return patch_kernel_alignment(found.flatten(0, 1), known.flatten(0, 1))


@settings
class PaKASettings(PairedViewsSettings):
    """Settings of PaKA; numbers that the paper does not state are NeCo's, on which it builds."""

    def compared(self, student: PatchEmbedder, teacher: PatchEmbedder | None, parts: Parts) -> PaKA:
        """See `PairedViewsSettings.compared`."""
        return PaKA(student, self, teacher)


PART = PaKASettings
