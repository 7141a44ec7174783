"""A network that scores every patch against prototypes: backbone, projection, prototypes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.methods.method import ParameterGroup, split_by_decay
from leopart_kit.methods.projection_head import LinearProjection, ProjectionHead, Prototypes


class PatchClusterer(nn.Module):
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
        super().__init__()
        if prototypes.weight.shape[1] != projection.out_dim:
            raise ValueError(
                f"prototypes have {prototypes.weight.shape[1]} dimensions, the projection gives "
                f"{projection.out_dim}"
            )
        self.backbone = backbone
        self.projection = projection
        self.prototypes = prototypes

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings `[B, h, w, E]` of normalised images `[B, 3, H, W]`."""
        return self.embed(self.backbone.patch_tokens(images))

    def with_attention(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings and the last block's CLS attention `[B, heads, h, w]` in one pass."""
        tokens, attention = self.backbone.tokens_and_attention(images)
        return self.embed(tokens), attention

    def embed(self, tokens: Tensor) -> Tensor:
        """Tokens `[B, D, h, w]` → embeddings `[B, h, w, E]`."""
        return self.projection(tokens.permute(0, 2, 3, 1))

    def scores(self, embeddings: Tensor) -> Tensor:
        """Cosine similarity to each prototype, `[..., E]` → `[..., K]`, in float32.

        Sinkhorn-Knopp divides scores by 0.05: the digits that bfloat16 drops would count.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            return self.prototypes(embeddings.float())

    def scores_of_views(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Scores `[B, h_v, w_v, K]` of each view `[B, 3, H_v, W_v]`."""
        return [self.scores(embeddings) for embeddings in self.embeddings_of_views(views)]

    def embeddings_of_views(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Embeddings `[B, h_v, w_v, E]` of each view `[B, 3, H_v, W_v]`.

        Views of one size go through the network together.
        """
        embeddings: dict[int, Tensor] = {}
        for size in dict.fromkeys(view.shape[-2:] for view in views):
            rows = [v for v, view in enumerate(views) if view.shape[-2:] == size]
            together = self(torch.cat([views[v] for v in rows]))
            embeddings.update(zip(rows, together.chunk(len(rows)), strict=True))
        return [embeddings[v] for v in range(len(views))]

    def parameter_groups(self, backbone_rate: float, head_rate: float) -> list[ParameterGroup]:
        """Backbone and head at their peak learning rates, each with and without weight decay."""
        head = nn.ModuleList([self.projection, self.prototypes])
        return [
            *split_by_decay("backbone", self.backbone, backbone_rate),
            *split_by_decay("head", head, head_rate),
        ]

    def freeze_below(self, trained_blocks: int | None) -> None:
        """Train only the last blocks of a vision transformer and its norm; `None` trains all.

        Raises:
            ValueError: the backbone has fewer blocks, or none.
        """
        if trained_blocks is None:
            return
        vit = getattr(self.backbone, "vit", None)
        depth = self.backbone.depth or 0
        if vit is None or not 0 < trained_blocks <= depth:
            raise ValueError(
                f"trained_blocks {trained_blocks}: {self.backbone.name} has {depth} blocks"
            )
        vit.requires_grad_(False)
        for block in vit.blocks[depth - trained_blocks :]:
            block.requires_grad_(True)
        vit.norm.requires_grad_(True)
