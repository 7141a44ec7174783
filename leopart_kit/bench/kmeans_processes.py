"""Benchmark of k-means on points in a mapped file: memory, time by points, and two processes.

Every measurement is a run of this module with processes of its own, of one thread each. Beside the
seconds on the wall stands the CPU time of the process with most of it: on a busy machine it says
how the work is divided, without what others took.
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
_KINDS = ("wall", "CPU")


def bench_kmeans_large(
    millions: tuple[int, ...] = (1, 4, 20), iterations: int = 2
) -> Iterator[str]:
    """Seconds an iteration and a million points, and anonymous memory, of one process."""
    yield f"k-means in a mapped file: {_DIM} dimensions, K = {_CLUSTERS}, 1 process of 1 thread"
    with tempfile.TemporaryDirectory() as folder:
        file = _write_points(Path(folder) / "points.npy", max(millions) * 10**6)
        for number in millions:
            found = _measure(file, number * 10**6, 1, iterations)
            wall, cpu = (found[f"{kind} iteration"] / number for kind in _KINDS)
            yield (
                f"  {number:3} million   an iteration and million: {wall:6.3f} s, CPU {cpu:6.3f} s"
                f"   whole fit {found['wall fit']:7.1f} s   anonymous {found['memory']:5.0f} MiB"
            )


def bench_kmeans_processes(points: int = 2_000_000, iterations: int = 8) -> Iterator[str]:
    """Two processes that share the points against one."""
    yield f"k-means by processes: {points:,} × {_DIM}, K = {_CLUSTERS}, 1 thread each"
    with tempfile.TemporaryDirectory() as folder:
        file = _write_points(Path(folder) / "points.npy", points)
        one, two = (_measure(file, points, count, iterations) for count in (1, 2))
    for part in (f"{kind} {part}" for part in ("starts", "iteration", "fit") for kind in _KINDS):
        ratio = one[part] / two[part]
        yield f"  {part:14} 1: {one[part]:7.2f} s   2: {two[part]:7.2f} s   ratio {ratio:5.2f}"
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
    """Seconds of each loop by its name, as a progress bar sees them, on the wall and of the CPU."""

    def __init__(self) -> None:
        self.seconds: dict[str, np.ndarray] = {}

    def __call__(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        start = _clocks()
        yield from items
        self.seconds[description] = _clocks() - start


def _clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


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
    start = _clocks()
    with anonymous_memory() as memory:
        kmeans.fit(x[processes.part(len(x), BLOCK)])
    laps.seconds["fit"] = _clocks() - start
    seconds = {
        "starts": laps.seconds["k-means starts"],
        "iteration": laps.seconds["k-means"] / int(iterations),
        "fit": laps.seconds["fit"],
    }
    found = {
        f"{kind} {part}": max(processes.gather(float(both[place])))
        for part, both in seconds.items()
        for place, kind in enumerate(_KINDS)
    }
    found |= {"memory": max(processes.gather(memory.peak_mb)), "inertia": kmeans.inertia}
    if processes.first:
        print(json.dumps({**found, "first": kmeans.centroids[0].tolist()}))


if __name__ == "__main__":
    _run(*sys.argv[1:])
