"""Settings of classifiers of single patches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from leopart_kit.settings import Seeds, Size, Text, settings


@settings
class PatchClassifierSettings:
    """Settings of nearest neighbours and logistic regression on patches; the numbers are CAPI's.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    train_split: Text | None = "train"
    """Split of the data set whose patches are learned from."""
    seeds: Seeds = (0,)
    """One choice each, on other held-out images."""
    resolution: Size = (224, 224)
    """`[H, W]` to which images are resized, in pixels."""
    score_resolution: Size = (224, 224)
    """`[H, W]` at which the headline is scored; full size is scored too."""
    holdout: Annotated[float, Field(gt=0, le=0.9)] = 0.1
    """Share of the training images on which a setting is chosen; the last fit sees all of them."""
