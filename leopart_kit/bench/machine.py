"""The machine's matrix products a second; time and memory of a function."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F


def fastest(function: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of `repeats` calls after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def gemm_rate(dtype: torch.dtype, size: int = 4096, repeats: int = 5) -> float:
    """FLOP/s of a square matrix product, the bound that networks are compared with."""
    a, b = torch.randn(2, size, size, dtype=dtype).unbind()
    with torch.inference_mode():
        return 2 * size**3 / fastest(lambda: F.linear(a, b), repeats)


def vit_flops(
    tokens: int, dim: int, depth: int, patch_size: int, patches: int, mlp_ratio: float = 4.0
) -> float:
    """FLOPs of one image through a ViT: all matrix products, attention included."""
    block = 2 * tokens * dim * dim * (4 + 2 * mlp_ratio) + 4 * tokens * tokens * dim
    return depth * block + 2 * patches * 3 * patch_size**2 * dim


@dataclass
class AnonymousMemory:
    """Largest anonymous memory seen in MiB: what cannot be given back to a mapped file."""

    peak_mb: float = 0.0


@contextmanager
def anonymous_memory(interval: float = 0.02) -> Iterator[AnonymousMemory]:
    """Watch the anonymous memory of this process from a thread (Linux)."""
    seen, done = AnonymousMemory(), threading.Event()

    def watch() -> None:
        while not done.is_set():
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    seen.peak_mb = max(seen.peak_mb, int(line.split()[1]) / 1024)
            done.wait(interval)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
