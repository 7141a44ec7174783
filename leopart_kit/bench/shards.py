"""Seconds and memory to open a list and tars of many images, the first time and later."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from leopart_kit.bench.machine import anonymous_memory
from leopart_kit.data import SegmentationDataset, load_dataset

IMAGES, TARS = 100_000, 20


def bench_shards() -> Iterator[str]:
    """Beside a folder of the same images, which is walked every time."""
    yield f"shards: {IMAGES:,} empty images; seconds and MiB of anonymous memory to open them"
    with TemporaryDirectory() as name:
        folder = Path(name)
        names = [f"{row // 1000:03d}/{row:06d}" for row in range(IMAGES)]
        _write(folder, names)
        for kind, root in (("folder", "images"), ("list", "list.txt"), ("webdataset", "tars")):
            for when in ("first", "later"):
                said = _measured(
                    lambda kind=kind, root=root: load_dataset(kind, folder / root, "all")
                )
                yield f"  {kind:12} {when:6} {said}"


def _write(folder: Path, names: list[str]) -> None:
    for name in names:
        file = folder / f"images/{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (folder / "list.txt").write_text("".join(f"images/{name}.png\n" for name in names))
    (folder / "tars").mkdir()
    for part in range(TARS):
        with tarfile.open(folder / f"tars/{part:03d}.tar", "w") as tar:
            for name in names[part::TARS]:
                tar.addfile(tarfile.TarInfo(f"{name}.png"), io.BytesIO())


def _measured(load: Callable[[], SegmentationDataset]) -> str:
    with anonymous_memory() as memory:
        before, start = memory.peak_mb, time.perf_counter()
        while not before:  # until the thread has looked once
            before, start = memory.peak_mb, time.perf_counter()
        dataset = load()
        taken = time.perf_counter() - start
        time.sleep(0.05)
    return f"{taken:8.3f} s {memory.peak_mb - before:8.1f} MiB ({len(dataset):,} images)"
