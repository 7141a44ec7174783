"""The numbers of image-level evaluation, each group in a dataclass that names a wrong one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from leopart_kit.evaluation.settings import (
    check_choice,
    check_number,
    check_seeds,
    check_whole,
)

Evaluation = Literal["knn", "linear", "low_shot", "fine_tuning", "clusters"]
Pooling = Literal["global", "grid"]


@dataclass(frozen=True)
class KnnSettings:
    """Weighted nearest neighbours (Wu et al., CVPR 2018, section 3.4; numbers of DINO).

    Attributes:
        neighbours: training images that vote.
        temperature: a vote weighs exp(cosine / temperature).
    """

    neighbours: int = 20
    temperature: float = 0.07

    def __post_init__(self) -> None:
        check_whole("knn.neighbours", self.neighbours, minimum=1)
        check_number("knn.temperature", self.temperature, 1e-4, 1e4)


@dataclass(frozen=True)
class LinearSettings:
    """A linear classifier on frozen, standardised features (Zhang et al. 2016; AlexNet literature).

    Attributes:
        layers: `all`, or names of the encoder's layers; `output` is its image vector.
        pooling: `global` takes the mean over a layer's map; `grid` pools it to the largest square
            of cells that stays within `max_features`.
        max_features: 9,600 gives the 9,216 to 9,600 features of the AlexNet literature.
        learning_rates, weight_decays: every pair is tried, on a part of the training images.
        validation_fraction: of the training images of each class, held out for that choice.
        epochs, batch_size: of SGD with momentum 0.9 and a cosine schedule to 0.
    """

    layers: tuple[str, ...] | Literal["all"] = "all"
    pooling: Pooling = "global"
    max_features: int = 9600
    learning_rates: tuple[float, ...] = (0.3, 3.0, 30.0)
    weight_decays: tuple[float, ...] = (0.0, 1e-5, 1e-4)
    validation_fraction: float = 0.2
    epochs: int = 50
    batch_size: int = 256

    def __post_init__(self) -> None:
        named = isinstance(self.layers, tuple) and self.layers
        if self.layers != "all" and not (named and all(isinstance(n, str) for n in self.layers)):
            raise ValueError(f"linear.layers must be all or a list of names, got {self.layers!r}")
        check_choice("linear.pooling", self.pooling, get_args(Pooling))
        for name, low in (("learning_rates", 1e-8), ("weight_decays", 0.0)):
            _check_numbers(f"linear.{name}", getattr(self, name), low, 1e8)
        check_number("linear.validation_fraction", self.validation_fraction, 0.01, 0.9)
        for name in ("max_features", "epochs", "batch_size"):
            check_whole(f"linear.{name}", getattr(self, name), minimum=1)


@dataclass(frozen=True)
class FineTuningSettings:
    """Training the whole network with labels; nothing is chosen, so no label is held out.

    Attributes:
        fractions: shares of the training images of each class for `low_shot`; `fine_tuning` takes
            all of them.
        epochs: passes over the labelled images, and `min_steps` where those are few.
        backbone_learning_rate, head_learning_rate: peaks of the cosine schedules of SGD with
            momentum 0.9.
        crop_scale: range of the share of the image that a training crop shows.
    """

    fractions: tuple[float, ...] = (0.01, 0.1)
    epochs: int = 20
    min_steps: int = 200
    batch_size: int = 64
    backbone_learning_rate: float = 0.01
    head_learning_rate: float = 0.1
    weight_decay: float = 1e-4
    crop_scale: tuple[float, float] = (0.5, 1.0)

    def __post_init__(self) -> None:
        _check_numbers("fine_tuning.fractions", self.fractions, 1e-6, 1.0)
        check_whole("fine_tuning.epochs", self.epochs, minimum=1)
        check_whole("fine_tuning.batch_size", self.batch_size, minimum=2)
        check_whole("fine_tuning.min_steps", self.min_steps, minimum=1)
        for name in ("backbone_learning_rate", "head_learning_rate", "weight_decay"):
            check_number(f"fine_tuning.{name}", getattr(self, name), 0.0, 1e4)
        _check_numbers("fine_tuning.crop_scale", self.crop_scale, 1e-3, 1.0)
        if len(self.crop_scale) != 2 or self.crop_scale[0] > self.crop_scale[1]:
            raise ValueError(
                f"fine_tuning.crop_scale must be [low, high], got {list(self.crop_scale)}"
            )


@dataclass(frozen=True)
class ClusterSettings:
    """k-means of the image vectors against the classes.

    Attributes:
        num_clusters: K; `None` takes the number of classes.
        num_iterations, num_restarts: of k-means, see `clustering.KMeans`.
    """

    num_clusters: int | None = None
    num_iterations: int = 100
    num_restarts: int = 5

    def __post_init__(self) -> None:
        if self.num_clusters is not None:
            check_whole("clusters.num_clusters", self.num_clusters, minimum=2)
        for name in ("num_iterations", "num_restarts"):
            check_whole(f"clusters.{name}", getattr(self, name), minimum=1)


@dataclass(frozen=True)
class ImageLevelSettings:
    """What is measured, and on which images.

    Attributes:
        evaluations: any of `knn`, `linear`, `low_shot`, `fine_tuning`, `clusters`.
        seeds: one run each of whatever depends on chance; nearest neighbours do not.
        resolution: side in pixels to which images are resized; `None` takes the shorter side of the
            first training image, at most 224.
        central_crop: share of the shorter side that the evaluated central square is wide; 0.875 is
            ImageNet's 224 of 256 pixels.

    Raises:
        ValueError: a value of the wrong kind or out of range; names the setting.
    """

    evaluations: tuple[Evaluation, ...] = ("knn", "linear", "clusters")
    seeds: tuple[int, ...] = (0, 1, 2)
    resolution: int | None = None
    central_crop: float = 1.0
    knn: KnnSettings = field(default_factory=KnnSettings)
    linear: LinearSettings = field(default_factory=LinearSettings)
    fine_tuning: FineTuningSettings = field(default_factory=FineTuningSettings)
    clusters: ClusterSettings = field(default_factory=ClusterSettings)

    def __post_init__(self) -> None:
        if not isinstance(self.evaluations, tuple | list) or not self.evaluations:
            raise ValueError(
                f"evaluations must be a list of {', '.join(get_args(Evaluation))}, got "
                f"{self.evaluations!r}"
            )
        for name in self.evaluations:
            check_choice("evaluations", name, get_args(Evaluation))
        if len(set(self.evaluations)) < len(self.evaluations):
            raise ValueError(f"evaluations must be distinct, got {list(self.evaluations)}")
        check_seeds(self.seeds)
        if self.resolution is not None:
            check_whole("resolution", self.resolution, minimum=1)
        check_number("central_crop", self.central_crop, 0.05, 1.0)


def _check_numbers(name: str, values: object, low: float, high: float) -> None:
    if not isinstance(values, tuple | list) or not values:
        raise ValueError(f"{name} must be a list in square brackets, got {values!r}")
    for value in values:
        check_number(name, value, low, high)
