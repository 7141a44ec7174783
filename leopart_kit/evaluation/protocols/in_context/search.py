"""Labels of every patch from its neighbours in a memory, kept on disk and gone on from there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.clustering.nearest_faiss import FaissNeighbours
from leopart_kit.clustering.nearest_neighbours import Neighbours, nearest_neighbours
from leopart_kit.evaluation.protocols.in_context.labels import transfer_labels
from leopart_kit.evaluation.protocols.in_context.memory import BLOCK_ROWS, Memory
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.evaluation.task import RunSettings
from leopart_kit.mapped_array import mapped_array
from leopart_kit.whole_file import whole_file

logger = logging.getLogger(__name__)

_IMAGES = 16  # searched together, and the unit that a run which goes on repeats

Search = Callable[[Tensor], Neighbours]


def exact_search(memory: Memory, neighbours: int, device: str) -> Search:
    """Finds the nearest entries of all; a memory of one block is read once."""
    held = list(memory.blocks()) if len(memory) <= BLOCK_ROWS else None

    def search(queries: Tensor) -> Neighbours:
        blocks = memory.blocks() if held is None else held
        return nearest_neighbours(queries, blocks, neighbours, device=device)

    return search


def faiss_search(memory: Memory, neighbours: int) -> Search:
    """Finds most of the nearest entries, in a copy of the memory that faiss holds."""
    index = FaissNeighbours(memory.blocks, len(memory))
    return lambda queries: index.search(queries, neighbours)


def search_labels(
    memory: Memory,
    store: FeatureStore,
    make_search: Callable[[], Search],
    temperature: float,
    file: Path,
    run: RunSettings,
) -> np.ndarray:
    """Soft labels of every patch of a store, float32 `[N, h·w, C]`, mapped from `file`.

    Args:
        make_search: called if anything is left to search.
        file: what was found before is reused; its name must hold all that determines it.
    """
    shape = (len(store), store.tokens.shape[1], memory.counts.shape[1])
    done_file = file.with_suffix(".done.npy")
    pending = run.processes.once(lambda: _pending(file, done_file, shape))
    mine = run.processes.share(pending)
    if mine:
        labels, done = (np.load(path, mmap_mode="r+") for path in (file, done_file))
        search = make_search()
        for block in run.track(mine, "neighbours", len(mine)):
            places = range(block * _IMAGES, min((block + 1) * _IMAGES, len(store)))
            tokens = [store.token_map(store.indices[place]).flatten(0, 1) for place in places]
            found = search(F.normalize(torch.cat(tokens), dim=1))
            by_image = zip(*(part.cpu().split(shape[1]) for part in found), strict=True)
            for place, (similarities, rows) in zip(places, by_image, strict=True):
                neighbours = memory.labels(rows.numpy())
                labels[place] = transfer_labels(similarities, neighbours, temperature).numpy()
            labels.flush()
            done[block] = True
    run.processes.wait()
    return np.load(file, mmap_mode="r")


def _pending(file: Path, done_file: Path, shape: tuple[int, int, int]) -> list[int]:
    """Blocks of images that are not searched yet; the files are made where there are none."""
    if not done_file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        mapped_array(file, shape, np.float32)
        with whole_file(done_file) as temporary, temporary.open("wb") as opened:
            np.save(opened, np.zeros(-(-shape[0] // _IMAGES), dtype=bool))
    done = np.load(done_file)
    if done.all():
        logger.info("neighbours: reused %s", file)
    elif done.any():
        logger.info("neighbours: going on after %d of %d images", done.sum() * _IMAGES, shape[0])
    return np.flatnonzero(~done).tolist()
