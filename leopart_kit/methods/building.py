"""The parts that a method is built from, and what building one gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.data import MultiCropSettings, MultiCropTransform, SegmentationDataset
from leopart_kit.data.training_images import Indexed
from leopart_kit.data.unfinished_views import EndView
from leopart_kit.methods.method import Method
from leopart_kit.settings import DropRate, NotNegative, Positive, Probability, settings


@settings
class TrainingDefaults:
    """Training numbers of a method's paper; `epochs` and `trainer` win."""

    epochs: Positive = 50
    """Passes over the images."""
    weight_decay: NotNegative = 0.04
    """At the start."""
    final_weight_decay: NotNegative = 0.5
    """At the end of its cosine."""
    momentum: Probability = 0.9995
    """Of an EMA teacher, at the start."""
    final_momentum: Probability = 1.0
    """At the end of its cosine."""


@settings
class MethodSettings:
    """Settings of every method; each adds its own, and builds its method.

    Class attributes:
        loader: `package.module:function` from the saved weights and the name of the backbone to the
            trained encoder, where that is more than the backbone.
    """

    loader: ClassVar[str | None] = None

    drop_path: DropRate = 0.0
    """Stochastic depth of the last block of a vision transformer, rising from 0."""
    training: TrainingDefaults = TrainingDefaults()
    """The paper's numbers of the training; epochs and trainer win."""

    def build(self, parts: Parts) -> Built:
        """The method, and what it is trained on.

        Raises:
            ValueError: settings that do not fit the encoder or the data.
        """
        raise NotImplementedError


class Built(NamedTuple):
    """A method; its images, alone or each with a value; the transform that draws their views."""

    method: Method
    images: Indexed
    transform: Callable[[Any], Any]


class StoredTokens(Protocol):
    """Patch tokens on disk: `[N, h·w, D]` of all images, those that are there, their grid."""

    @property
    def tokens(self) -> np.ndarray: ...

    @property
    def indices(self) -> np.ndarray: ...

    @property
    def grid(self) -> tuple[int, int]: ...

    def chunks(self, size: int = ..., /) -> Iterator[Tensor]: ...


class ImagesInOrder(Protocol):
    """The images of a training set as they are, without random changes.

    A method that needs passes over the set is built with one and takes its passes in `before_step`.
    The loop needs to know nothing of it. A pass is a function of the weights alone, draws nothing
    at random, and its result belongs into a buffer. So a resumed run, which restores the buffers
    and calls `before_step` for the next step, continues as if it had never stopped.
    """

    def __len__(self) -> int: ...

    def batches(self, start: int, stop: int) -> Iterator[Tensor]:
        """Normalised images `[b, 3, s, s]` number `start` to `stop - 1`."""
        ...


@dataclass(frozen=True)
class Parts:
    """Everything that a method may be built from.

    Attributes:
        encoder: trained in place.
        dataset: the training images.
        views: the settings of overlapping views; image-level methods take their sizes.
        seed: of the run.
        max_steps: optimiser steps of the whole run.
        images_per_step: of all processes together.
        batch_size: images that one process sees at once.
        first: this process fits what others receive from it.
        resumes: a checkpoint will fill the method.
        features: stored patch tokens of a data set at a resolution `(H, W)`, in every process.
        in_order: the training images seen through a transform, for methods that label them.
        end_view: ends random views; the loop finishes those that a worker has left unfinished.
    """

    encoder: Encoder
    dataset: SegmentationDataset
    views: MultiCropSettings
    seed: int
    max_steps: int
    images_per_step: int
    batch_size: int
    first: bool
    resumes: bool
    features: Callable[[SegmentationDataset, tuple[int, int]], StoredTokens]
    in_order: Callable[[Callable[[Tensor], Tensor]], ImagesInOrder]
    end_view: EndView

    def steps(self, epochs: float) -> int:
        """Optimiser steps nearest to a number of passes over the images."""
        return round(epochs * len(self.dataset) / self.images_per_step)


def overlapping_views(parts: Parts) -> MultiCropTransform:
    """The views of dense methods, normalised as the encoder wants them.

    Raises:
        ValueError: a view that is no whole number of patches wide.
    """
    views, encoder = parts.views, parts.encoder
    sizes = {"views.global_size": views.global_size}
    if views.num_local:
        sizes["views.local_size"] = views.local_size
    check_patches(sizes, encoder)
    geometry = vars(views).copy()
    for name in ("jitter", "grey_probability", "blur_probability", "reduced_decoding"):
        del geometry[name]
    look = {"photometric": views.photometric(), "mean": encoder.mean, "std": encoder.std}
    return MultiCropTransform(**geometry, **look, end=parts.end_view)


def check_patches(sizes: Mapping[str, int], encoder: Encoder) -> None:
    """Raise `ValueError` for views of sizes, by setting, that are no whole number of patches."""
    patch = encoder.patch_size
    wrong = {name: size for name, size in sizes.items() if size % patch}
    if wrong:
        advice = (f"{n}={_nearest_multiples(size, patch)}" for n, size in wrong.items())
        raise ValueError(
            f"{', '.join(f'{n}={size}' for n, size in wrong.items())}: no multiple of the patch "
            f"size {patch} of {encoder.name}; set {', '.join(advice)}"
        )


def _nearest_multiples(size: int, patch: int) -> str:
    below = size // patch * patch
    return f"{below} or {below + patch}" if below else str(patch)
