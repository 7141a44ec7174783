"""Nearest neighbours of patches: each patch takes the class that most of its neighbours have.

CAPI (Darcet et al. 2025): tokens standardised by the training images, the patch label is its most
frequent class; neighbours and distance are chosen on a tenth of the training images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.clustering.nearest_neighbours import nearest_neighbours
from leopart_kit.evaluation.protocols.patch_classifiers.measure import measure_patches
from leopart_kit.evaluation.protocols.patch_classifiers.patches import Patches
from leopart_kit.evaluation.protocols.patch_classifiers.settings import PatchClassifierSettings
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.task import Measurement, Task
from leopart_kit.settings import Count, settings, several

Distance = Literal["cosine", "euclidean"]

_IMAGES = 256  # searched together, and what a run that goes on repeats


@settings
class PatchKnn(PatchClassifierSettings):
    """Nearest neighbours of patches, a majority vote; the numbers are CAPI's."""

    name: ClassVar[str] = "patch_knn"

    neighbours: several(Count) = (1, 3, 10, 30)  # type: ignore[valid-type]
    """Numbers of neighbours to choose from."""
    distances: several(Distance) = ("cosine", "euclidean")  # type: ignore[valid-type]
    """Distances to choose from."""

    def measure(self, task: Task) -> Measurement:
        """Choose on held-out patches of `task.train` and name those of the task's images.

        Raises:
            ValueError: more neighbours than training patches, or no or too few training images
                with masks.
        """
        asked_for = {f"{d}, k = {k}": (d, k) for d in self.distances for k in self.neighbours}

        def classify(
            known: Patches, asked: Patches, names: Sequence[str], cache: StageCache
        ) -> Mapping[str, np.ndarray]:
            found: dict[str, np.ndarray] = {}
            for distance in self.distances:
                wanted = {name: asked_for[name][1] for name in names}
                wanted = {n: k for n, k in wanted.items() if asked_for[n][0] == distance}
                if wanted:
                    found |= _vote(known, asked, distance, wanted, cache, task)
            return found

        return measure_patches(self, task, list(asked_for), classify)


def _vote(
    known: Patches,
    asked: Patches,
    distance: Distance,
    wanted: Mapping[str, int],
    cache: StageCache,
    task: Task,
) -> dict[str, np.ndarray]:
    """Classes of the asked patches for each number of neighbours, by the names of `wanted`."""
    classes, most = known.classes(), max(wanted.values())
    if most > len(classes):
        raise ValueError(
            f"{most} neighbours are more than the {len(classes)} labelled patches of "
            f"{len(known.places)} training images: lower protocol.neighbours or use more images"
        )
    starts = range(0, len(asked.places), _IMAGES)
    parts = []
    for start in task.run.track(starts, f"neighbours, {distance}", len(starts)):
        part = asked.of(asked.places[start : start + _IMAGES])

        def search(part: Patches = part) -> dict[str, np.ndarray]:
            queries = torch.cat([_queries(block, distance) for block in part.tokens()])
            blocks = (_entries(block, distance) for block, _ in known.labelled())
            _, rows = nearest_neighbours(queries, blocks, most, device=task.run.device)
            found = classes[rows.cpu()]
            shape = (len(part.places), -1)
            return {
                name: majority(found[:, :k]).numpy().reshape(shape) for name, k in wanted.items()
            }

        key = {
            "distance": distance,
            "wanted": dict(wanted),
            "known": known.places.tolist(),
            "asked": [asked.store.folder.name, asked.store.indices[part.places].tolist()],
        }
        parts.append(cache.get("neighbours", key, search))
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}


def majority(classes: Tensor) -> Tensor:
    """The most frequent of each row `[Q, k]`, the lowest of equally frequent ones; uint8 `[Q]`."""
    ordered = classes.sort(dim=1).values
    return ordered.mode(dim=1).values  # the smallest of equally frequent values


def _queries(tokens: Tensor, distance: Distance) -> Tensor:
    """Tokens whose inner product with `_entries` orders them as the distance does."""
    if distance == "cosine":
        return F.normalize(tokens, dim=1)
    return F.pad(tokens, (0, 1), value=1.0)


def _entries(tokens: Tensor, distance: Distance) -> Tensor:
    """The nearest to q is the one with the largest q·x − |x|² / 2."""
    if distance == "cosine":
        return F.normalize(tokens, dim=1)
    return torch.cat([tokens, -tokens.square().sum(dim=1, keepdim=True) / 2], dim=1)


PART = PatchKnn
