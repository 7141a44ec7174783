"""Benchmark of the export: images a second for each format, beside the encoder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from leopart_kit.backbones import load_encoder
from leopart_kit.data import load_dataset
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.masks import (
    ClassTable,
    ExportSettings,
    LabelledImage,
    PartModel,
    export_masks,
    label_map,
    part_classes,
)
from leopart_kit.masks.export import Format
from leopart_kit.masks.label_maps import Upsampling

SIZE = (375, 500)


def bench_export(images: int = 24, clusters: int = 50) -> Iterator[str]:
    """Cluster maps of drawn scenes, 32 × 32 patches each, exported at 500 × 375 pixels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = load_dataset("scenes", folder / "scenes", "val", num_images=images)
        encoder = load_encoder("handcrafted", patch_size=14)
        store = extract_features(encoder, dataset, cache_dir=folder / "features")
        model = PartModel.fit(
            store.chunks, clusters, encoder=encoder, resolution=(448, 448), num_restarts=1
        )
        table = part_classes(model)
        yield f"export: {images} scenes at {SIZE[1]} × {SIZE[0]}, K = {clusters}, images/s/core"
        for upsampling in get_args(Upsampling):
            start = time.process_time()
            labelled = list(_labelled(store, model, table, upsampling))
            seconds = time.process_time() - start
            found = np.mean([len(np.unique(image.labels)) for image in labelled])
            yield f"  labels, {upsampling:8} {images / seconds:6.1f}  {found:.0f} classes an image"
            for kind in get_args(Format):
                start = time.process_time()
                summary = export_masks(labelled, images, table, folder, ExportSettings((kind,)))
                writing = time.process_time() - start
                yield (
                    f"    {kind:14} {images / writing:6.1f}  with labels "
                    f"{images / (writing + seconds):6.1f}  "
                    f"{summary.num_regions / images:.0f} regions an image"
                )


def _labelled(
    store: FeatureStore, model: PartModel, table: ClassTable, upsampling: Upsampling
) -> Iterator[LabelledImage]:
    for index in store.indices.tolist():
        tokens = torch.from_numpy(store.tokens[index].astype(np.float32)).unflatten(0, store.grid)
        labels = label_map(model, table, tokens, SIZE, 14, upsampling)
        yield LabelledImage(f"{index:04d}", Path(f"{index:04d}.jpg"), f"{index:04d}.jpg", labels)
