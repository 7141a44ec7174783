"""Settings of a probe: a head trained with labels on frozen patch tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from leopart_kit.settings import (
    Count,
    NotNegative,
    PathText,
    Positive,
    Positives,
    Probability,
    Seeds,
    Share,
    ShareRange,
    Size,
    Text,
    Whole,
    settings,
)

Selection = Literal["train", "as_released"]


@settings
class ProbeSettings:
    """Training of a head; the defaults are Leopart's for the linear head.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    train_split: Text | None = "train"
    """Split of the data set on which heads are trained; null: none, where head is given."""
    seeds: Seeds = (0, 1, 2)
    """One head each: its start, the order of the images, its share of the training images."""
    resolution: Size = (448, 448)
    """`[H, W]` to which images are resized, in pixels."""
    train_resolution: Size = (100, 100)
    """`[H, W]` of logits and masks in the loss."""
    score_resolution: Size = (448, 448)
    """`[H, W]` at which the headline is scored; full size is scored too."""
    learning_rate: Positive | None = None
    """Of SGD; null: the best of learning_rates on held-out training images."""
    learning_rates: Positives = (0.01, 0.03, 0.1, 0.3)
    """Rates to choose from where learning_rate is null."""
    holdout: Annotated[float, Field(gt=0, le=0.9)] = 0.2
    """Share of the training images held out for the choice; the final head sees all of them."""
    momentum: Probability = 0.9
    """Of SGD."""
    weight_decay: NotNegative = 1e-4
    """Of SGD."""
    epochs: Count = 25
    """Passes over the training images."""
    drop_at: Whole = 20
    """Epoch from which the rate is a tenth."""
    batch_size: Count = 120
    """Images a step; the paper's 60 on each of 2 GPUs."""
    augmentation: bool = False
    """Random crops and mirroring; the encoder then runs in every epoch, which takes hours on a CPU.
    Without it stored tokens are used."""
    crop_scale: ShareRange = (0.8, 1.0)
    """`[low, high]` of a crop's share of the image area."""
    train_share: Share = 1.0
    """Share of the training images, drawn by seed; Leopart takes 0.1 of COCO."""
    selection: Selection = "train"
    """Head that is kept: train, that of the last epoch; as_released, that of the best epoch on the
    first 8 batches of the measured images, as Leopart's code. It needs learning_rate."""
    head: PathText | None = None
    """File of a head that an earlier run of this protocol wrote; nothing is trained then."""

    def __post_init__(self) -> None:
        if self.selection == "as_released" and self.learning_rate is None:
            raise ValueError("selection=as_released needs a learning_rate; the paper's is 0.01")
