"""Benchmark of k-means on points in a mapped file: memory, time by points, and two processes.

Every measurement is a run of this module with processes of its own, of one thread each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from leopart_kit.bench.machine import anonymous_memory
from leopart_kit.clustering import KMeans
from leopart_kit.clustering.lloyd import BLOCK
from leopart_kit.mapped_array import mapped_array
from leopart_kit.processes import join_processes

T = TypeVar("T")

_DIM, _CLUSTERS, _CHUNK = 50, 1000, 1 << 18


def bench_kmeans_large(
    millions: tuple[int, ...] = (1, 4, 20), iterations: int = 2
) -> Iterator[str]:
    """Seconds an iteration and a million points, and anonymous memory, of one process."""
    yield f"k-means in a mapped file: {_DIM} dimensions, K = {_CLUSTERS}, 1 process of 1 thread"
    with tempfile.TemporaryDirectory() as folder:
        file = _write_points(Path(folder) / "points.npy", max(millions) * 10**6)
        for number in millions:
            found = _measure(file, number * 10**6, 1, iterations)
            yield (
                f"  {number:3} million  {found['iteration'] / number:7.3f} s an iteration and "
                f"million   whole fit {found['fit']:7.1f} s   anonymous {found['memory']:5.0f} MiB"
            )


def bench_kmeans_processes(points: int = 2_000_000, iterations: int = 8) -> Iterator[str]:
    """Two processes that share the points against one."""
    yield f"k-means by processes: {points:,} × {_DIM}, K = {_CLUSTERS}, 1 thread each"
    with tempfile.TemporaryDirectory() as folder:
        file = _write_points(Path(folder) / "points.npy", points)
        one, two = (_measure(file, points, count, iterations) for count in (1, 2))
    for part in ("starts", "iteration", "fit"):
        ratio = one[part] / two[part]
        yield f"  {part:10} 1: {one[part]:7.2f} s   2: {two[part]:7.2f} s   ratio {ratio:5.2f}"
    yield f"  inertia differs by {abs(two['inertia'] / one['inertia'] - 1):.1e}"
    yield f"  centroids differ by {np.abs(np.subtract(two['first'], one['first'])).max():.1e}"


def _write_points(file: Path, number: int) -> Path:
    """Overlapping groups whose dimensions decay, as PCA leaves patch tokens."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.arange(1, _DIM + 1).pow(-0.5)
    centres = torch.randn(2 * _CLUSTERS, _DIM, generator=generator) * scale * 3
    points = mapped_array(file, (number, _DIM), np.float32)
    for start in range(0, number, _CHUNK):
        rows = points[start : start + _CHUNK]
        which = torch.randint(len(centres), (len(rows),), generator=generator)
        noise = torch.randn(len(rows), _DIM, generator=generator) * scale
        rows[:] = (centres[which] + noise).numpy()
    return file


def _measure(file: Path, points: int, processes: int, iterations: int) -> dict[str, Any]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *launcher, "-m", __name__, str(file), str(points), str(iterations)]
    done = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


class _Laps:
    """Seconds of each loop by its name, as a progress bar sees them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        start = time.perf_counter()
        yield from items
        self.seconds[description] = time.perf_counter() - start


def _run(file: str, points: str, iterations: str) -> None:
    """One fit by the processes of a launcher; the first prints what was measured."""
    processes, laps = join_processes(), _Laps()
    x = torch.from_numpy(np.load(file, mmap_mode="c"))[: int(points)]
    kmeans = KMeans(
        _CLUSTERS,
        num_iterations=int(iterations),
        num_restarts=2,
        tolerance=0,
        track=laps,
        processes=processes,
    )
    start = time.perf_counter()
    with anonymous_memory() as memory:
        kmeans.fit(x[processes.part(len(x), BLOCK)])
    fit = time.perf_counter() - start
    found = {
        "fit": fit,
        "starts": laps.seconds["k-means starts"],
        "iteration": laps.seconds["k-means"] / int(iterations),
        "memory": max(processes.gather(memory.peak_mb)),
        "inertia": kmeans.inertia,
        "first": kmeans.centroids[0].tolist(),
    }
    if processes.first:
        print(json.dumps(found))


if __name__ == "__main__":
    _run(*sys.argv[1:])
