"""Bytes and seconds of large runs, from rates: those of this machine, and those of a data sheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from leopart_kit.backbones import load_encoder
from leopart_kit.backbones.precision import Precision
from leopart_kit.bench.machine import fastest, vit_flops
from leopart_kit.clustering import KMeans
from leopart_kit.clustering.nearest_neighbours import nearest_neighbours
from leopart_kit.data import MultiCropTransform
from leopart_kit.evaluation.scores.resizing import resize_image
from leopart_kit.launch import own_cores

SIDE, PATCH, DIM, DEPTH = 448, 14, 384, 12  # ViT-S/14 at the resolution of the protocols
TOKENS = (SIDE // PATCH) ** 2
PROJECTED, CLUSTERS, ITERATIONS = 50, 500, 20
MEMORY, QUERY_IMAGES = 10_240_000, 1_449  # in-context on Pascal VOC val


@dataclass(frozen=True)
class Rates:
    """Rates of one device and of the cores that feed it.

    Attributes:
        name: of the device, and where its rates come from.
        network: FLOP/s of a ViT's forward pass.
        products: FLOP/s of k-means in few dimensions.
        search: FLOP/s of a nearest-neighbour search among whole tokens.
        images: JPEGs decoded and resized a second.
        views: images a second of which the views of a training step are drawn.
        reading: bytes a second at which projected tokens come from memory or disk.
    """

    name: str
    network: float
    products: float
    search: float
    images: float
    views: float
    reading: float


H100 = Rates(
    # NVIDIA's data sheet of the SXM card: 989 TFLOP/s in bf16, 495 in TF32, without sparsity.
    # Assumed: 40 % of them for networks and search, 10 % for k-means in 50 dimensions; 8 cores feed
    # a card, each with 200 images or their views, which the card finishes; points come from disk at
    # 3 GB/s.
    "H100, assumed",
    network=0.4 * 989e12,
    products=0.1 * 495e12,
    search=0.4 * 495e12,
    images=8 * 200,
    views=8 * 200,
    reading=3e9,
)


@dataclass(frozen=True)
class Workload:
    """A number of images of `TOKENS` patches each."""

    name: str
    images: int

    @property
    def patches(self) -> int:
        return self.images * TOKENS


WORKLOADS = (
    Workload("COCO train2017", 118_287),
    Workload("ImageNet-1k", 1_281_167),
    Workload("10⁹ patches", 10**9 // TOKENS),
    Workload("10¹⁰ patches", 10**10 // TOKENS),
)


@dataclass(frozen=True)
class Estimate:
    """Bytes on disk, and seconds of each stage on a number of devices."""

    tokens: float
    projected: float
    features: float
    kmeans: float
    in_context: float
    epoch: float
    features_bound: str
    kmeans_bound: str
    epoch_bound: str


def estimate(work: Workload, rates: Rates, devices: int) -> Estimate:
    """Every stage divided by the devices: each has its own images, points or queries.

    Adding sums of `[K, d]` over devices is left out: it is 200 KB an iteration.
    """
    forward = vit_flops(TOKENS + 1, DIM, DEPTH, PATCH, TOKENS)
    network, decoding = work.images * forward / rates.network, work.images / rates.images
    products = 2 * work.patches * CLUSTERS * PROJECTED * ITERATIONS / rates.products
    projected = 4 * work.patches * PROJECTED
    reading = projected * ITERATIONS / rates.reading
    # The search takes the same memory whatever is measured.
    search = 2 * QUERY_IMAGES * TOKENS * MEMORY * DIM / rates.search
    # Leopart: the student's forward and backward, the teacher's forward; 2 × 224 + 4 × 98 px.
    views = 2 * _view_flops(224) + 3 * (2 * _view_flops(224) + 4 * _view_flops(98))
    step, drawing = work.images * views / rates.network, work.images / rates.views
    return Estimate(
        tokens=2 * work.patches * DIM,
        projected=projected,
        features=max(network, decoding) / devices,
        kmeans=max(products, reading) / devices,
        in_context=search / devices,
        epoch=max(step, drawing) / devices,
        features_bound="network" if network >= decoding else "decoding",
        kmeans_bound="products" if products >= reading else "reading",
        epoch_bound="network" if step >= drawing else "views",
    )


def _view_flops(side: int) -> float:
    patches = (side // PATCH) ** 2
    return vit_flops(patches + 1, DIM, DEPTH, PATCH, patches)


def measure_rates() -> Rates:
    """Rates of this machine with all the cores and threads of this process."""
    images = torch.randint(0, 256, (4, 3, SIDE, SIDE), dtype=torch.uint8)
    kinds: tuple[Precision, ...] = ("fp32", "bf16")
    seconds = min(_forward_seconds(images, kind) for kind in kinds) / len(images)
    points = torch.randn(100_000, PROJECTED, generator=torch.Generator().manual_seed(0))
    clustering = KMeans(CLUSTERS, seed=0, num_restarts=1, num_iterations=1).fit(points[:20_000])
    assigning = fastest(lambda: clustering.predict(points), 3)
    queries, memory = torch.randn(2048, DIM), torch.randn(20_000, DIM)
    searching = fastest(lambda: nearest_neighbours(queries, [memory], 30), 3)
    transform = MultiCropTransform()
    photograph = torch.randint(0, 256, (3, 375, 500), dtype=torch.uint8)
    return Rates(
        f"{own_cores()} cores of this machine",
        network=vit_flops(TOKENS + 1, DIM, DEPTH, PATCH, TOKENS) / seconds,
        products=2 * len(points) * CLUSTERS * PROJECTED / assigning,
        search=2 * len(queries) * len(memory) * DIM / searching,
        images=own_cores() / decoding_seconds(),
        views=own_cores() / (decoding_seconds() + fastest(lambda: transform(photograph), 5)),
        reading=points.numel() * 4 / fastest(lambda: points.clone(), 5),
    )


def _forward_seconds(images: torch.Tensor, precision: Precision) -> float:
    encoder = load_encoder("dinov2_vits14", weights="random", precision=precision).eval()
    pixels = encoder.preprocess(images)
    with torch.inference_mode():
        return fastest(lambda: encoder.patch_tokens(pixels), 2)


def decoding_seconds(width: int = 500, height: int = 375) -> float:
    """One JPEG of the usual size of Pascal VOC and ImageNet, to a tensor of the encoder's side."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize((width, height)).save(file, "JPEG", quality=90)

    def load() -> torch.Tensor:
        with Image.open(BytesIO(file.getvalue())) as image:
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        return resize_image(pixels, (SIDE, SIDE))

    return fastest(load, 10)


def bench_scaling() -> Iterator[str]:
    """Tables of bytes and hours for four sets, on devices like this machine and on GPUs."""
    yield "Bytes on disk, ViT-S/14 at 448 px."
    yield ""
    yield "| set | images | patches | tokens, fp16 | 50 dimensions, fp32 |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for work in WORKLOADS:
        found = estimate(work, H100, 1)
        yield (
            f"| {work.name} | {work.images:,} | {work.patches:.2g} | {_bytes(found.tokens)} | "
            f"{_bytes(found.projected)} |"
        )
    for rates, counts in ((measure_rates(), (1,)), (H100, (1, 8, 64))):
        yield ""
        yield (
            f"{rates.name}: {rates.network / 1e12:.3g} TFLOP/s in networks, "
            f"{rates.products / 1e12:.3g} in k-means, {rates.search / 1e12:.3g} in searches. "
            f"A second: {rates.images:,.0f} images decoded, views drawn of {rates.views:,.0f}, "
            f"{rates.reading / 1e9:.3g} GB read."
        )
        yield ""
        yield (
            "| set | devices | features | k-means | in-context | an epoch of Leopart | "
            "device hours | features, k-means, epoch bound by |"
        )
        yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
        for work in WORKLOADS:
            for devices in counts:
                yield _row(work, estimate(work, rates, devices), devices)


def _row(work: Workload, found: Estimate, devices: int) -> str:
    stages = found.features, found.kmeans, found.in_context, found.epoch
    hours = devices * sum(stages) / 3600
    bounds = f"{found.features_bound}, {found.kmeans_bound}, {found.epoch_bound}"
    times = " | ".join(map(_time, stages))
    return f"| {work.name} | {devices} | {times} | {hours:,.3g} | {bounds} |"


def _time(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _bytes(number: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e6:.3g} MB"
