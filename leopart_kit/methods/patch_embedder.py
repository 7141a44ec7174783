"""A network that embeds every patch: backbone and projection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.methods.method import ParameterGroup, split_by_decay
from leopart_kit.methods.projection_head import LinearProjection, ProjectionHead, UnitTokens


class PatchEmbedder(nn.Module):
    """The student or the teacher of a dense method.

    Args:
        backbone: gives patch tokens `[B, D, h, w]`.
        projection: tokens to embeddings of length 1.
    """

    def __init__(
        self, backbone: Encoder, projection: ProjectionHead | LinearProjection | UnitTokens
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = projection

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

    def embeddings_of_views(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Embeddings `[B, h_v, w_v, E]` of each view `[B, 3, H_v, W_v]`.

        Views of one size go through the network together.
        """
        return [embeddings for (embeddings,) in by_size(views, lambda images: (self(images),))]

    def tokens_of_views(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Tokens `[B, D, h_v, w_v]` of each view, for `embed`."""
        backbone = self.backbone
        return [maps for (maps,) in by_size(views, lambda images: (backbone.patch_tokens(images),))]

    def head(self) -> nn.Module:
        """Parameters that are trained at the head's rate."""
        return self.projection

    def parameter_groups(self, backbone_rate: float, head_rate: float) -> list[ParameterGroup]:
        """Backbone and head at their peak learning rates, each with and without weight decay."""
        return [
            *split_by_decay("backbone", self.backbone, backbone_rate),
            *split_by_decay("head", self.head(), head_rate),
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


def by_size(
    views: Sequence[Tensor], run: Callable[[Tensor], tuple[Tensor, ...]]
) -> list[tuple[Tensor, ...]]:
    """What `run` gives for each view `[B, 3, H_v, W_v]`; it sees those of one size together."""
    sizes = [view.shape[-2:] for view in views]
    found: dict[int, tuple[Tensor, ...]] = {}
    for size in dict.fromkeys(sizes):
        alike = [v for v, own in enumerate(sizes) if own == size]
        together = run(torch.cat([views[v] for v in alike]))
        each = zip(*(part.chunk(len(alike)) for part in together), strict=True)
        found.update(zip(alike, each, strict=True))
    return [found[v] for v in range(len(views))]
