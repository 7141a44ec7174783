"""A network that scores every patch against prototypes: backbone, projection, prototypes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.methods.patch_embedder import PatchEmbedder
from leopart_kit.methods.projection_head import LinearProjection, ProjectionHead, Prototypes


class PatchClusterer(PatchEmbedder):
    """The student or the teacher of dense clustering.

    Args:
        backbone: gives patch tokens `[B, D, h, w]`.
        projection: tokens to embeddings of length 1.
        prototypes: embeddings to scores.

    Raises:
        ValueError: if projection and prototypes do not fit each other.
    """

    def __init__(
        self,
        backbone: Encoder,
        projection: ProjectionHead | LinearProjection,
        prototypes: Prototypes,
    ) -> None:
        super().__init__(backbone, projection)
        if prototypes.weight.shape[1] != projection.out_dim:
            raise ValueError(
                f"prototypes have {prototypes.weight.shape[1]} dimensions, the projection gives "
                f"{projection.out_dim}"
            )
        self.prototypes = prototypes

    def scores(self, embeddings: Tensor) -> Tensor:
        """Cosine similarity to each prototype, `[..., E]` → `[..., K]`, in float32.

        Sinkhorn-Knopp divides scores by 0.05: the digits that bfloat16 drops would count.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            return self.prototypes(embeddings.float())

    def scores_of_views(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Scores `[B, h_v, w_v, K]` of each view `[B, 3, H_v, W_v]`."""
        return [self.scores(embeddings) for embeddings in self.embeddings_of_views(views)]

    def head(self) -> nn.Module:
        """See `PatchEmbedder.head`: the prototypes belong to it."""
        return nn.ModuleList([self.projection, self.prototypes])
