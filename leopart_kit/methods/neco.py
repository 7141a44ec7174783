"""NeCo: patches of two views of an image rank reference patches in the same order.

Pariza et al., "Near, far: Patch-ordering enhances vision foundation models' scene understanding",
ICLR 2025.
"""

from __future__ import annotations

import torch
from torch import Tensor

from leopart_kit.data import MultiCropViews
from leopart_kit.losses import neco_loss
from leopart_kit.losses.neco import Ordering, drawn_rows
from leopart_kit.losses.soft_sort import STEEPEST
from leopart_kit.methods.building import Parts
from leopart_kit.methods.feature_queue import FeatureQueue
from leopart_kit.methods.outside_graphs import outside_graphs
from leopart_kit.methods.paired_views import PairedViews, PairedViewsSettings
from leopart_kit.methods.patch_embedder import PatchEmbedder
from leopart_kit.methods.world import process_group, world_rank, world_size
from leopart_kit.settings import NotNegative, Whole, settings

MOST_TEMPERATURE = 1e6  # of the softmax, which is even long before


class NeCo(PairedViews):
    """Soft orders of references by a teacher and a student.

    Args:
        student, settings, teacher: see `StudentTeacher`.
        seed: of the references that are drawn; a function of it and of the step, so that a resumed
            run draws the same.

    Raises:
        ValueError: a queue that holds fewer patches than a region has cells.
    """

    def __init__(
        self,
        student: PatchEmbedder,
        settings: NeCoSettings,
        teacher: PatchEmbedder | None = None,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(student, settings, teacher)
        self.settings = settings
        self.seed = seed
        self.queue = None
        if settings.queue_length:
            length, cells = -(-settings.queue_length // world_size()), settings.roi_size**2
            if length < cells:
                raise ValueError(
                    f"queue_length={settings.queue_length} leaves {length} patches in each of "
                    f"{world_size()} processes, fewer than the {cells} references of an image; use "
                    f"{cells * world_size()} or more, or 0 for the patches of the batch"
                )
            self.queue = FeatureQueue(1, length, student.projection.out_dim)

    @outside_graphs  # draws on the host, and a sorting network is thousands of operations
    def compare(
        self, taught: Tensor, embeddings: list[Tensor], views: MultiCropViews, step: int
    ) -> Tensor:
        """See `PairedViews.compare`."""
        stored = None if self.queue is None else self.queue.when_full()
        if stored is not None:
            stored = stored[0].clone()  # the storing below may not change it
        order = self._order(len(taught), len(embeddings), taught.shape[1], stored, step)
        loss = neco_loss(
            taught,
            embeddings,
            views.overlap_in_global,
            views.overlap_in_view,
            self.encoder.patch_size,
            self.settings.roi_size,
            self.settings.steepness,
            self.settings.ordering,
            stored,
            order,
            process_group(),
        )
        if self.queue is not None:
            self.queue.store(taught[:1])
        return loss

    def _order(
        self, num_global: int, num_views: int, images: int, stored: Tensor | None, step: int
    ) -> Tensor:
        """Rows that are this process's references, `[pairs, B · cells]`.

        All processes draw one order for the global batch; each takes the part of its images.
        """
        generator = torch.Generator().manual_seed(self.seed + step)
        count, world = images * self.settings.roi_size**2, world_size()
        number = count * world if stored is None else len(stored)
        own = slice(world_rank() * count, (world_rank() + 1) * count)
        pairs = num_global * (num_views - 1)
        drawn = [drawn_rows(number, count * world, generator)[own] for _ in range(pairs)]
        return torch.stack(drawn)


@settings
class NeCoSettings(PairedViewsSettings):
    """Settings of NeCo; the defaults are the released ones for ViT-S."""

    steepness: NotNegative = 100.0
    """Of the sorting network, for teacher and student; as softmax, one over its temperature."""
    ordering: Ordering = "bitonic"
    """Comparison: soft orders by the sorting network bitonic or odd_even; softmax, the
    similarities themselves (the control without sorting)."""
    queue_length: Whole = 0
    """Teacher patches from which references are drawn, over all processes; 0: the patches of the
    batch. Released: 8192 for DINOv2 starts, 0 for DINO, Leopart and TimeT."""

    def __post_init__(self) -> None:
        super().__post_init__()
        least = 1 / MOST_TEMPERATURE if self.ordering == "softmax" else 0
        if not least <= self.steepness <= STEEPEST:
            raise ValueError(
                f"steepness must be from {least:g} to {STEEPEST:g} with "
                f"ordering={self.ordering}, got {self.steepness:g}"
            )

    def compared(self, student: PatchEmbedder, teacher: PatchEmbedder | None, parts: Parts) -> NeCo:
        """See `PairedViewsSettings.compared`."""
        return NeCo(student, self, teacher, seed=parts.seed)


PART = NeCoSettings
