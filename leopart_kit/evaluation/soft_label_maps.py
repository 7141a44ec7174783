"""From soft labels of patches to a class of every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.evaluation.scoring import Size
from leopart_kit.evaluation.shared_rows import shared_rows
from leopart_kit.evaluation.task import Task


def classes_of_soft_labels(labels: Tensor, size: Size) -> Tensor:
    """Enlarge bilinearly and take the largest.

    Args:
        labels: float `[h, w, C]`, not negative.

    Returns:
        int64 `[*size]`, from 0 to C - 1.
    """
    # A class that no patch shows cannot win; most images have few.
    present = labels.amax(dim=(0, 1)).nonzero()[:, 0]
    if len(present) < 2:
        return torch.full(size, int(present[0]) if len(present) else 0)
    planes = labels[:, :, present].permute(2, 0, 1)[None]
    return present[F.interpolate(planes, size=size, mode="bilinear")[0].argmax(dim=0)]


class SoftLabelMaps:
    """The classes of an image at any size, by seed; see `scoring.Predict`.

    Args:
        labels: float32 `[N, h·w, C]` by seed.

    Attributes:
        class_maps: uint8 `[N, *map_size]` of the first seed, filled image by image.
    """

    def __init__(
        self, labels: Mapping[int, np.ndarray], grid: Size, map_size: Size, task: Task
    ) -> None:
        self.labels, self.grid, self.map_size, self.task = labels, grid, map_size, task
        self.first = next(iter(labels))
        shape = (len(labels[self.first]), *map_size)
        self.class_maps = shared_rows(task.cache_dir, shape, task.run.processes)

    def __call__(self, row: int, sizes: Sequence[Size]) -> list[dict[int, Tensor]]:
        soft = {
            seed: torch.from_numpy(np.array(labels[row])).unflatten(0, self.grid)
            for seed, labels in self.labels.items()
        }
        found = [
            {seed: classes_of_soft_labels(labels, size) for seed, labels in soft.items()}
            for size in sizes
        ]
        at_map_size = dict(zip(sizes, found, strict=True)).get(self.map_size)
        if at_map_size is None:
            first = classes_of_soft_labels(soft[self.first], self.map_size)
        else:
            first = at_map_size[self.first]
        self.class_maps[row] = first.numpy()
        return found

    def fill(self) -> None:
        """Ask for every image once, where there is nothing to score."""
        run = self.task.run
        rows = run.processes.share(range(len(self.class_maps)))
        for row in run.track(rows, "labelling", len(rows)):
            self(row, [])
        run.processes.wait()
