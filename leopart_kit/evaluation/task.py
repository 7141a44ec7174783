"""The input of a protocol, and its output."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from pydantic import BeforeValidator, Field, SkipValidation

from leopart_kit.backbones import Encoder
from leopart_kit.data import ClassHistogram, SegmentationDataset, check_told_apart, class_histogram
from leopart_kit.evaluation.result import LabelsUsed, Maps, ObjectView
from leopart_kit.evaluation.scores.scoring import Scored
from leopart_kit.evaluation.segmentation_heads import FcnHead, LinearHead
from leopart_kit.evaluation.split_audit import SharedImages
from leopart_kit.evaluation.store.features import FeatureStore, extract_features
from leopart_kit.launch import own_cores
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import Track, quiet
from leopart_kit.settings import Count, Text, Whole, settings


def choose_device(device: str) -> str:
    """`auto` is the GPU where there is one.

    Raises:
        ValueError: a device that torch does not know or that is not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter from a torch without CUDA
        reason = str(error).splitlines()[0]
        if reason.startswith("Expected one of"):  # torch names every kind of device it knows of
            reason = "torch knows cpu, cuda, cuda:1, mps"
        raise ValueError(
            f"device={device} cannot be used here ({reason}); set device=auto or device=cpu"
        ) from error
    return device


def _as_path(value: object) -> object:
    return Path(str(value)).expanduser() if type(value) in (str, int, float) else value


@settings
class Encoding:
    """Reading and encoding of images; nothing here may change a figure by more than rounding."""

    batch_size: Count = 4
    """Images that the encoder sees at once."""
    num_workers: Whole | Literal["auto"] = "auto"
    """Processes that read images; auto: 0 on a CPU, up to 8 beside a GPU."""


@settings
class Running(Encoding):
    """Use of the machine; nothing here may change a figure by more than rounding."""

    device: Text = "auto"
    """auto, cpu, cuda, cuda:1, …"""
    strict: bool = False
    """Stop at the first broken file instead of leaving it out."""


@settings
class Auditing(Running):
    """Running of what learns from one split and is measured on another."""

    shared_images: SharedImages = "stop"
    """Images that both splits hold: stop names them, by_content lets equal names of other pictures
    pass, allow goes on and records them."""


@settings
class RunSettings(Auditing):
    """Running of an evaluation, with what code hands on.

    `track` draws bars. `processes` share the work, and every one returns the same result; several
    need a `cache_dir` that all of them see.

    Raises:
        ValueError: a value of another type or out of range, or a device that is not there.
    """

    cache_dir: Annotated[Path | None, BeforeValidator(_as_path)] = None
    """Folder of the feature stores, shared between runs; null: a temporary one."""
    track: SkipValidation[Track] = Field(default=quiet, exclude=True)
    processes: Processes = Field(default=ALONE, exclude=True)

    def __post_init__(self) -> None:
        if self.cache_dir is None and self.processes.count > 1:
            raise ValueError("several processes share features on disk: set cache_dir")
        # Decided once, so that a device that is not there is told before the work.
        object.__setattr__(self, "device", choose_device(self.device))

    @property
    def workers(self) -> int:
        """Processes that read images."""
        if self.num_workers != "auto":
            return self.num_workers
        # On a CPU they would compete with the encoder.
        return 0 if self.device == "cpu" else min(8, own_cores())


@dataclass(frozen=True)
class Task:
    """One encoder on one data set.

    `usable` are the indices of the images of `dataset` that can be measured; `train` is the
    split that a protocol may fit on, where it asks for one; `prior` is another encoder whose
    attention marks the foreground, for protocols that need one (the measured encoder by default).
    """

    encoder: Encoder
    dataset: SegmentationDataset
    usable: Sequence[int]
    run: RunSettings
    cache_dir: Path
    train: SegmentationDataset | None = None
    prior: Encoder | None = None

    def labels_of(self, dataset: SegmentationDataset) -> ClassHistogram:
        """Class histogram of another split; names masks that are broken.

        Raises `ValueError` as `check_told_apart`.
        """
        run = self.run
        labels = class_histogram(
            dataset, strict=run.strict, track=run.track, processes=run.processes
        )
        check_told_apart(labels, dataset)
        return labels

    def features(self, resolution: tuple[int, int]) -> FeatureStore:
        """Patch tokens of the usable images, see `extract_features`."""
        return self.features_of(self.dataset, self.usable, resolution)

    def features_of(
        self,
        dataset: SegmentationDataset,
        indices: Sequence[int] | None,
        resolution: tuple[int, int],
        encoder: Encoder | None = None,
    ) -> FeatureStore:
        """Patch tokens of the given images of any data set (all by default), of any encoder."""
        return extract_features(
            encoder or self.encoder,
            dataset,
            cache_dir=self.cache_dir,
            resolution=resolution,
            indices=indices,
            batch_size=self.run.batch_size,
            num_workers=self.run.workers,
            device=self.run.device,
            strict=self.run.strict,
            track=self.run.track,
            processes=self.run.processes,
        )


@dataclass(frozen=True)
class Measurement:
    """The parts of a `Result` that depend on the protocol; see there.

    `indices` are the images of the data set that were measured, `broken` those that could not be
    read, with the reason. `class_names` are the predicted classes, for images without masks.
    """

    indices: np.ndarray
    labels_used: LabelsUsed
    timing_seconds: Mapping[str, float]
    scored: Scored = field(default_factory=Scored)
    details: Mapping[str, Any] = field(default_factory=dict)
    broken: Mapping[int, str] = field(default_factory=dict)
    cluster_maps: Maps | None = None
    class_maps: Maps | None = None
    class_names: tuple[str, ...] = ()
    heads: Mapping[int, LinearHead | FcnHead] = field(default_factory=dict)
    objects: ObjectView | None = None


class Clock:
    """Seconds of one stage after another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    def lap(self, stage: str) -> None:
        """The time since the last lap belongs to `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._start
        self._start = now


def view_of(protocol: object, dataset: SegmentationDataset) -> SegmentationDataset:
    """The images of a protocol: the data set itself, or what its method `view` makes of it.

    Masks and pictures of a result are made from the same view: give it to `iter_masks` and
    `collect_samples` too.
    """
    view = getattr(protocol, "view", None)
    return dataset if view is None else view(dataset)


class Numbers(Protocol):
    """A dataclass of a paper's numbers, with the name that it is known by."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    name: ClassVar[str]
    """As on the command line and in results.json."""


class EvaluationProtocol(Numbers, Protocol):
    """A dataclass of a paper's numbers that knows how to measure by them.

    One that looks at crops has a method `view(dataset)` too, see `view_of`.
    """

    def measure(self, task: Task) -> Measurement:
        """Measure; raises `ValueError` for settings that the data cannot satisfy."""
        ...
