"""The memory of in-context segmentation: patches of labelled images, chosen by what they show."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.protocols.in_context.labels import (
    patch_class_counts,
    patch_labels,
    patch_scores,
    sample_patches,
)
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.evaluation.store.store_files import StageCache, shared_array
from leopart_kit.mapped_array import RowWriter, scratch_array
from leopart_kit.processes import Processes
from leopart_kit.progress import Track, quiet

logger = logging.getLogger(__name__)

BLOCK_ROWS = 1 << 17  # patches searched at a time: 192 MiB of 384 dimensions
_PIECE = 4096  # patches made ready at a time: what a CPU's caches hold


class Source(NamedTuple):
    """A data set (of crops, perhaps) and the tokens of its images."""

    dataset: SegmentationDataset
    store: FeatureStore


@dataclass(frozen=True)
class MemoryChoice:
    """The patches that are remembered: `memory_size` in total (`None`: all), drawn by `seed`."""

    memory_size: int | None
    seed: int
    patch_size: int
    resolution: tuple[int, int]

    def share(self, place: int, num_images: int, patches: int) -> int:
        """Patches to take of one image; the first images give one more where it is not even."""
        if self.memory_size is None:
            return patches
        even, more = divmod(self.memory_size, num_images)
        return even + (place < more)


@dataclass(frozen=True)
class Memory:
    """M patches: where their tokens lie, and what they show.

    Tokens stay in the feature stores and are read as they are needed; nothing is held twice.

    Attributes:
        rows: int64 `[M]`, ascending, into the tokens of all stores one after the other.
        counts: uint16 `[M, C]`, pixels of each class in each patch, mapped from a file.
        pixels: int64 `[C]`, pixels of each class in all images, remembered or not.
    """

    stores: Sequence[FeatureStore]
    rows: np.ndarray
    counts: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def labels(self, rows: np.ndarray) -> Tensor:
        """Soft labels float32 `[..., C]` of entries `[...]`."""
        return patch_labels(torch.from_numpy(self.counts[rows].astype(np.float32)))

    def blocks(self) -> Iterator[Tensor]:
        """Tokens of length 1 in order, float32 `[m, D]`, at most `BLOCK_ROWS` a time.

        Each block takes the place of the one before it in memory.
        """
        block = torch.empty(min(BLOCK_ROWS, len(self)), self.stores[0].embed_dim)
        for start in range(0, len(self), BLOCK_ROWS):
            rows = self.rows[start : start + BLOCK_ROWS]
            for first in range(0, len(rows), _PIECE):
                piece = rows[first : first + _PIECE]
                unit_rows(block[first : first + len(piece)].copy_(self._tokens(piece)))
            yield block[: len(rows)]

    def blocks_on(self, device: str) -> Iterator[Tensor]:
        """Tokens in order as they are stored, fp16 `[m, D]` on a device."""
        for start in range(0, len(self), BLOCK_ROWS):
            yield self._tokens(self.rows[start : start + BLOCK_ROWS]).to(device)

    def _tokens(self, rows: np.ndarray) -> Tensor:
        """fp16 `[m, D]` of rows that ascend."""
        parts, offset = [], 0
        for store in self.stores:
            tokens = store.tokens.reshape(-1, store.embed_dim)
            first, last = np.searchsorted(rows, [offset, offset + len(tokens)])
            own = rows[first:last] - offset
            if len(own) and own[-1] - own[0] + 1 == len(own):  # without a gap
                own = slice(own[0], own[-1] + 1)
            parts.append(tokens[own])
            offset += len(tokens)
        return torch.from_numpy(np.concatenate(parts))

    def share_of_classes(self) -> np.ndarray:
        """Percent of the memory's labels that each class has, float64 `[C]`."""
        total = np.zeros(self.counts.shape[1])
        for start in range(0, len(self.rows), BLOCK_ROWS):
            block = np.arange(start, min(start + BLOCK_ROWS, len(self.rows)))
            total += self.labels(block).double().sum(dim=0).numpy()
        return 100 * total / len(self.rows)


def unit_rows(rows: Tensor) -> Tensor:
    """Rows `[n, D]` scaled to length 1 where they are, as `F.normalize` does; they are returned."""
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows.div_(lengths.clamp_min_(1e-12))


def build_memory(
    sources: Sequence[Source], cache: StageCache, choice: MemoryChoice, track: Track = quiet
) -> Memory:
    """Choose the patches, or reuse the choice that was made before.

    Every image gives the same number. Ignored pixels count as class 0 where that is a background,
    as in the released code. Elsewhere they belong to no class, and a patch of nothing else is not
    remembered.

    Args:
        sources: images with masks, all of one grid.
        cache: its key must hold what determines masks and stores.

    Raises:
        ValueError: more patches are asked for than there are.
    """
    stores = [source.store for source in sources]
    patches = sum(map(len, stores)) * stores[0].tokens.shape[1]
    capacity = check_memory_size(choice.memory_size, patches)
    key, processes = asdict(choice), cache.processes
    path = cache.path("memory", key).with_suffix(".npy")
    shape = (capacity, sources[0].dataset.num_classes)

    def compute() -> dict[str, np.ndarray]:
        with shared_array(path, shape, np.uint16, processes) as file:
            return processes.together(lambda: _choose(sources, choice, file, track, processes))

    found = cache.get_together("memory", key, compute)
    counts = np.load(path, mmap_mode="r")[: len(found["rows"])]
    return Memory(stores, found["rows"], counts, found["pixels"])


def check_memory_size(memory_size: int | None, patches: int) -> int:
    """The largest number of entries; `ValueError` for more than there are patches."""
    if memory_size is None:
        return patches
    if memory_size > patches:
        raise ValueError(
            f"protocol.memory_size {memory_size:,} is more than the {patches:,} patches of the "
            "training images: lower it, or set it to null for all of them"
        )
    return memory_size


def _choose(
    sources: Sequence[Source],
    choice: MemoryChoice,
    file: Path,
    track: Track,
    processes: Processes,
) -> dict[str, np.ndarray]:
    """`rows` and `pixels` of the memory; the counts are written to `file`.

    Each process looks at a part of the images.
    """
    images = [
        (number, index)
        for number, source in enumerate(sources)
        for index in source.store.indices.tolist()
    ]
    patches = sources[0].store.tokens.shape[1]
    offsets = np.cumsum([0, *(len(source.store.tokens) for source in sources)])
    mine = list(enumerate(images))[processes.part(len(images))]
    room = sum(choice.share(place, len(images), patches) for place, _ in mine)
    num_classes = sources[0].dataset.num_classes
    # Where they belong is known when the processes before have told how many theirs are.
    counts = scratch_array(file.parent, (room, num_classes), np.uint16)
    pixels, filled = np.zeros(num_classes, dtype=np.int64), 0
    rows = [np.empty(0, dtype=np.int64)]
    for place, (number, index) in track(mine, "memory", len(mine)):
        found = _counts_of(sources[number].dataset, index, choice)
        pixels += found.sum(dim=(0, 1)).numpy()
        found, scores = found.flatten(0, 1).numpy(), patch_scores(found).flatten().numpy()
        chosen = sample_patches(
            scores,
            choice.share(place, len(images), len(scores)),
            np.random.default_rng([choice.seed, number, index]),
        )
        rows.append((offsets[number] + index) * len(scores) + chosen)
        counts[filled : filled + len(chosen)] = found[chosen]
        filled += len(chosen)
    parts = processes.gather((np.concatenate(rows), pixels))
    before = sum(len(part) for part, _ in parts[: processes.rank])
    with RowWriter(file) as writer:
        writer.write(before, counts[:filled])
    chosen_rows = np.concatenate([part for part, _ in parts])
    crops = f", {len(sources)} crops of each" if len(sources) > 1 else ""
    shown = len({index for _, index in images})
    logger.info("memory: %d patches of %d images%s", len(chosen_rows), shown, crops)
    return {"rows": chosen_rows, "pixels": np.sum([p for _, p in parts], axis=0)}


def _counts_of(dataset: SegmentationDataset, index: int, choice: MemoryChoice) -> Tensor:
    """Pixels of each class in each patch of one image, int64 `[h, w, C]`."""
    mask = dataset.load_mask(index)
    if mask is None:
        raise ValueError(f"{dataset.name}: no mask for {dataset.names[index]}")
    mask = resize_labels(mask, choice.resolution)
    if dataset.has_background:
        mask = torch.where(mask == dataset.ignore_index, 0, mask)
    return patch_class_counts(mask[None], choice.patch_size, dataset.num_classes)[0]
