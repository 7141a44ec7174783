"""Benchmark of in-context segmentation: search and transfer beside the extraction they follow."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.backbones import load_encoder
from leopart_kit.bench.machine import fastest
from leopart_kit.clustering.nearest_neighbours import nearest_neighbours
from leopart_kit.evaluation import FeatureStore
from leopart_kit.evaluation.protocols.in_context.labels import transfer_labels
from leopart_kit.evaluation.protocols.in_context.memory import BLOCK_ROWS, Memory

SIDE, PATCHES, DIM, CLASSES = 448, 32 * 32, 384, 21
TRAIN, VAL, MEMORY = 240, 120, 102_400


def bench_in_context(images: int = 8, batch_size: int = 4) -> Iterator[str]:
    """Seconds for 240 + 120 images, from a few of them: fp32 extraction, search, transfer."""
    encoder = load_encoder("dinov2_vits14", weights="random").eval()
    pixels = torch.randint(0, 256, (batch_size, 3, SIDE, SIDE), dtype=torch.uint8)
    prepared = encoder.preprocess(pixels)
    with torch.inference_mode():
        extraction = fastest(lambda: encoder.patch_tokens(prepared), 2) / batch_size
    extraction *= TRAIN + VAL
    memory, queries = _tokens(MEMORY, 0), _tokens(images * PATCHES, 1)
    labels = F.one_hot(torch.randint(CLASSES, (MEMORY,)), CLASSES).float()
    start = time.perf_counter()
    similarities, rows = nearest_neighbours(queries, [memory], 30)
    searched = time.perf_counter()
    for near, places in zip(similarities.split(PATCHES), rows.split(PATCHES), strict=True):
        transfer_labels(near, labels[places], 0.02)
    done = time.perf_counter()
    search, transfer = ((b - a) * VAL / images for a, b in ((start, searched), (searched, done)))
    yield (
        f"in-context: {TRAIN} + {VAL} images at {SIDE} px, ViT-S/14, memory {MEMORY:,}, "
        f"{torch.get_num_threads()} threads"
    )
    yield f"  extraction, fp32  {extraction:8.1f} s"
    yield f"  search            {search:8.1f} s"
    yield f"  transfer          {transfer:8.1f} s"
    yield f"  ratio             {(search + transfer) / extraction:8.2f}"
    yield from _blocks()


def _blocks() -> Iterator[str]:
    """Seconds to make a block of a large memory ready, which each group of images costs."""
    tokens, generator = _tokens(3 * BLOCK_ROWS, 3).half().numpy(), np.random.default_rng(0)
    rows = np.sort(generator.permutation(len(tokens))[: 2 * BLOCK_ROWS])
    none = np.zeros((len(rows), CLASSES), np.uint16)
    with tempfile.TemporaryDirectory() as name:
        np.save(Path(name) / "tokens.npy", tokens.reshape(-1, PATCHES, DIM))
        np.save(Path(name) / "status.npy", np.ones(len(tokens) // PATCHES, np.uint8))
        store = FeatureStore(Path(name), (32, 32))
        memory = Memory([store], rows, none, np.zeros(CLASSES, np.int64))
        ours = fastest(lambda: list(memory.blocks()), 3) / 2
        block = rows[:BLOCK_ROWS]
        whole = fastest(lambda: F.normalize(torch.from_numpy(tokens[block]).float(), dim=1), 3)
    yield f"  a block of {BLOCK_ROWS:,} made ready {ours:6.3f} s, as one array {whole:6.3f} s"
    yield f"  ratio             {whole / ours:8.2f}"


def _tokens(count: int, seed: int) -> Tensor:
    """Unit vectors about as close to each other as patch tokens: near a few hundred directions."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(300, DIM, generator=torch.Generator().manual_seed(2)) + 1.2
    which = torch.randint(len(centres), (count,), generator=generator)
    return F.normalize(centres[which] + 0.8 * torch.randn(count, DIM, generator=generator), dim=1)
