"""Image-level methods on a tiny network under the loop, and a program that trains two of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leopart_kit.backbones.encoder import IMAGENET_MEAN, IMAGENET_STD
from leopart_kit.image_level.data import CentralView, OfImage, RandomViews, ViewSettings
from leopart_kit.image_level.methods.clip import CLIP, CLIPSettings
from leopart_kit.image_level.methods.deep_cluster import DeepCluster, DeepClusterSettings
from leopart_kit.image_level.methods.dino import DINO, DINOSettings
from leopart_kit.image_level.methods.ibot import (
    IBOT,
    IBOTSettings,
    MaskedClusterer,
    MaskedViews,
)
from leopart_kit.image_level.methods.mae import MAE, MAESettings
from leopart_kit.image_level.methods.moco_v2 import MoCoV2, MoCoV2Settings
from leopart_kit.image_level.methods.sela import SeLa, SeLaSettings
from leopart_kit.image_level.methods.simclr import SimCLR, SimCLRSettings
from leopart_kit.image_level.methods.swav import SwAV, SwAVSettings
from leopart_kit.image_level.networks.caption_tokenizer import CaptionTokenizer
from leopart_kit.image_level.networks.image_clusterer import ImageClusterer
from leopart_kit.methods import Method, ProjectionHead, Prototypes
from leopart_kit.training import (
    OrderedImages,
    SeededSamples,
    TrainingLoader,
    TrainingSettings,
    build_fabric,
    train,
)
from tests.methods.tiny_clusterer import DIM, patchy_images, tiny_vit

NUM_IMAGES, STEPS = 10, 6
CAPTIONS = [f"image number {index}" for index in range(NUM_IMAGES)]


class Items:
    """Ten images, the same at each call, alone or each with a value."""

    def __init__(self, values: list[Any] | None = None) -> None:
        self.images = patchy_images(NUM_IMAGES)
        self.values = values

    def __len__(self) -> int:
        return NUM_IMAGES

    def __getitem__(self, index: int) -> Any:
        image: Tensor = self.images[index]
        return image if self.values is None else (image, self.values[index])


def views(count: int) -> RandomViews:
    settings = ViewSettings(count=count, size=32, scale=(0.3, 1.0), jitter=0.5)
    return RandomViews([settings], IMAGENET_MEAN, IMAGENET_STD)


def _in_order() -> OrderedImages:
    return OrderedImages(Items(), CentralView(32, IMAGENET_MEAN, IMAGENET_STD), batch_size=4)


def _clusterer() -> ImageClusterer:
    head = ProjectionHead(DIM, 16, 6)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return ImageClusterer(tiny_vit(), head, Prototypes(6, 5))


def _clip() -> CLIP:
    settings = CLIPSettings(
        captions="captions.csv",
        learning_rate=1e-3,
        vocabulary_size=300,
        text_length=16,
        text_dim=16,
        text_depth=1,
        text_heads=2,
        out_dim=8,
    )
    return CLIP(tiny_vit(), CaptionTokenizer.train(CAPTIONS, 300), settings)


def _ibot() -> IBOT:
    plain: Any = _clusterer()
    student = MaskedClusterer(plain.backbone, plain.projection, plain.prototypes)
    return IBOT(student, IBOTSettings(num_outputs=5))


SIMCLR = SimCLRSettings(hidden_dim=16, out_dim=8, batch_norm=False)
RENEWED = {"gram_weight": 1.0, "gram_renew_every": 2}
MOCO_V2 = MoCoV2Settings(hidden_dim=16, out_dim=8, queue_length=16, **RENEWED)
SMALL_DECODER = MAESettings(decoder_dim=16, decoder_depth=1, decoder_heads=2)
THREE_CLUSTERS = DeepClusterSettings(num_clusters=3, pca_dim=4)
THREE_LABELS = SeLaSettings(num_heads=2, num_labels=3)

METHODS: Mapping[str, tuple[Callable[[], Method], int, list[Any] | None]] = {
    "simclr": (lambda: SimCLR(tiny_vit(), SIMCLR), 2, None),
    "moco_v2": (lambda: MoCoV2(tiny_vit(), MOCO_V2), 2, None),
    "swav": (lambda: SwAV(_clusterer(), SwAVSettings(queue_length=8)), 2, None),
    "dino": (lambda: DINO(_clusterer(), DINOSettings(**RENEWED)), 2, None),
    "mae": (lambda: MAE(tiny_vit(), SMALL_DECODER), 1, None),
    "deep_cluster": (
        lambda: DeepCluster(tiny_vit(), _in_order(), THREE_CLUSTERS, relabel_every=2),
        1,
        list(range(NUM_IMAGES)),
    ),
    "sela": (
        lambda: SeLa(tiny_vit(), _in_order(), THREE_LABELS, relabel_at=(0, 1, 4)),
        1,
        list(range(NUM_IMAGES)),
    ),
    "clip": (_clip, 1, CAPTIONS),
    "ibot": (_ibot, 2, None),
}
"""The method, its views, and what comes with each image."""


def train_method(
    output_dir: Path, name: str, batch_size: int, stop_at: int = STEPS, **settings: Any
) -> Method:
    """Train up to step `stop_at` of six, the schedules made for six."""
    fabric = build_fabric("cpu", settings.pop("precision", "32-true"))
    make, num_views, values = METHODS[name]
    torch.manual_seed(2)
    method = make()
    transform = views(num_views) if values is None else OfImage(views(num_views))
    if name == "ibot":
        transform = MaskedViews(views(num_views), (4, 4), 2, 0.5, (0.1, 0.5))
    loader = TrainingLoader(
        SeededSamples(Items(values), transform, seed=4),
        batch_size,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    numbers = {"momentum": 0.9, "log_every": 1, "checkpoint_every": 1}
    numbers |= {"max_steps": STEPS, "keep_checkpoints": 10}
    run = TrainingSettings(**{**numbers, **settings})
    if stop_at < STEPS:
        _stop_before(method, stop_at)
    train(method, loader, run, output_dir, fabric=fabric)
    return method


class Stopped(RuntimeError):
    """The run was broken off on purpose."""


def _stop_before(method: Method, step_to_break: int) -> None:
    forward = method.forward

    def broken(batch: Any, step: int) -> Any:
        if step == step_to_break:
            raise Stopped
        return forward(batch, step)

    method.forward = broken  # type: ignore[method-assign]


if __name__ == "__main__":
    for kind in sys.argv[2:]:
        train_method(Path(sys.argv[1]) / kind, kind, batch_size=2)
