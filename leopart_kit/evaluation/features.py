"""The feature store: patch tokens of a data set, written once, read as often as needed.

Tokens lie in one fp16 file that is mapped into memory, so memory does not grow with the number
of images. The store's folder is named by what determines its content: the encoder's weights and
output settings, the images and the resolution. A broken-off extraction goes on where it stopped;
a finished one is reused; any changed setting leads to another folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from leopart_kit.backbones import Encoder
from leopart_kit.data import BrokenSampleError, SegmentationDataset
from leopart_kit.evaluation.resizing import resize_image
from leopart_kit.progress import Track, quiet

logger = logging.getLogger(__name__)

PENDING, DONE, BROKEN = 0, 1, 2


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
        reasons = json.loads((folder / "broken.json").read_text())
        self.broken = {int(index): reason for index, reason in reasons.items()}

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

    def chunks(self, images_per_chunk: int = 32) -> Iterator[Tensor]:
        """Tokens in order, float32 `[n·h·w, D]`, a few images at a time."""
        for start in range(0, len(self.indices), images_per_chunk):
            block = self.tokens[self.indices[start : start + images_per_chunk]]
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
    track: Track = quiet,
) -> FeatureStore:
    """Write the patch tokens of `dataset` below `cache_dir`, or reuse what is already there.

    Args:
        resolution: `(H, W)` in pixels to which every image is resized (bilinear, antialiased).
        indices: the images to extract; all by default.
        strict: raise at the first image that cannot be read.

    Returns:
        The store; images that cannot be read are in its `broken`.

    Raises:
        ValueError: no image can be read, the tokens do not fit fp16, the disk cannot hold the
            store, or another run is writing the same store.
    """
    indices = range(len(dataset)) if indices is None else indices
    grid = tuple(-(-side // encoder.patch_size) for side in resolution)
    description = {
        "encoder": encoder.name,
        "encoder_sha256": encoder.fingerprint(),
        "dataset": f"{dataset.name} {dataset.split} {dataset.root}",
        "dataset_sha256": dataset.fingerprint(),
        "resolution": list(resolution),
    }
    key = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(cache_dir) / f"{dataset.name}-{dataset.split}-{encoder.name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with _only_writer(folder):
        if not (folder / "store.json").exists():
            shape = (len(dataset), grid[0] * grid[1], encoder.embed_dim)
            _create(folder, shape)
            (folder / "store.json").write_text(json.dumps(description, indent=2) + "\n")
        _fill(folder, encoder, dataset, indices, resolution, batch_size, num_workers, device, track)
    store = FeatureStore(folder, (grid[0], grid[1]))
    store.restrict(indices)
    if strict and store.broken:
        raise BrokenSampleError(next(iter(store.broken.values())))
    if not len(store):
        reason = next(iter(store.broken.values()), "the data set is empty")
        raise ValueError(f"no image of {dataset.name} {dataset.split} could be read: {reason}")
    return store


def _create(folder: Path, shape: tuple[int, int, int]) -> None:
    tokens = np.lib.format.open_memmap(
        folder / "tokens.npy", mode="w+", dtype=np.float16, shape=shape
    )
    size = (folder / "tokens.npy").stat().st_size
    del tokens
    # Reserved now, since a mapped file on a full disk kills the process without a word.
    try:
        with open(folder / "tokens.npy", "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        (folder / "tokens.npy").unlink()
        raise ValueError(
            f"cannot reserve {size / 2**20:.0f} MiB for features in {folder}: {error.strerror}; "
            "free some space or set cache_dir to another disk"
        ) from error
    np.save(folder / "status.npy", np.full(shape[0], PENDING, dtype=np.uint8))
    (folder / "broken.json").write_text("{}\n")


def _fill(
    folder: Path,
    encoder: Encoder,
    dataset: SegmentationDataset,
    indices: Sequence[int],
    resolution: tuple[int, int],
    batch_size: int,
    num_workers: int,
    device: str | torch.device,
    track: Track,
) -> None:
    tokens = np.load(folder / "tokens.npy", mmap_mode="r+")
    status = np.load(folder / "status.npy", mmap_mode="r+")
    broken = json.loads((folder / "broken.json").read_text())
    # Blocks are fixed, and redone whole: a resumed run computes the very same batches.
    blocks = [list(indices[i : i + batch_size]) for i in range(0, len(indices), batch_size)]
    pending = [block for block in blocks if (status[block] == PENDING).any()]
    if not pending:
        logger.info("features: reused %s", folder)
        return
    if len(pending) < len(blocks):
        done = len(blocks) - len(pending)
        logger.info("features: going on after %d of %d batches", done, len(blocks))
    loader = DataLoader(
        _ResizedImages(dataset, resolution),
        batch_sampler=pending,
        num_workers=num_workers,
        collate_fn=list,
    )
    encoder = encoder.to(device).eval()
    for batch in track(loader, f"features of {dataset.name} {dataset.split}", len(pending)):
        good = [(index, image) for index, image, _ in batch if image is not None]
        if good:
            rows = [index for index, _ in good]
            tokens[rows] = _encode(encoder, torch.stack([image for _, image in good]), device)
            status[rows] = DONE
        failed = {str(index): reason for index, image, reason in batch if image is None}
        if failed:
            broken |= failed
            (folder / "broken.json").write_text(json.dumps(broken, indent=2) + "\n")
            status[[int(index) for index in failed]] = BROKEN
            for reason in failed.values():
                logger.warning("left out: %s", reason)
    tokens.flush()
    status.flush()


@torch.inference_mode()
def _encode(encoder: Encoder, images: Tensor, device: str | torch.device) -> np.ndarray:
    """uint8 `[B, 3, H, W]` → fp16 `[B, h·w, D]`."""
    features = encoder.patch_tokens(encoder.preprocess(images.to(device)))
    half = features.flatten(2).transpose(1, 2).to(torch.float16)
    if not torch.isfinite(half).all():
        raise ValueError(
            f"the tokens of {encoder.name} are not finite in fp16 (largest magnitude "
            f"{features.abs().max():.3g}); check the weights, or choose another block or facet"
        )
    return half.cpu().numpy()


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another run is writing {folder}; wait for it, or set another cache_dir"
            ) from None
        yield


class _ResizedImages(Dataset):
    """Items `(index, uint8 [3, H, W] or None, reason)`: a broken file is reported, not raised."""

    def __init__(self, dataset: SegmentationDataset, resolution: tuple[int, int]):
        self.dataset = dataset
        self.resolution = resolution

    def __getitem__(self, index: int) -> tuple[int, Tensor | None, str]:
        try:
            image = self.dataset.load_image(index)
        except BrokenSampleError as error:
            return index, None, str(error)
        return index, resize_image(image, self.resolution), ""
