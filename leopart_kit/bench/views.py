"""Benchmark of the views that one core draws: finished at once, or on the device that trains."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image
from torch.utils.data import default_collate

from leopart_kit.bench.machine import fastest
from leopart_kit.bench.scaling import decoding_seconds
from leopart_kit.data import MultiCropTransform
from leopart_kit.data.image_files import LeastImage, read_at_least
from leopart_kit.data.unfinished_views import finish_view, finish_views, leave_unfinished


def bench_views(images: int = 32) -> Iterator[str]:
    """Decoding and views of photographs of 500 × 375 px, 2 × 224 + 4 × 96 px, on one core."""
    torch.set_num_threads(1)
    photographs = torch.randint(0, 256, (images, 3, 375, 500), dtype=torch.uint8)
    decoding = decoding_seconds()
    yield "views: 500 × 375 px, 2 × 224 + 4 × 96 px, one core"
    yield f"  decoded            {1000 * decoding:6.1f} ms an image"
    drawn = {}
    for name, end in (("at once", finish_view), ("left", leave_unfinished)):
        transform = MultiCropTransform(local_size=96, end=end)

        def draw(transform: MultiCropTransform = transform) -> list[object]:
            torch.manual_seed(0)
            return [transform(photograph) for photograph in photographs]

        drawn[name] = fastest(draw, 3) / images
        size = len(pickle.dumps(draw()[0])) / 2**10
        rate = 1 / (decoding + drawn[name])
        yield (
            f"  {name:18} {1000 * drawn[name]:6.1f} ms an image, {size:5,.0f} KiB, "
            f"{rate:5.1f} images/s with decoding"
        )
    batch = default_collate(draw())
    finishing = fastest(lambda: finish_views(batch), 3) / images
    yield f"  finished later     {1000 * finishing:6.1f} ms an image on this core"
    yield f"  ratio              {drawn['at once'] / drawn['left']:6.2f}"
    yield from _of_a_large_photograph()


def _of_a_large_photograph(width: int = 4000, height: int = 3000) -> Iterator[str]:
    """Read whole, and no larger than the views need it."""
    transform = MultiCropTransform(local_size=96, end=leave_unfinished)
    noise = torch.randint(0, 256, (height // 8, width // 8, 3), dtype=torch.uint8)
    seconds = {}
    yield f"views: the same of a JPEG of {width} × {height} px, read and drawn"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "photograph.jpg"
        Image.fromarray(noise.numpy()).resize((width, height)).save(path, quality=90)
        for name, least in (("whole", LeastImage()), ("as needed", transform.least_image)):
            seconds[name] = fastest(lambda least=least: transform(read_at_least(path, least)), 5)
            yield f"  {name:18} {1000 * seconds[name]:6.1f} ms an image"
    yield f"  ratio              {seconds['whole'] / seconds['as needed']:6.2f}"
