"""Figures of one card, against the aims: extraction, a training step, k-means, waits, NCCL.

`python tools/bench.py gpu` takes a few minutes, makes its own images, and ends with one line of
JSON. `--small` runs a few images on whatever device there is, to see that it runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image

from leopart_kit.backbones import load_encoder
from leopart_kit.bench.gpu_step import steps_of_leopart
from leopart_kit.clustering import KMeans
from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.evaluation import extract_features
from leopart_kit.launch import own_cores


@dataclass(frozen=True)
class Sizes:
    """Sizes of what is measured; the defaults are those that the aims are stated for."""

    images: int = 1449
    side: int = 448
    batch: int = 64
    training_batch: int = 32
    steps: int = 40
    points: int = 1_500_000
    dim: int = 50
    clusters: int = 500
    encoder: str = "dino_vits16"


SMALL = Sizes(6, 64, 2, 2, 3, 5_000, 8, 10, "vitti16")


@dataclass(frozen=True)
class Figure:
    """One figure, and what it is to reach: at least or at most so much."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def line(self) -> str:
        """A row of the table."""
        aim = f"at least {self.at_least:g}" if self.at_least is not None else ""
        aim = f"at most {self.at_most:g}" if self.at_most is not None else aim
        return f"  {self.name:38} {self.value:10.2f} {self.unit:18} {aim}".rstrip()


def bench_gpu(small: bool = False) -> Iterator[str]:
    """A table row by row as the figures come, and then all of them as JSON."""
    cuda = torch.cuda.is_available()
    if not cuda and not small:
        yield "gpu: PyTorch finds no CUDA device here; --small runs a few images on the CPU"
        return
    device = torch.device("cuda" if cuda else "cpu")
    card = torch.cuda.get_device_name() if cuda else "CPU"
    sizes = SMALL if small else Sizes()
    yield f"gpu: {card}, PyTorch {torch.__version__}, {own_cores()} cores" + " (small)" * small
    figures: list[Figure] = []
    with TemporaryDirectory() as name:
        dataset = _photographs(Path(name) / "images", sizes.images)
        for measure in (_extraction, _training, _kmeans, _all_reduce):
            for figure in measure(sizes, device, dataset, Path(name)):
                if small:  # the aims are those of a card
                    figure = replace(figure, at_least=None, at_most=None)
                figures.append(figure)
                yield figure.line
    report = {"card": card, "torch": torch.__version__, "small": small, "cores": own_cores()}
    yield json.dumps({**report, "figures": [asdict(figure) for figure in figures]})


def _photographs(folder: Path, number: int) -> SegmentationDataset:
    """JPEGs of 500 × 375 px with the detail of photographs, about 60 kB each."""
    folder.mkdir(parents=True)

    def write(index: int) -> None:
        rng = np.random.default_rng(index)
        coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC))
        grain = rng.normal(0, 9, (375, 500, 1))
        pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:05d}.jpg", quality=90)

    with ThreadPoolExecutor(own_cores()) as pool:
        list(pool.map(write, range(number)))
    return load_dataset("folder", folder, "all")


def _extraction(
    sizes: Sizes, device: torch.device, dataset: SegmentationDataset, folder: Path
) -> Iterator[Figure]:
    """A store of all images, decoding included; a first one of a few warms up."""
    cuda = device.type == "cuda"
    encoder = load_encoder(sizes.encoder, "random", precision="bf16" if cuda else "fp32")
    workers = own_cores() if cuda else 0
    seconds = 0.0
    for part in (range(min(len(dataset), 2 * sizes.batch)), range(len(dataset))):
        start = time.perf_counter()
        extract_features(
            encoder,
            dataset,
            cache_dir=folder / f"features{len(part)}-{int(seconds > 0)}",
            resolution=(sizes.side, sizes.side),
            indices=part,
            batch_size=sizes.batch,
            num_workers=workers,
            device=device,
        )
        seconds = time.perf_counter() - start
    rate = len(dataset) / seconds
    yield Figure(f"extraction, {encoder.precision}, JPEG to disk", rate, "images/s", at_least=1000)


def _training(
    sizes: Sizes, device: torch.device, dataset: SegmentationDataset, folder: Path
) -> Iterator[Figure]:
    """Steps on batches from the loader, and on one that lies ready."""
    fed, ready = (
        steps_of_leopart(
            sizes.encoder,
            dataset,
            device,
            folder / f"training{int(repeated)}",
            batch_size=sizes.training_batch,
            steps=sizes.steps,
            repeated=repeated,
        )
        for repeated in (False, True)
    )
    yield Figure("Leopart step, batch ready", ready.images_per_second, "images/s")
    yield Figure("Leopart step with its loader", fed.images_per_second, "images/s")
    share = 100 * fed.images_per_second / ready.images_per_second
    yield Figure("with the loader against without", share, "%", at_least=80)
    if ready.waits is not None:
        yield Figure("waits of the host", ready.waits, "a step", at_most=3)


def _kmeans(sizes: Sizes, device: torch.device, *_: object) -> Iterator[Figure]:
    """A whole fit of overlapping clusters on points that lie on the device."""
    generator = torch.Generator(device).manual_seed(0)
    scale = torch.arange(1, sizes.dim + 1, device=device).pow(-0.5)
    shape = (2 * sizes.clusters, sizes.dim)
    centres = torch.randn(shape, generator=generator, device=device) * scale * 3
    which = torch.randint(len(centres), (sizes.points,), generator=generator, device=device)
    noise = torch.randn(sizes.points, sizes.dim, generator=generator, device=device)
    points = centres[which] + noise * scale
    KMeans(sizes.clusters, seed=1).fit(points[: 20 * sizes.clusters])
    seconds = _seconds(lambda: KMeans(sizes.clusters, seed=0).fit(points), device)
    name = f"k-means {sizes.points:,} × {sizes.dim}, K = {sizes.clusters}"
    yield Figure(name, seconds, "s", at_most=2)


def _all_reduce(sizes: Sizes, device: torch.device, _: object, folder: Path) -> Iterator[Figure]:
    """The backend of several cards with the one process there is."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, init_method=f"file://{folder}/rendezvous", rank=0, world_size=1
    )
    try:
        values = torch.arange(1 << 20, dtype=torch.float32, device=device)
        expected = values.clone()
        dist.all_reduce(values)
        if not torch.equal(values, expected):
            raise RuntimeError(f"{backend} changed the sum of one process")
        seconds = _seconds(lambda: dist.all_reduce(values), device)
    finally:
        dist.destroy_process_group()
    yield Figure(f"{backend}, one process, 4 MiB summed", 1000 * seconds, "ms")


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
