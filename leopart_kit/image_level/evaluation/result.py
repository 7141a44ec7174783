"""Result of an image-level evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leopart_kit.evaluation.result import EncoderInfo, LabelsUsed
from leopart_kit.image_level.evaluation.gallery import ClusterView
from leopart_kit.metrics import summarize

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Score:
    """One figure in percent, mean and sample standard deviation over seeds.

    Attributes:
        evaluation: `knn`, `linear`, `low_shot`, `fine_tuning` or `clusters`.
        variant: the layer, the share of labels, or the number of clusters, in words.
        metric: `accuracy`, and for clusters also `purity`, `nmi` and `ari`.
        chosen: what each seed chose without the test images (empty where nothing is chosen).
    """

    evaluation: str
    variant: str
    metric: str
    mean: float
    std: float
    per_seed: tuple[float, ...]
    chosen: tuple[Mapping[str, float], ...] = ()

    @classmethod
    def over_seeds(
        cls,
        evaluation: str,
        variant: str,
        metric: str,
        per_seed: Sequence[float],
        chosen: Sequence[Mapping[str, float]] = (),
    ) -> Score:
        """A score with its mean and spread worked out."""
        mean, std = summarize(per_seed)
        return cls(evaluation, variant, metric, mean, std, tuple(per_seed), tuple(chosen))


@dataclass(frozen=True)
class ImageSets:
    """The images that figures stand on.

    Attributes:
        resolution: side in pixels at which the images were measured.
        chance: accuracy in percent of naming the most frequent class of the test images.
        broken: `{"split", "name", "reason"}` of each image left out.
    """

    name: str
    root: str
    train_split: str
    test_split: str
    num_train: int
    num_test: int
    resolution: int
    class_names: tuple[str, ...]
    chance: float
    broken: tuple[Mapping[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True)
class ImageLevelResult:
    """One encoder measured on whole images, with all that is needed to trust and repeat it.

    `scores` are in the order of the evaluations, the layers in the order of the network.
    `labels_used` says by evaluation which steps saw classes. `clusters` are those of the first
    seed, their examples rows of the test split.
    """

    dataset: ImageSets
    encoder: EncoderInfo
    settings: Mapping[str, Any]
    scores: tuple[Score, ...]
    labels_used: Mapping[str, LabelsUsed]
    timing_seconds: Mapping[str, float]
    peak_memory_mb: float
    versions: Mapping[str, str]
    git_sha: str | None
    clusters: tuple[ClusterView, ...] = ()

    def of(self, evaluation: str, metric: str = "accuracy") -> tuple[Score, ...]:
        """The scores of one evaluation."""
        return tuple(s for s in self.scores if s.evaluation == evaluation and s.metric == metric)
