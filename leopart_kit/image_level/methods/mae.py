"""MAE: encode a quarter of the patches, decode the pixels of the others.

He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.vit import ViTEncoder
from leopart_kit.data import ImagesOf
from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings
from leopart_kit.losses import masked_squared_error, normalised_patches
from leopart_kit.methods.building import Built, Parts, TrainingDefaults
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.settings import Count, NotNegative, settings


class PatchDecoder(nn.Module):
    """A small transformer that turns visible tokens and mask tokens into the pixels of all patches.

    Args:
        embed_dim: of the encoder's tokens.
        patch_size: side of a patch in pixels.
        dim, depth, num_heads: of the decoder's blocks.

    Raises:
        ValueError: dimensions that are no multiple of 4 (for the positions) and of the heads.

    Source: section 3, "MAE decoder".
    """

    def __init__(
        self, embed_dim: int, patch_size: int, dim: int = 512, depth: int = 8, num_heads: int = 16
    ) -> None:
        super().__init__()
        if dim % 4 or dim % num_heads:
            raise ValueError(
                f"decoder_dim {dim} must be a multiple of 4 and of decoder_heads {num_heads}"
            )
        self.embed = nn.Linear(embed_dim, dim)
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.blocks = nn.ModuleList(Block(dim, num_heads, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.pixels = nn.Linear(dim, 3 * patch_size**2)

    def forward(
        self, tokens: Tensor, visible: Tensor, grid: tuple[int, int], num_prefix: int
    ) -> Tensor:
        """Tokens `[B, prefix + n, D]` and their places `[B, n]` → pixels `[B, h · w, 3 p²]`."""
        x = self.embed(tokens)
        num_patches = grid[0] * grid[1]
        places = visible.unsqueeze(-1).expand(-1, -1, x.shape[-1])
        patches = self.mask_token.to(x.dtype).expand(len(x), num_patches, -1)
        patches = patches.scatter(1, places, x[:, num_prefix:])
        patches = patches + grid_positions(grid, x.shape[-1]).to(x, non_blocking=True)
        x = torch.cat([x[:, :num_prefix], patches], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.pixels(self.norm(x))[:, num_prefix:]


def grid_positions(grid: tuple[int, int], dim: int) -> Tensor:
    """Sines and cosines of row and column, `[h · w, dim]`; `dim` is a multiple of 4.

    Source: He et al. (MAE), section 3; Vaswani et al., NIPS 2017, section 3.5.
    """
    frequencies = 10000 ** -(torch.arange(dim // 4) / (dim // 4))
    rows, columns = torch.meshgrid(*(torch.arange(n).float() for n in grid), indexing="ij")
    angles = [axis.flatten()[:, None] * frequencies for axis in (rows, columns)]
    return torch.cat([part for a in angles for part in (a.sin(), a.cos())], dim=1)


def random_visible(num_images: int, num_patches: int, share: float, device: Any) -> Tensor:
    """Places `[B, n]` of the patches that stay visible, drawn anew for every image.

    At least one patch is visible and one is hidden.
    """
    count = min(max(1, round(share * num_patches)), num_patches - 1)
    order = torch.rand(num_images, num_patches, device=device).argsort(dim=1)
    return order[:, :count]


class MAE(Method):
    """A vision transformer that sees a part of the patches, and a decoder for the rest.

    Args:
        encoder: trained in place; a vision transformer.
        settings: the method's numbers.

    Raises:
        ValueError: an encoder that is no vision transformer.
    """

    def __init__(self, encoder: Encoder, settings: MAESettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or MAESettings()
        if not isinstance(encoder, ViTEncoder):
            raise ValueError(
                f"mae hides patches from a vision transformer, and {encoder.name} is none; choose "
                "another encoder, such as vits16"
            )
        self.encoder: ViTEncoder = encoder
        self.decoder = PatchDecoder(
            encoder.embed_dim,
            encoder.patch_size,
            settings.decoder_dim,
            settings.decoder_depth,
            settings.decoder_heads,
        )

    def reconstruct(self, images: Tensor, visible: Tensor) -> Tensor:
        """Normalised pixels `[B, h · w, 3 p²]` of all patches from the visible ones `[B, n]`."""
        patch = self.encoder.patch_size
        grid = (images.shape[-2] // patch, images.shape[-1] // patch)
        tokens = self.encoder.visible_tokens(images, visible)
        return self.decoder(tokens, visible, grid, self.encoder.num_prefix)

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` holds one view `[B, 3, s, s]`."""
        (images,) = batch
        targets = normalised_patches(images, self.encoder.patch_size)
        share = 1 - self.settings.masked_share
        visible = random_visible(len(images), targets.shape[1], share, images.device)
        hidden = torch.ones(targets.shape[:2], dtype=torch.bool, device=images.device)
        hidden = hidden.scatter(1, visible, False)
        prediction = self.reconstruct(images, visible)
        loss = masked_squared_error(prediction, targets, hidden[..., None])
        return StepOutput(loss, {"hidden_share": hidden.float().mean()})

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, with and without weight decay."""
        return split_by_decay("all", self, self.settings.learning_rate)


@settings
class MAESettings(ImageMethodSettings):
    """Settings of MAE; the paper's rate is for each 256 of a batch of 4,096, betas (0.9, 0.95)."""

    num_views: ClassVar[int | None] = 1

    learning_rate: NotNegative = 1.5e-4
    masked_share: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """Of the patches that the encoder does not see."""
    decoder_dim: Count = 512
    """Channels of the decoder; a multiple of 4 and of its heads."""
    decoder_depth: Count = 8
    """Blocks of the decoder."""
    decoder_heads: Count = 16
    """Heads of the decoder's attention."""
    training: TrainingDefaults = TrainingDefaults(
        epochs=800, weight_decay=0.05, final_weight_decay=0.05
    )

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        views = self.random_views(parts)
        return Built(MAE(parts.encoder, self), ImagesOf(parts.dataset), views)


PART = MAESettings
