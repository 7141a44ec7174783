"""Benchmarks of evaluation: scoring, k-means, extraction and memory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import torch

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.backbones.precision import Precision
from leopart_kit.bench.machine import anonymous_memory, fastest, gemm_rate, vit_flops
from leopart_kit.clustering import KMeans
from leopart_kit.data import load_dataset
from leopart_kit.evaluation import RunSettings, evaluate
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.metrics import ConfusionMatrix

Lines = Iterator[str]


def bench_scoring(pixels: int = 14_490_000, classes: int = 21, clusters: int = 500) -> Lines:
    """Counting all (class, cluster) pairs at once against a pass over the pixels for each pair."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, classes, pixels, dtype=np.uint8)
    prediction = rng.integers(0, clusters, pixels, dtype=np.int16)
    target_, prediction_ = torch.from_numpy(target), torch.from_numpy(prediction)

    def one_pair() -> int:
        is_class, is_cluster = target == 3, prediction == 17
        pixels = (is_class & is_cluster, is_class & ~is_cluster, ~is_class & is_cluster)
        return sum(int(np.count_nonzero(found)) for found in pixels)

    ours = fastest(lambda: ConfusionMatrix(classes, clusters).update(target_, prediction_), 3)
    loops = fastest(one_pair, 3) * classes * clusters
    yield f"scoring: {pixels:,} pixels, {classes} classes, K = {clusters}"
    yield f"  ConfusionMatrix  {ours:9.3f} s"
    yield f"  loop over pairs  {loops:9.1f} s  (extrapolated from 3 pairs)"
    yield f"  ratio            {loops / ours:9.0f}"


def bench_kmeans(points: int = 120_000, dim: int = 50, clusters: int = 500) -> Lines:
    """Our k-means against faiss with 100 iterations and 5 redos, inertia beside time."""
    x = _overlapping_mixture(points, dim, components=2 * clusters)
    start = time.perf_counter()
    ours = KMeans(clusters, seed=0).fit(x)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    theirs = faiss.Kmeans(dim, clusters, niter=100, nredo=5, seed=0, max_points_per_centroid=256)
    theirs.train(x.numpy())
    faiss_seconds = time.perf_counter() - start
    distances, _ = theirs.index.search(x.numpy(), 1)
    inertia = float(distances.sum(dtype=np.float64))
    yield f"k-means: {points:,} × {dim}, K = {clusters}, {torch.get_num_threads()} threads"
    yield f"  ours             {seconds:9.2f} s  inertia {ours.inertia:.6g}"
    yield f"  faiss, 5 redos   {faiss_seconds:9.2f} s  inertia {inertia:.6g}"
    yield f"  time ratio       {seconds / faiss_seconds:9.2f}"
    yield f"  inertia          {100 * (ours.inertia / inertia - 1):+9.2f} %"


def _overlapping_mixture(points: int, dim: int, components: int) -> torch.Tensor:
    """Points whose clusters overlap and whose dimensions decay, as PCA leaves patch tokens."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.arange(1, dim + 1).pow(-0.5)
    centres = torch.randn(components, dim, generator=generator) * scale * 3
    which = torch.randint(components, (points,), generator=generator)
    return centres[which] + torch.randn(points, dim, generator=generator) * scale


def bench_extraction(batch_size: int = 4, side: int = 448, repeats: int = 4) -> Lines:
    """ViT-S/14 patch tokens in fp32 and bf16 against the machine's rate of matrix products."""
    patches = (side // 14) ** 2
    flops = batch_size * vit_flops(patches + 1, 384, 12, 14, patches)
    images = torch.randint(0, 256, (batch_size, 3, side, side), dtype=torch.uint8)
    yield (
        f"extraction: ViT-S/14, {batch_size} × {side} px, {flops / batch_size / 1e9:.1f} GFLOP an "
        f"image, {torch.get_num_threads()} threads"
    )
    seconds = {}
    kinds: tuple[tuple[Precision, torch.dtype], ...] = (
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
    )
    for precision, dtype in kinds:
        encoder = load_encoder("dinov2_vits14", weights="random", precision=precision).eval()
        pixels = encoder.preprocess(images)
        with torch.inference_mode():
            # The bound before and after: a busy machine changes its speed in between.
            before = gemm_rate(dtype)
            seconds[precision] = fastest(lambda e=encoder, x=pixels: e.patch_tokens(x), repeats)
            bound = max(before, gemm_rate(dtype))
        rate = flops / seconds[precision]
        yield (
            f"  {precision}  {seconds[precision] / batch_size:7.3f} s an image  "
            f"{rate / 1e9:6.0f} GFLOP/s  GEMM {bound / 1e9:6.0f}  share {100 * rate / bound:5.1f} %"
        )
    yield f"  bf16 is {seconds['fp32'] / seconds['bf16']:.2f} times as fast as fp32"


def bench_memory(images: int = 1_449, clusters: int = 500) -> Lines:
    """Anonymous memory of a whole evaluation of Pascal VOC val's size, on generated scenes."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = load_dataset("scenes", Path(folder) / "scenes", "val", num_images=images)
        torch.manual_seed(0)
        project = torch.nn.Conv2d(3, 384, 14, stride=14)
        encoder = Encoder.from_module(
            project, 14, 384, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        )
        protocol = Overclustering(num_clusters=clusters, seeds=(0,), num_restarts=1)
        run = RunSettings(cache_dir=Path(folder) / "features", batch_size=16)
        before = time.perf_counter()
        with anonymous_memory() as memory:
            result = evaluate(encoder, dataset, protocol, run)
        seconds = time.perf_counter() - before
    yield f"memory: {len(result.image_names):,} images × 1,024 tokens × 384, K = {clusters}"
    yield f"  anonymous, peak  {memory.peak_mb:9.0f} MiB"
    yield f"  whole evaluation {seconds:9.0f} s"
