"""One call from an encoder and a data set to a `Result`."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder import grid_size
from leopart_kit.data import ClassHistogram, SegmentationDataset, class_histogram
from leopart_kit.evaluation import provenance
from leopart_kit.evaluation.features import FeatureStore, extract_features
from leopart_kit.evaluation.overclustering import Overclustering, check_whole, match_clusters
from leopart_kit.evaluation.result import (
    Benchmark,
    DatasetInfo,
    EncoderInfo,
    LabelsUsed,
    Matching,
    Result,
    ScoreTable,
)
from leopart_kit.evaluation.scoring import (
    confusion_of_classes,
    count_cluster_maps,
    resolution_name,
    score_table,
)
from leopart_kit.evaluation.token_clustering import (
    ClusterMaps,
    check_enough_patches,
    cluster_tokens,
)
from leopart_kit.progress import Track, quiet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSettings:
    """How to run, not what to measure: nothing here may change a figure by more than rounding.

    Attributes:
        cache_dir: folder of the feature stores; runs that share it share features. `None` keeps
            them in a temporary folder for the time of the run.
        strict: stop at the first broken image or mask, instead of leaving it out and naming it.
    """

    cache_dir: Path | None = None
    batch_size: int = 4
    num_workers: int = 0
    device: str = "cpu"
    strict: bool = False
    track: Track = quiet

    def __post_init__(self) -> None:
        check_whole("batch_size", self.batch_size, minimum=1)
        check_whole("num_workers", self.num_workers, minimum=0)
        if not isinstance(self.strict, bool):
            raise ValueError(f"strict must be true or false, got {self.strict!r}")


def evaluate(
    encoder: Encoder,
    dataset: SegmentationDataset,
    protocol: Overclustering,
    run: RunSettings | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    benchmark: Benchmark | None = None,
) -> Result:
    """Measure an encoder on a data set by a protocol.

    Args:
        run: how to run it; the defaults of `RunSettings` if left out.
        settings: what to record as the run's settings; the protocol's own numbers by default.
        benchmark: published figures to show beside the result.

    Returns:
        The figures with all that is needed to repeat them; without masks, clusters only.

    Raises:
        ValueError: settings that the data cannot satisfy; with `run.strict`, a broken file.
        FileNotFoundError: a file of the data set is missing.
        UnknownClassError: a mask holds an id outside the label set.
    """
    run = run or RunSettings()
    settings = asdict(protocol) if settings is None else settings
    if run.cache_dir is not None:
        return _measure(encoder, dataset, protocol, run, run.cache_dir, settings, benchmark)
    with tempfile.TemporaryDirectory(prefix="leopart_kit_") as folder:
        return _measure(encoder, dataset, protocol, run, Path(folder), settings, benchmark)


def _measure(
    encoder: Encoder,
    dataset: SegmentationDataset,
    protocol: Overclustering,
    run: RunSettings,
    cache_dir: Path,
    settings: Mapping[str, Any],
    benchmark: Benchmark | None,
) -> Result:
    num_clusters = protocol.resolve_num_clusters(dataset.num_classes)
    timing: dict[str, float] = {}
    start = time.perf_counter()
    labels = class_histogram(dataset, strict=run.strict, track=run.track)
    if dataset.num_classes:
        logger.info("%s %s:\n  %s", dataset.name, dataset.split, "\n  ".join(labels.lines()))
    # Before hours of extraction, though broken images may leave fewer.
    rows, columns = grid_size(*protocol.resolution, encoder.patch_size)
    check_enough_patches(num_clusters, len(labels.usable), rows * columns)
    timing["labels"] = time.perf_counter() - start

    start = time.perf_counter()
    store = extract_features(
        encoder,
        dataset,
        cache_dir=cache_dir,
        resolution=protocol.resolution,
        indices=labels.usable,
        batch_size=run.batch_size,
        num_workers=run.num_workers,
        device=run.device,
        strict=run.strict,
        track=run.track,
    )
    timing["features"] = time.perf_counter() - start
    clusters = cluster_tokens(store, protocol, num_clusters, device=run.device, track=run.track)
    timing |= clusters.timing_seconds

    start = time.perf_counter()
    scored: dict[str, Any] = {"scores": (), "matching": None}
    if dataset.num_classes:
        scored = _score(dataset, protocol, clusters, run.track)
    timing["scoring"] = time.perf_counter() - start
    timing["total"] = sum(timing.values())
    return Result(
        protocol=protocol.name,
        dataset=_dataset_info(dataset, labels, store, scored["scores"]),
        encoder=EncoderInfo(encoder.name, encoder.weights, encoder.fingerprint()),
        settings=settings,
        labels_used=LabelsUsed(fit=False, select=False, match=dataset.num_classes > 0),
        timing_seconds=timing,
        peak_memory_mb=provenance.peak_memory_mb(),
        versions=provenance.versions(),
        git_sha=provenance.git_sha(),
        details=dict(clusters.details),
        benchmark=benchmark,
        image_indices=store.indices,
        image_names=tuple(dataset.names[index] for index in store.indices),
        cluster_maps=clusters.maps[protocol.seeds[0]],
        **scored,
    )


def _score(
    dataset: SegmentationDataset, protocol: Overclustering, clusters: ClusterMaps, track: Track
) -> dict[str, Any]:
    """The scored fields of a `Result`: clusters are matched at the headline's resolution."""
    counts = count_cluster_maps(
        dataset,
        clusters.indices,
        clusters.maps,
        clusters.num_clusters,
        resolution=protocol.resolution,
        score_resolution=protocol.score_resolution,
        track=track,
    )
    headline = counts[resolution_name(protocol.score_resolution)]
    rule = protocol.resolve_rule(dataset.num_classes)
    unmatched = 0 if dataset.has_background else -1
    classes = {
        seed: match_clusters(per_image.total(), rule, unmatched)
        for seed, per_image in headline.items()
    }
    tables, per_image_outcomes = [], {}
    for name, by_seed in counts.items():
        table, outcomes = score_table(by_seed, classes, dataset.class_names, resolution=name)
        tables.append(table)
        per_image_outcomes[name] = outcomes
    first = protocol.seeds[0]
    return {
        "scores": tuple(tables),
        "matching": Matching(rule, {seed: tuple(c.tolist()) for seed, c in classes.items()}),
        "confusion": confusion_of_classes(headline[first].total(), classes[first]),
        "per_image": per_image_outcomes,
    }


def _dataset_info(
    dataset: SegmentationDataset,
    labels: ClassHistogram,
    store: FeatureStore,
    scores: tuple[ScoreTable, ...],
) -> DatasetInfo:
    reasons = {**labels.broken, **store.broken}
    broken = tuple(
        {"name": dataset.names[index], "reason": reasons[index]} for index in sorted(reasons)
    )
    if broken:
        logger.warning("%d of %d samples were left out", len(broken), len(dataset))
    # Of the images that were scored, at full size, where no small object is lost.
    present = [score.id for score in scores[-1].per_class if score.pixels] if scores else []
    return DatasetInfo(
        name=dataset.name,
        split=dataset.split,
        root=str(dataset.root),
        label_set=dataset.label_set.name,
        num_images=len(store),
        num_classes=dataset.num_classes,
        classes_present=tuple(present),
        class_names=tuple(dataset.class_names),
        broken=broken,
        notes=tuple(dataset.notes),
    )
