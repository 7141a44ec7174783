"""Classes of every pixel from scores of patches: for scoring, and kept for masks and pictures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from leopart_kit.evaluation.scores.scoring import Scored, Size, itself, score_classes
from leopart_kit.evaluation.task import Task
from leopart_kit.mapped_array import mapped_array
from leopart_kit.processes import Processes


def shared_rows(folder: Path, shape: tuple[int, ...], processes: Processes) -> np.ndarray:
    """uint8 zeros of `shape`, mapped from a file of `folder` that goes with the last of its users.

    Each process sees what the others wrote once they have met again (`Processes.wait`).

    Raises:
        OSError: the disk has too little space; carries the name of the file.
    """

    def create() -> str:
        descriptor, name = tempfile.mkstemp(suffix=".npy", prefix=".rows-", dir=folder)
        os.close(descriptor)
        mapped_array(Path(name), shape, np.uint8)
        return name

    name = processes.once(create)
    rows = np.load(name, mmap_mode="r+")
    processes.wait()
    if processes.first:
        os.unlink(name)  # the mapping stays
    return rows


class PredictedMaps:
    """The classes of an image at any size, by seed; see `scoring.Predict`.

    Args:
        task: whose images are labelled.
        num_images: N.
        map_size: of the maps that are kept.
        scores_of: from the row of an image to its scores of patches, by seed.
        enlarge: from scores and a size to classes int64 `[*size]`.

    Attributes:
        class_maps: uint8 `[N, *map_size]` of the first seed, filled image by image.
    """

    def __init__(
        self,
        task: Task,
        num_images: int,
        map_size: Size,
        scores_of: Callable[[int], Mapping[int, Tensor]],
        enlarge: Callable[[Tensor, Size], Tensor],
    ) -> None:
        self.task, self.map_size = task, map_size
        self.scores_of, self.enlarge = scores_of, enlarge
        shape = (num_images, *map_size)
        self.class_maps = shared_rows(task.cache_dir, shape, task.run.processes)

    def __call__(self, row: int, sizes: Sequence[Size]) -> list[dict[int, Tensor]]:
        scores = self.scores_of(row)
        found = {
            size: {seed: self.enlarge(one, size) for seed, one in scores.items()}
            for size in dict.fromkeys(sizes)
        }
        seed, first = next(iter(scores.items()))
        kept = found.get(self.map_size)
        kept = self.enlarge(first, self.map_size) if kept is None else kept[seed]
        self.class_maps[row] = kept.numpy()
        return [found[size] for size in sizes]

    def score(
        self,
        indices: np.ndarray,
        seeds: Sequence[int],
        resolution: Size,
        score_resolution: Size,
        draw: Callable[[int], int] = itself,
    ) -> Scored:
        """Score all images, or only label them where there are no masks.

        Args:
            draw: see `score_classes`; `scores_of` gives scores by draw.
        """
        dataset, run = self.task.dataset, self.task.run
        if dataset.num_classes:
            return score_classes(
                dataset,
                indices,
                self,
                seeds,
                resolution=resolution,
                score_resolution=score_resolution,
                draw=draw,
                track=run.track,
                processes=run.processes,
            )
        rows = run.processes.share(range(len(self.class_maps)))
        for row in run.track(rows, "labelling", len(rows)):
            self(row, [])
        run.processes.wait()
        return Scored()

    def kept(self, class_names: Sequence[str]) -> dict[str, Any]:
        """The maps, and the classes that were learned, as fields of `Measurement`."""
        return {"class_maps": self.class_maps, "class_names": tuple(class_names)}
