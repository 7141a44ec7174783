"""Fine-tuning the whole network on labelled images, few or all, and what it then predicts."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as TF

from leopart_kit.backbones import Encoder
from leopart_kit.data import SegmentationDataset
from leopart_kit.data.multi_crop import random_box
from leopart_kit.evaluation.scores.resizing import resize_image
from leopart_kit.image_level.evaluation.settings import FineTuningSettings
from leopart_kit.image_level.networks.image_classifier import ImageClassifier
from leopart_kit.progress import Track, quiet

_Key = tuple[int, int]  # how often the images were passed over, row


def fine_tune(
    encoder: Encoder,
    images: SegmentationDataset,
    rows: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    settings: FineTuningSettings,
    *,
    resolution: int,
    seed: int = 0,
    device: str | torch.device = "cpu",
    num_workers: int = 0,
    track: Track = quiet,
) -> ImageClassifier:
    """Train a copy of the encoder with a classifier by SGD on random crops and flips.

    Args:
        images: to train on; `rows` `[n]` says which of them, `labels` `[n]` their classes.
        resolution: side of a training crop in pixels.
        seed: of the order and the crops.

    Returns:
        The classifier in evaluation mode, on `device`; `encoder` is left as it was.

    Raises:
        ValueError: fewer than 2 images, or an encoder without anything to train.
    """
    if len(rows) < 2:
        raise ValueError(f"fine-tuning needs at least 2 labelled images, got {len(rows)}")
    check_trainable(encoder)
    backbone = copy.deepcopy(encoder).requires_grad_(True)
    torch.manual_seed(seed)
    classifier = ImageClassifier(backbone, num_classes).to(device).train()
    optimizer = torch.optim.SGD(
        [
            {"params": backbone.parameters(), "lr": settings.backbone_learning_rate},
            {"params": classifier.linear.parameters(), "lr": settings.head_learning_rate},
        ],
        momentum=0.9,
        weight_decay=settings.weight_decay,
    )
    batch_size = min(settings.batch_size, len(rows))
    steps = max(settings.min_steps, settings.epochs * math.ceil(len(rows) / batch_size))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / steps)) / 2
    )
    crops = _TrainingCrops(images, rows, labels, settings.crop_scale, resolution, seed)
    loader = DataLoader(
        crops,
        batch_sampler=list(_batches(len(rows), batch_size, steps, seed)),  # type: ignore[arg-type]
        num_workers=num_workers,
    )
    for pixels, targets in track(loader, "fine-tuning", steps):
        logits = classifier(backbone.preprocess(pixels.to(device)))
        loss = F.cross_entropy(logits, targets.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    if not torch.isfinite(loss):
        raise ValueError(
            f"fine-tuning {encoder.name} diverged: lower fine_tuning.backbone_learning_rate (now "
            f"{settings.backbone_learning_rate:g})"
        )
    return classifier.eval()


def check_trainable(encoder: Encoder) -> None:
    """Raise `ValueError` for an encoder without weights."""
    if not any(True for _ in encoder.parameters()):
        raise ValueError(
            f"{encoder.name} has no weights to fine-tune: leave low_shot and fine_tuning out of "
            "evaluations"
        )


@torch.inference_mode()
def predict_classes(
    classifier: ImageClassifier,
    images: SegmentationDataset,
    rows: np.ndarray,
    *,
    resolution: int,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    num_workers: int = 0,
    track: Track = quiet,
) -> Tensor:
    """Classes of whole images, int64 `[n]` on the CPU."""
    loader = DataLoader(
        _WholeImages(images, rows, resolution), batch_size=batch_size, num_workers=num_workers
    )
    found = [
        classifier(classifier.backbone.preprocess(pixels.to(device))).argmax(dim=1).cpu()
        for pixels in track(loader, "classes", len(loader))
    ]
    return torch.cat(found)


def _batches(num_images: int, batch_size: int, steps: int, seed: int) -> Iterator[list[_Key]]:
    """`steps` full batches of one permutation after another."""
    generator = np.random.default_rng(seed)
    keys: list[_Key] = []
    epoch = 0
    for _ in range(steps):
        while len(keys) < batch_size:
            keys += [(epoch, row) for row in generator.permutation(num_images).tolist()]
            epoch += 1
        yield keys[:batch_size]
        keys = keys[batch_size:]


class _TrainingCrops(Dataset):
    """A random crop of an image, maybe mirrored, that depends on seed, epoch and row alone."""

    def __init__(
        self,
        images: SegmentationDataset,
        rows: np.ndarray,
        labels: np.ndarray,
        scale: tuple[float, float],
        resolution: int,
        seed: int,
    ) -> None:
        self.images = images
        self.rows = rows
        self.labels = labels
        self.scale = scale
        self.resolution = resolution
        self.seed = seed

    def __getitem__(self, key: _Key) -> tuple[Tensor, int]:
        epoch, row = key
        state = np.random.SeedSequence((self.seed, epoch, row)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
        image = self.images.load_image(int(self.rows[row]))
        height, width = image.shape[1:]
        x0, y0, x1, y1 = random_box(height, width, self.scale, generator=generator)
        crop = resize_image(image[:, y0:y1, x0:x1], (self.resolution, self.resolution))
        if torch.rand((), generator=generator) < 0.5:
            crop = TF.horizontal_flip(crop)
        return crop, int(self.labels[row])


class _WholeImages(Dataset):
    def __init__(self, images: SegmentationDataset, rows: np.ndarray, resolution: int) -> None:
        self.images = images
        self.rows = rows
        self.resolution = resolution

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor:
        image = self.images.load_image(int(self.rows[index]))
        return resize_image(image, (self.resolution, self.resolution))
