"""A real Leopart on a tiny vision transformer, and a program that trains it in two processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leopart_kit.backbones.vit import ViTEncoder
from leopart_kit.data import AnchoredTransform, MultiCropTransform
from leopart_kit.methods import (
    AnchoredLeopart,
    AnchoredSettings,
    Leopart,
    LeopartSettings,
    LinearProjection,
    Method,
    NeCo,
    NeCoSettings,
    PaKA,
    PaKASettings,
    PatchEmbedder,
    TokenAnchor,
    student_of,
)
from leopart_kit.training import (
    SeededSamples,
    TrainingLoader,
    TrainingSettings,
    build_fabric,
    train,
)
from tests.methods.tiny_clusterer import DIM, patchy_images, tiny_clusterer, tiny_vit

NUM_IMAGES = 10
VIEWS = MultiCropTransform(32, 16, num_local=1, flip_probability=0.5)


class Images:
    """Ten images, the same at each call; with their tokens if an encoder is given."""

    def __init__(self, tokens: Tensor | None = None) -> None:
        self.images = patchy_images(NUM_IMAGES)
        self.tokens = tokens

    def __len__(self) -> int:
        return NUM_IMAGES

    def __getitem__(self, index: int) -> Any:
        image = self.images[index]
        return image if self.tokens is None else (image, self.tokens[index])


def train_tiny(output_dir: Path, kind: str, batch_size: int) -> Method:
    """Six steps; `kind` is the foreground of Leopart, "neco", "paka" or "anchored".

    "block" and "key" are PaKA on the output of the last block but one, and on the last one's keys.
    """
    fabric = build_fabric("cpu")
    if kind in ("neco", "paka", "block", "key"):
        method, samples = _paired(kind), SeededSamples(Images(), VIEWS, seed=4)
    elif kind == "anchored":
        method, samples = _anchored(first=fabric.is_global_zero)
    else:
        settings: Mapping[str, Any] = {"foreground": kind, "foreground_mass": 0.8}
        method = Leopart(
            tiny_clusterer(),
            LeopartSettings(
                backbone_learning_rate=1e-3,
                head_learning_rate=3e-3,
                queue_length=0,
                roi_size=3,
                **settings,
            ),
        )
        samples = SeededSamples(Images(), VIEWS, seed=4)
    loader = TrainingLoader(
        samples, batch_size, rank=fabric.global_rank, world_size=fabric.world_size
    )
    numbers = TrainingSettings(max_steps=6, momentum=0.9, log_every=1)
    train(method, loader, numbers, output_dir, fabric=fabric)
    return method


def _paired(kind: str) -> Method:
    """NeCo with references from the global batch, or PaKA; Gram anchoring beside them."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        encoder = tiny_vit()
        if kind in ("block", "key"):
            part: Mapping[str, Any] = {"block": -2} if kind == "block" else {"facet": "key"}
            look = {"name": "tiny", "mean": encoder.mean, "std": encoder.std}
            encoder = ViTEncoder(encoder.vit, **look, **part)
        student = PatchEmbedder(encoder, LinearProjection(DIM, 8))
    numbers: Mapping[str, Any] = {
        "backbone_learning_rate": 1e-3,
        "head_learning_rate": 3e-3,
        "roi_size": 3,
        "gram_weight": 1.0,
    }
    if kind == "neco":
        return NeCo(student, NeCoSettings(steepness=10, **numbers))
    return PaKA(student, PaKASettings(**numbers))


def _anchored(first: bool) -> tuple[Method, SeededSamples]:
    """Only the first process fits the anchor; the others receive it."""
    encoder = tiny_vit()
    with torch.no_grad():
        tokens = encoder.patch_tokens(encoder.preprocess(patchy_images(NUM_IMAGES)))
    tokens = tokens.permute(0, 2, 3, 1)
    if first:
        rows = tokens.flatten(0, 2)
        anchor = TokenAnchor.fit(lambda: iter(rows.split(100)), 5, projection_dim=6)
    else:
        anchor = TokenAnchor.empty(DIM, 5, 6, epsilon=0.05)
    settings = AnchoredSettings(
        backbone_learning_rate=1e-3, head_learning_rate=3e-3, trained_blocks=None
    )
    method = AnchoredLeopart(student_of(anchor, encoder), anchor, settings)
    return method, SeededSamples(Images(tokens), AnchoredTransform(VIEWS), seed=4)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        own = train_tiny(Path(sys.argv[1]) / name, name, batch_size=2)
        if name == "anchored":
            torch.save(own.state_dict(), f"{sys.argv[1]}/anchored_{os.environ['RANK']}.pt")
