"""The numbers of a probe: a head trained with labels on frozen patch tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from leopart_kit.evaluation.settings import (
    check_choice,
    check_number,
    check_seeds,
    check_size,
    check_whole,
)

Selection = Literal["train", "as_released"]


@dataclass(frozen=True)
class ProbeSettings:
    """How a head is trained; the defaults are Leopart's for the linear head.

    Attributes:
        seeds: one head each: its start, the order of the images, its share of the training images.
        resolution: `(H, W)` to which images are resized, in pixels.
        train_resolution: `(H, W)` of logits and masks in the loss.
        score_resolution: `(H, W)` at which the headline is scored; full size is scored too.
        learning_rate: of SGD; `None` takes the best of `learning_rates` on images held out of
            the training images.
        holdout: share of the training images held out for that; the final head sees all of them.
        epochs, drop_at: passes over the images, and the epoch from which the rate is a tenth.
        batch_size: images a step.
        augmentation: random crops of `crop_scale` of the image and mirroring; the encoder then
            runs in every epoch. Without it stored tokens are used, minutes on a CPU.
        train_share: share of the training images, drawn by seed; Leopart takes a tenth of COCO.
        selection: `train` keeps the head of the last epoch. `as_released` keeps that of the best
            epoch on the first 8 batches of the images that are measured, as the released code of
            Leopart did; it needs `learning_rate`, and `labels_used.select` tells of it.
        head: a file that a run with this protocol wrote; nothing is trained then.

    Raises:
        ValueError: a value of the wrong kind or out of range; names the setting.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    resolution: tuple[int, int] = (448, 448)
    train_resolution: tuple[int, int] = (100, 100)
    score_resolution: tuple[int, int] = (448, 448)
    learning_rate: float | None = None
    learning_rates: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3)
    holdout: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 1e-4
    epochs: int = 25
    drop_at: int = 20
    batch_size: int = 120
    augmentation: bool = False
    crop_scale: tuple[float, float] = (0.8, 1.0)
    train_share: float = 1.0
    selection: Selection = "train"
    head: Path | str | None = None

    def __post_init__(self) -> None:
        check_seeds(self.seeds)
        for name in ("resolution", "train_resolution", "score_resolution"):
            check_size(name, getattr(self, name))
        for name in ("epochs", "batch_size"):
            check_whole(name, getattr(self, name), minimum=1)
        check_whole("drop_at", self.drop_at, minimum=0)
        if not isinstance(self.learning_rates, tuple) or not self.learning_rates:
            raise ValueError(f"learning_rates must be a list, got {self.learning_rates!r}")
        for rate in self.learning_rates:
            check_number("learning_rates", rate, 1e-8, 1e4)
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate, 1e-8, 1e4)
        check_number("holdout", self.holdout, 0.01, 0.9)
        check_number("momentum", self.momentum, 0, 1)
        check_number("weight_decay", self.weight_decay, 0, 10)
        check_number("train_share", self.train_share, 1e-9, 1)
        check_choice("augmentation", self.augmentation, (True, False))
        check_choice("selection", self.selection, ("train", "as_released"))
        if not isinstance(self.crop_scale, tuple) or len(self.crop_scale) != 2:
            raise ValueError(f"crop_scale must be [low, high], got {self.crop_scale!r}")
        for value in self.crop_scale:
            check_number("crop_scale", value, 0.01, 1)
        if self.selection == "as_released" and self.learning_rate is None:
            raise ValueError("selection=as_released needs a learning_rate; the paper's is 0.01")
