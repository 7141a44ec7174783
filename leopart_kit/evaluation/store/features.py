"""The feature store: patch tokens of a data set, written once, read as often as needed.

Tokens lie in one fp16 file that is mapped into memory, so memory does not grow with the number
of images. The store's folder is named by what determines its content: the encoder's weights and
output settings, the images and the resolution. A broken-off extraction goes on where it stopped;
a finished one is reused; any changed setting leads to another folder.

Each image has a status and a checksum. Each process writes its own images and no byte beside them,
so that nodes may share a network disk. Two jobs at once on one store are refused: one job of as
many processes does the same, and needs no rule for who does what.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder import grid_size, whole_patches
from leopart_kit.data import BrokenSampleError, SegmentationDataset
from leopart_kit.evaluation.store.encoding import ResizedImages, encoded
from leopart_kit.evaluation.store.store_files import (
    DONE,
    PENDING,
    TOKENS,
    Shape,
    StoreWriter,
    damage,
    forget_changed,
    make_files,
    seal,
)
from leopart_kit.identity import Identity
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import Track, quiet
from leopart_kit.whole_file import folders_below, only_writer, remove_leftovers, whole_file

logger = logging.getLogger(__name__)


class FeatureStore:
    """Patch tokens on disk: `tokens` fp16 `[N, h·w, D]`, mapped into memory.

    `indices` are the data set's indices of the images whose tokens are there, in order;
    `broken` maps the index of every image that could not be read to the reason.
    """

    def __init__(self, folder: Path, grid: tuple[int, int]):
        self.folder = folder
        self.grid = grid
        self.tokens = np.load(folder / "tokens.npy", mmap_mode="r")
        self.indices = np.flatnonzero(np.load(folder / "status.npy") == DONE)
        self.broken = {
            int(index): reason
            for file in sorted(folder.glob("broken*.json"))  # one of each process
            for index, reason in json.loads(file.read_text()).items()
        }

    def __len__(self) -> int:
        return len(self.indices)

    def restrict(self, indices: Sequence[int]) -> None:
        """Keep only the given images of the data set."""
        wanted = set(indices)
        self.indices = np.array([index for index in self.indices if index in wanted], dtype=int)
        self.broken = {i: reason for i, reason in self.broken.items() if i in wanted}

    @property
    def embed_dim(self) -> int:
        return self.tokens.shape[2]

    def token_map(self, index: int) -> Tensor:
        """Tokens of one image of the data set, float32 `[h, w, D]`."""
        return torch.from_numpy(np.array(self.tokens[index])).float().unflatten(0, self.grid)

    def chunks(self, images_per_chunk: int = 32, start: int = 0) -> Iterator[Tensor]:
        """Tokens in order from an image on, float32 `[n·h·w, D]`, a few images at a time."""
        for first in range(start, len(self.indices), images_per_chunk):
            block = self.tokens[self.indices[first : first + images_per_chunk]]
            yield torch.from_numpy(block).float().flatten(0, 1)


def extract_features(
    encoder: Encoder,
    dataset: SegmentationDataset,
    *,
    cache_dir: Path,
    resolution: tuple[int, int] = (448, 448),
    indices: Sequence[int] | None = None,
    batch_size: int = 4,
    num_workers: int = 0,
    device: str | torch.device = "cpu",
    strict: bool = False,
    retry_broken: bool = True,
    track: Track = quiet,
    processes: Processes = ALONE,
) -> FeatureStore:
    """Write the patch tokens of `dataset` below `cache_dir`, or reuse what is already there.

    Args:
        resolution: `(H, W)` in pixels to which every image is resized (bilinear, antialiased),
            rounded up to whole patches.
        indices: the images to extract; all by default.
        strict: raise at the first image that cannot be read.
        retry_broken: read again what could not be read before, and take what now can.
        processes: those that share the work, on one machine or on nodes that share `cache_dir`.

    Returns:
        The store; images that cannot be read are in its `broken`.

    Raises:
        ValueError: no image can be read, the tokens do not fit fp16, `cache_dir` cannot be written
            or cannot hold the store, or another run is writing the same store.
        BrokenSampleError: an image cannot be read, with `strict`.
    """
    indices = range(len(dataset)) if indices is None else indices
    asked, patch_size = resolution, encoder.patch_size
    resolution, grid = whole_patches(asked, patch_size), grid_size(*asked, patch_size)
    identity = Identity.of(
        encoder=encoder.name,
        encoder_sha256=encoder.fingerprint(),
        dataset=f"{dataset.name} {dataset.split}",
        dataset_sha256=dataset.fingerprint(),
        resolution=resolution,
    )
    label = re.sub(r"[^\w.-]+", "_", f"{dataset.name}-{dataset.split}-{encoder.name}")
    folder = Path(cache_dir) / f"{label}-{identity.key}"
    with only_writer(folder, "cache_dir") if processes.first else nullcontext():
        if processes.first:
            remove_leftovers(folders_below(folder))
        shape = (len(dataset), grid[0] * grid[1], encoder.embed_dim)
        if processes.first:
            _check_or_create(folder, shape, identity.values)
        if processes.first and retry_broken:
            _forget_repaired(folder, dataset)
        pending = processes.once(lambda: _pending_batches(folder, indices, batch_size))
        if pending and resolution != tuple(asked):
            logger.info(
                "images are resized to %d × %d px, whole patches of %d px, and not to %d × %d",
                *resolution,
                patch_size,
                *asked,
            )
        images = ResizedImages(dataset, resolution)
        mine = processes.share(pending)
        loader = images.loader(mine, num_workers, torch.device(device))
        reasons = "broken.json" if processes.first else f"broken-{processes.rank}.json"
        _fill(folder, reasons, encoder, loader, device, strict, track)
        processes.wait()
        if processes.first and pending:
            seal(folder)
    store = FeatureStore(folder, grid)
    store.restrict(indices)
    if strict and store.broken:
        raise BrokenSampleError(next(iter(store.broken.values())))
    if not len(store):
        reason = next(iter(store.broken.values()), "the data set is empty")
        raise ValueError(f"no image of {dataset.name} {dataset.split} could be read: {reason}")
    return store


def _check_or_create(folder: Path, shape: Shape, description: Mapping[str, object]) -> None:
    """A store that is as it was written; what is damaged is named, and made anew."""
    if (folder / "store.json").exists():
        problem = damage(folder, shape)
        if problem is None:
            changed = forget_changed(folder)
            if changed:
                file = folder / TOKENS
                logger.warning("%s was changed: %d images are made anew", file, changed)
            return
        logger.warning("%s: the features are made anew", problem)
        for file in (*folder.glob("*.npy"), *folder.glob("*.json")):
            file.unlink()
    _create(folder, shape, description)


def _create(folder: Path, shape: Shape, description: Mapping[str, object]) -> None:
    """Make the store's files at their final size; `store.json` comes last and says it is whole."""
    tokens = folder / "tokens.npy"
    try:
        make_files(folder, shape)
        _write_reasons(folder / "broken.json", {})
        (folder / "store.json").write_text(json.dumps(description, indent=2) + "\n")
    except OSError as error:
        for file in (tokens, folder / "store.json"):
            file.unlink(missing_ok=True)
        raise ValueError(
            f"cannot reserve space for features in {folder}: {error.strerror}; free some space or "
            "set cache_dir to another disk"
        ) from error


def _write_reasons(file: Path, broken: Mapping[str, str]) -> None:
    with whole_file(file) as temporary:
        temporary.write_text(json.dumps(broken, indent=2) + "\n")


def _forget_repaired(folder: Path, dataset: SegmentationDataset) -> None:
    """Images that could not be read (no permission, say) and now can are pending again."""
    status = np.load(folder / "status.npy", mmap_mode="r+")
    for file in sorted(folder.glob("broken*.json")):
        broken = json.loads(file.read_text())
        repaired = [index for index in broken if _can_be_read(dataset, int(index))]
        if repaired:
            logger.info("features: %d images can be read by now", len(repaired))
            status[[int(index) for index in repaired]] = PENDING
            _write_reasons(file, {i: why for i, why in broken.items() if i not in repaired})


def _can_be_read(dataset: SegmentationDataset, index: int) -> bool:
    try:
        dataset.load_image(index)
    except BrokenSampleError:
        return False
    return True


def _pending_batches(folder: Path, indices: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches that are not whole in the store; they are redone whole, as the very same batches."""
    status = np.load(folder / "status.npy")
    batches = [list(indices[i : i + batch_size]) for i in range(0, len(indices), batch_size)]
    pending = [batch for batch in batches if (status[batch] == PENDING).any()]
    if not pending:
        logger.info("features: reused %s", folder)
    elif len(pending) < len(batches):
        done = len(batches) - len(pending)
        logger.info("features: going on after %d of %d batches", done, len(batches))
    return pending


def _fill(
    folder: Path,
    reasons: str,
    encoder: Encoder,
    loader: DataLoader,
    device: str | torch.device,
    strict: bool,
    track: Track,
) -> None:
    """Write the tokens of every batch of the loader, and then that they are there."""
    if not len(loader):
        return
    file = folder / reasons
    broken = json.loads(file.read_text()) if file.exists() else {}
    encoder = encoder.to(device).eval()
    num_images, start = 0, time.perf_counter()
    batches = track(loader, "features", len(loader))
    with StoreWriter(folder) as store:
        for batch, values in encoded(encoder, batches, torch.device(device)):
            num_images += len(batch.indices) + len(batch.failed)
            if batch.indices:
                store.write(batch.indices, values)
            if batch.failed and strict:
                raise BrokenSampleError(next(iter(batch.failed.values())))
            if batch.failed:
                broken |= batch.failed
                _write_reasons(file, broken)
                store.mark_broken(map(int, batch.failed))
                for reason in batch.failed.values():
                    logger.warning("left out: %s", reason)
    seconds = time.perf_counter() - start
    rate = num_images / seconds
    logger.info("features: %d images in %.1f s (%.1f/s), %s", num_images, seconds, rate, folder)
