"""Result of an evaluation: every number of a run, and all that is needed to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from leopart_kit.evaluation.segmentation_heads import FcnHead, LinearHead
from leopart_kit.settings import NotNegative, Percent, Text, settings

SCHEMA_VERSION = 1

Maps = Sequence[np.ndarray] | np.ndarray  # of ids, one `[h, w]` an image


@dataclass(frozen=True)
class Summary:
    """A rate in percent over clustering seeds.

    `std` is the sample standard deviation over seeds (0 for one seed); `ci95` is the 95 %
    bootstrap interval over images with the matching held fixed.
    """

    mean: float
    std: float
    per_seed: tuple[float, ...]
    ci95: tuple[float, float]


@dataclass(frozen=True)
class ClassScore:
    """IoU of one class in percent, mean over seeds; `pixels` counts its scored ground truth."""

    id: int
    name: str
    iou: float
    std: float
    ci95: tuple[float, float]
    pixels: int


@dataclass(frozen=True)
class ScoreTable:
    """The scores at one resolution with one refinement.

    `resolution` is `"100x100"` or `"full"` (each mask at its own size); `refinement` is
    `"none"` or the name of the post-processing. The means over classes are those of
    `SegmentationScores`.
    """

    resolution: str
    refinement: str
    miou: Summary
    miou_present: Summary
    miou_union: Summary
    pixel_accuracy: Summary
    per_class: tuple[ClassScore, ...]


@dataclass(frozen=True)
class DatasetInfo:
    """The data a result stands on, and every sample it does not stand on.

    Images without masks have the classes that were predicted for them, if any.
    """

    name: str
    split: str
    root: str
    label_set: str | None
    num_images: int
    num_classes: int
    classes_present: tuple[int, ...]
    class_names: tuple[str, ...]
    broken: tuple[Mapping[str, str], ...] = ()  # {"name", "reason"} of each sample left out
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class EncoderInfo:
    """The encoder that was measured; `sha256` is over its weights and output settings."""

    name: str
    weights: str
    sha256: str


@dataclass(frozen=True)
class Matching:
    """Classes of the clusters: `cluster_to_class[seed]` is `[K]`, −1 for none."""

    rule: str
    cluster_to_class: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True)
class LabelsUsed:
    """Steps that saw ground truth: fitting, choosing settings, naming clusters."""

    fit: bool
    select: bool
    match: bool


@settings
class PublishedFigure:
    """One row of a paper's table, in percent; `None` where the source does not give it."""

    method: Text
    """As the table calls it."""
    encoder: Text
    """As the table calls it."""
    source: Text
    """Paper or page that gives the figure."""
    miou: Percent | None = None
    """Mean IoU."""
    pixel_accuracy: Percent | None = None
    """Share of the pixels that are right."""


@settings
class Benchmark:
    """A paper's settings and the figures published for them."""

    name: Text
    """Of the benchmark."""
    scored_at: Text
    """Resolution of the published figures."""
    tolerance: NotNegative
    """Points by which a repetition may differ for other reasons than the encoder."""
    published: Annotated[tuple[PublishedFigure, ...], Field(strict=False)] = ()
    """Rows of the papers' tables."""
    changed: dict[str, tuple[Any, Any]] = Field(default_factory=dict, exclude=True)
    """Settings that determine the result and are not the benchmark's: its value, and the run's."""


@dataclass(frozen=True)
class ObjectView:
    """The merging of parts into objects, for pictures of the first seed.

    `part_maps` int32 `[N, h, w]` are the parts of the scored images, 0 for background, rows as in
    `Result.image_indices`; `object_of_part` int64 `[K + 1]` gives the object of background and of
    every part, 0 for those without an edge. `edges` are `(part, part, weight)` of the graph in
    which 0 is background. `attention` holds the attention of the prior, one map a head
    `[heads, h', w']` (even attention is 1), of a few images by row; `foreground` bool `[N, h, w]`.
    """

    part_maps: np.ndarray
    object_of_part: np.ndarray
    edges: tuple[tuple[int, int, float], ...]
    attention: Mapping[int, np.ndarray]
    foreground: np.ndarray


@dataclass(frozen=True)
class Result:
    """One evaluation of one encoder on one data set by one protocol.

    `scores` holds every combination of resolution and refinement, the headline first: the
    protocol's own resolution without refinement. It is empty for images without masks.
    `image_names` and `image_indices` name the N images; `cluster_maps` int32 `[N, h, w]` are
    their clusters on the patch grid for the first seed, or predicted maps of any size each.
    Protocols that predict classes directly have `class_maps` uint8 `[N, h, w]` instead, 255 for no
    class, at the size of their choice, and `heads` by seed where they trained any.
    `confusion` is int64 `[C, C + 1]` for the headline and the first seed: rows are the ground
    truth, the last column counts pixels given to no class.
    `per_image` holds, by resolution, int64 `[seeds, N, C, 3]`: true positives, false positives
    and false negatives of each image, from which intervals and paired comparisons are made.
    `objects` is there where parts were merged into objects.
    `details` holds what is particular to the protocol (points the clustering was trained on,
    inertia per seed, explained variance, …).
    """

    protocol: str
    dataset: DatasetInfo
    encoder: EncoderInfo
    settings: Mapping[str, Any]
    scores: tuple[ScoreTable, ...]
    matching: Matching | None
    labels_used: LabelsUsed
    timing_seconds: Mapping[str, float]
    peak_memory_mb: float
    versions: Mapping[str, str]
    git_sha: str | None
    details: Mapping[str, Any] = field(default_factory=dict)
    benchmark: Benchmark | None = None
    confusion: np.ndarray | None = None
    image_names: tuple[str, ...] = ()
    image_indices: np.ndarray | None = None
    cluster_maps: Maps | None = None
    class_maps: Maps | None = None
    heads: Mapping[int, LinearHead | FcnHead] = field(default_factory=dict)
    per_image: Mapping[str, np.ndarray] = field(default_factory=dict)
    objects: ObjectView | None = None

    @property
    def metrics(self) -> dict[str, Summary]:
        """The headline: the first table's summaries by name; empty where nothing was scored."""
        if not self.scores:
            return {}
        first = self.scores[0]
        return {
            "miou": first.miou,
            "miou_present": first.miou_present,
            "miou_union": first.miou_union,
            "pixel_accuracy": first.pixel_accuracy,
        }


@dataclass(frozen=True)
class Sample:
    """One image of a run for pictures: all at the image's own size `[H, W]`."""

    name: str
    image: np.ndarray  # uint8 [H, W, 3]
    target: np.ndarray | None  # int64 [H, W], 255 ignored
    prediction: np.ndarray | None  # int64 [H, W] class ids, None where nothing was matched
    clusters: np.ndarray | None  # int64 [H, W], None where classes were predicted directly
