"""Labels of every patch from its neighbours in a memory, kept on disk and gone on from there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering.nearest_faiss import FaissNeighbours
from leopart_kit.clustering.nearest_neighbours import Neighbours, nearest_neighbours
from leopart_kit.evaluation.protocols.in_context.labels import transfer_labels
from leopart_kit.evaluation.protocols.in_context.memory import BLOCK_ROWS, Memory, unit_rows
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.evaluation.task import RunSettings
from leopart_kit.mapped_array import RowWriter, mapped_array
from leopart_kit.whole_file import whole_file

logger = logging.getLogger(__name__)

_IMAGES = 4  # the unit that processes share, and that a run which goes on repeats
# Units searched together: a memory of many blocks is read anew for each of these groups.
_TOGETHER = 16
_GPU_SHARE = 0.5  # of its free memory that tokens may take; products and queries need some too

Search = Callable[[Tensor], Neighbours]


def exact_search(memory: Memory, neighbours: int, device: str) -> Search:
    """Finds the nearest entries of all.

    A memory of one block is read once, and one that fits onto a GPU, as it is stored. Else blocks
    are read anew for each search.
    """
    blocks = _blocks_of(memory, device)
    return lambda queries: nearest_neighbours(queries, blocks(), neighbours, device=device)


def _blocks_of(memory: Memory, device: str) -> Callable[[], Iterable[Tensor]]:
    if torch.device(device).type == "cuda" and _fits(memory, device):
        stored = list(memory.blocks_on(device))
        return lambda: (unit_rows(block.float()) for block in stored)
    if len(memory) <= BLOCK_ROWS:
        held = list(memory.blocks())
        return lambda: held
    return memory.blocks


def _fits(memory: Memory, device: str) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return 2 * len(memory) * memory.stores[0].embed_dim < _GPU_SHARE * free


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
        search = make_search()
        groups = [mine[i : i + _TOGETHER] for i in range(0, len(mine), _TOGETHER)]
        with RowWriter(file) as labels, RowWriter(done_file) as done:
            for group in run.track(groups, "neighbours", len(groups)):
                places = [place for block in group for place in _places(block, len(store))]
                tokens = [store.token_map(store.indices[place]).flatten(0, 1) for place in places]
                found = search(unit_rows(torch.cat(tokens)))
                by_image = zip(*(part.cpu().split(shape[1]) for part in found), strict=True)
                for place, (similarities, rows) in zip(places, by_image, strict=True):
                    neighbours = memory.labels(rows.numpy())
                    own = transfer_labels(similarities, neighbours, temperature)
                    labels.write(place, own.numpy()[None])
                for block in group:
                    done.write(block, np.array([True]))
    run.processes.wait()
    return np.load(file, mmap_mode="r")


def _places(block: int, num_images: int) -> range:
    return range(block * _IMAGES, min((block + 1) * _IMAGES, num_images))


def _pending(file: Path, done_file: Path, shape: tuple[int, int, int]) -> list[int]:
    """Blocks of images that are not searched yet; the files are made where there are none."""
    units = -(-shape[0] // _IMAGES)
    if not done_file.exists() or len(np.load(done_file)) != units:  # of an earlier version
        file.parent.mkdir(parents=True, exist_ok=True)
        mapped_array(file, shape, np.float32)
        with whole_file(done_file) as temporary, temporary.open("wb") as opened:
            np.save(opened, np.zeros(units, dtype=bool))
    done = np.load(done_file)
    if done.all():
        logger.info("neighbours: reused %s", file)
    elif done.any():
        logger.info("neighbours: going on after %d of %d images", done.sum() * _IMAGES, shape[0])
    return np.flatnonzero(~done).tolist()
