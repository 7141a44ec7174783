"""Settings of image-level evaluation, each group in a class of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from leopart_kit.settings import (
    Count,
    NotNegative,
    NotNegatives,
    Positives,
    Seeds,
    ShareRange,
    Shares,
    Temperature,
    Text,
    settings,
    several,
)

Evaluation = Literal["knn", "linear", "low_shot", "fine_tuning", "clusters"]
Pooling = Literal["global", "grid"]
HeldOut = Annotated[float, Field(ge=0.01, le=0.9)]


@settings
class KnnSettings:
    """Weighted nearest neighbours (Wu et al., CVPR 2018, section 3.4; numbers of DINO)."""

    neighbours: Count = 20
    """Training images that vote."""
    temperature: Temperature = 0.07
    """A vote weighs exp(cosine / temperature)."""


@settings
class LinearSettings:
    """A linear classifier on frozen, standardised features (Zhang et al. 2016)."""

    layers: several(Text) | Literal["all"] = "all"  # type: ignore[valid-type]
    """Names of the encoder's layers, or all; output is its image vector."""
    pooling: Pooling = "global"
    """global: mean over a layer's map; grid: cells up to max_features, as for AlexNet."""
    max_features: Count = 9600
    """Of the grid; the AlexNet literature has 9,216 to 9,600."""
    learning_rates: Positives = (0.3, 3.0, 30.0)
    """Tried with each weight decay on held-out training images."""
    weight_decays: NotNegatives = (0.0, 1e-5, 1e-4)
    """Tried with each learning rate."""
    validation_fraction: HeldOut = 0.2
    """Of the training images of each class, held out for that choice."""
    epochs: Count = 50
    """Of SGD with momentum 0.9 and a cosine schedule to 0."""
    batch_size: Count = 256
    """Images a step."""


@settings
class FineTuningSettings:
    """Training the whole network with labels; nothing is chosen, so no label is held out."""

    fractions: Shares = (0.01, 0.1)
    """Of the labels of each class, for low_shot; fine_tuning takes all."""
    epochs: Count = 20
    """Passes over the labelled images."""
    min_steps: Count = 200
    """Steps where the labelled images are few."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Images a step."""
    backbone_learning_rate: NotNegative = 0.01
    """Peak of its cosine schedule, SGD with momentum 0.9."""
    head_learning_rate: NotNegative = 0.1
    """Peak of its cosine schedule."""
    weight_decay: NotNegative = 1e-4
    """Of both."""
    crop_scale: ShareRange = (0.5, 1.0)
    """`[low, high]` of the share of the image that a training crop shows."""


@settings
class ClusterSettings:
    """k-means of the image vectors against the classes."""

    num_clusters: Annotated[int, Field(ge=2)] | None = None
    """K; null: the number of classes."""
    num_iterations: Count = 100
    """Of each k-means, at most."""
    num_restarts: Count = 5
    """Starts of each k-means; the one of lowest inertia is kept."""


@settings
class ImageLevelSettings:
    """Evaluations of whole images.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    evaluations: several(Evaluation) = ("knn", "linear", "clusters")  # type: ignore[valid-type]
    """Any of knn, linear, low_shot, fine_tuning, clusters; low_shot and fine_tuning train."""
    seeds: Seeds = (0, 1, 2)
    """One run each of what depends on chance; nearest neighbours do not."""
    resolution: Count | None = None
    """Side in pixels; null: the first training image's shorter side, at most 224."""
    central_crop: Annotated[float, Field(ge=0.05, le=1)] = 1.0
    """Share of the shorter side; ImageNet's 224 of 256 pixels is 0.875."""
    knn: KnnSettings = Field(default_factory=KnnSettings)
    """Weighted nearest neighbours."""
    linear: LinearSettings = Field(default_factory=LinearSettings)
    """Linear classifier."""
    fine_tuning: FineTuningSettings = Field(default_factory=FineTuningSettings)
    """Training with labels."""
    clusters: ClusterSettings = Field(default_factory=ClusterSettings)
    """k-means."""
