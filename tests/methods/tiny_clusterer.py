"""A vision transformer of a few thousand weights, heads for it, and views of random images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.utils.data import default_collate

from leopart_kit.backbones.encoder import IMAGENET_MEAN, IMAGENET_STD
from leopart_kit.backbones.vit import ViTEncoder
from leopart_kit.data import MultiCropTransform, MultiCropViews
from leopart_kit.methods import LinearProjection, PatchClusterer, Prototypes

DIM, PATCH = 24, 8


def tiny_vit(*, class_token: bool = True, drop_path_rate: float = 0.0, depth: int = 2):
    """A `ViTEncoder` for 4 x 4 patches of 8 px; the same weights at each call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = VisionTransformer(
            img_size=32,
            patch_size=PATCH,
            embed_dim=DIM,
            depth=depth,
            num_heads=2,
            num_classes=0,
            class_token=class_token,
            global_pool="token" if class_token else "avg",
            fc_norm=False,
            drop_path_rate=drop_path_rate,
            dynamic_img_size=True,
        )
        for parameter in vit.parameters():  # attention that differs between patches
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.15)
    return ViTEncoder(vit, name="tiny", mean=IMAGENET_MEAN, std=IMAGENET_STD).eval()


def tiny_clusterer(num_prototypes: int = 5, dim: int = 8, **vit) -> PatchClusterer:
    """The tiny transformer under a linear projection and prototypes; the same at each call."""
    encoder = tiny_vit(**vit)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        projection = LinearProjection(DIM, dim)
        torch.nn.init.normal_(projection.linear.weight, std=0.3)
        return PatchClusterer(encoder, projection, Prototypes(dim, num_prototypes))


def patchy_images(num: int, seed: int = 0, size: int = 48) -> Tensor:
    """uint8 `[num, 3, size, size]` of random patches of 6 px."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (num, 3, size // 6, size // 6), generator=generator)
    return coarse.repeat_interleave(6, 2).repeat_interleave(6, 3).to(torch.uint8)


def view_batch(
    images: Sequence[Tensor] | Tensor, seed: int = 0, sizes: tuple[int, int] = (64, 32)
) -> MultiCropViews:
    """A collated batch of 2 global and 1 local view of each image."""
    crop = MultiCropTransform(*sizes, num_local=1, flip_probability=0.5)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MultiCropViews(*default_collate([crop(image) for image in images]))
