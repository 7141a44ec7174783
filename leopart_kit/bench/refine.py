"""Benchmark of refinement: images a second on one core, by the number of labels in the image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from leopart_kit.data.scenes.generator import SceneGenerator
from leopart_kit.masks.dense_crf import dense_crf_available
from leopart_kit.masks.refine import REFINEMENTS, refine

# Labels in one image: 2 or 3 of Pascal VOC's classes, 7 of Cityscapes' 27, 20 clusters.
LABEL_COUNTS = (2, 3, 7, 20)
PATCHES = 32  # a side: 448 px in patches of 14


def bench_refine(height: int = 375, width: int = 500, repeats: int = 3) -> Iterator[str]:
    """Seconds and images a second of both refinements from a map of 32 × 32 patches."""
    image = SceneGenerator((height, width)).scene(0).image
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield f"refine: {width} × {height} pixels, one core"
    try:
        for method in REFINEMENTS:
            if method == "dense_crf" and not dense_crf_available():
                yield f"  {method:14}  not installed: pip install 'leopart-kit[crf]'"
                continue
            for number in LABEL_COUNTS:
                labels = np.repeat(np.arange(PATCHES)[None] * number // PATCHES, PATCHES, axis=0)
                seconds = _cpu_seconds(lambda m=method, x=labels: refine(image, x, m), repeats)
                yield (
                    f"  {method:14}  {number:2} labels  {seconds:6.3f} s  "
                    f"{1 / seconds:6.1f} images a second"
                )
    finally:
        cv2.setNumThreads(threads)


def _cpu_seconds(function: Callable[[], object], repeats: int) -> float:
    """Processor time of the fastest call: what a core of one's own would take."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)
