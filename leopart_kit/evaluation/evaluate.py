"""One call from an encoder and a data set to a `Result`, with the origin of its figures."""

from __future__ import annotations

import inspect
import logging
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from leopart_kit.backbones import EncoderLike, as_encoder
from leopart_kit.backbones.precision import gpu_in_use
from leopart_kit.data import (
    ClassHistogram,
    SegmentationDataset,
    as_dataset,
    check_told_apart,
    class_histogram,
)
from leopart_kit.evaluation.result import Benchmark, DatasetInfo, EncoderInfo, Result
from leopart_kit.evaluation.split_audit import audit_splits
from leopart_kit.evaluation.task import (
    EvaluationProtocol,
    Measurement,
    Numbers,
    RunSettings,
    Task,
    view_of,
)
from leopart_kit.peak_memory import peak_memory_mb, restart_peak
from leopart_kit.settings import read_part

PROTOCOLS = ("leopart_kit.evaluation.protocols",)
"""Packages in which protocols are found by their names."""

_LIBRARIES = ("leopart-kit", "torch", "torchvision", "timm", "numpy", "scipy", "faiss-cpu")

logger = logging.getLogger(__name__)


def evaluate(
    encoder: EncoderLike,
    dataset: object,
    protocol: EvaluationProtocol | str = "overclustering",
    run: RunSettings | None = None,
    *,
    train: object = None,
    prior: EncoderLike | None = None,
    settings: Mapping[str, Any] | None = None,
    benchmark: Benchmark | None = None,
) -> Result:
    """Measure an encoder on a data set by a protocol.

    `evaluate("dino_vits16", "FOLDER")` is all that images with masks need.

    Args:
        encoder: one that is built, a name, or a network of your own, see `as_encoder`.
        dataset: one that is built, a folder, arrays, or a `Dataset` of torch, see `as_dataset`.
        protocol: one that is built, or the name of one, which then has its defaults.
        run: how to run it; the defaults of `RunSettings` if left out.
        train: the split that the protocol may fit on, where it asks for one.
        prior: another encoder whose attention marks the foreground, for protocols that need one.
        settings: what to record as the run's settings; the protocol's own numbers by default.
        benchmark: published figures to show beside the result.

    Returns:
        The figures with all that is needed to repeat them; without masks, clusters only.

    Raises:
        ValueError: settings that the data cannot satisfy; with `run.strict`, a broken file; images
            that `train` shares with the measured ones, unless `run.shared_images` allows them.
        FileNotFoundError: a file of the data set is missing.
        UnknownClassError: a mask holds an id outside the label set.
    """
    run = run or RunSettings()
    asked = _protocol(protocol) if isinstance(protocol, str) else protocol
    network = as_encoder(encoder)
    images = view_of(asked, as_dataset(dataset))
    fitted_on = None if train is None else view_of(asked, as_dataset(train))
    prior_network = None if prior is None else as_encoder(prior)
    audit: dict[str, Any] = {}
    if fitted_on is not None:
        found = run.processes.once(lambda: audit_splits(fitted_on, images, track=run.track))
        found.check(run.shared_images)
        audit["split_audit"] = found.details()

    def measure(usable: Sequence[int]) -> Measurement:
        with tempfile.TemporaryDirectory(prefix="leopart_kit_") as folder:
            cache_dir = Path(folder) if run.cache_dir is None else run.cache_dir
            task = Task(network, images, usable, run, cache_dir, fitted_on, prior_network)
            measured = asked.measure(task)
            return replace(measured, details={**measured.details, **audit})

    return result_of(network, images, asked, run, measure, settings, benchmark)


def _protocol(name: str) -> EvaluationProtocol:
    made = read_part(PROTOCOLS, {"name": name}, "protocol")
    if "task" not in inspect.signature(made.measure).parameters:  # of predictions
        raise ValueError(f"protocol {name!r} measures no encoder; see evaluate_{name}")
    return made


class Source(Protocol):
    """The thing that is measured: an encoder, or a folder of predictions."""

    name: str
    weights: str

    def fingerprint(self) -> str:
        """Changes with what it would give."""
        ...


def result_of(
    source: Source,
    dataset: SegmentationDataset,
    protocol: Numbers,
    run: RunSettings,
    measure: Callable[[Sequence[int]], Measurement],
    settings: Mapping[str, Any] | None,
    benchmark: Benchmark | None,
) -> Result:
    """Read the labels, measure the usable images, and record what determines the result."""
    restart_peak()
    start = time.perf_counter()
    labels = class_histogram(dataset, strict=run.strict, track=run.track, processes=run.processes)
    if dataset.num_classes:
        logger.info("%s %s: %s", dataset.name, dataset.split, labels.summary())
    check_told_apart(labels, dataset)
    timing = {"labels": time.perf_counter() - start}
    measured = measure(labels.usable)
    timing |= measured.timing_seconds
    timing["total"] = sum(timing.values())
    return Result(
        protocol=protocol.name,
        dataset=_dataset_info(dataset, labels, measured),
        encoder=EncoderInfo(source.name, source.weights, source.fingerprint()),
        settings=asdict(protocol) if settings is None else settings,
        scores=measured.scored.scores,
        matching=measured.scored.matching,
        labels_used=measured.labels_used,
        timing_seconds=timing,
        peak_memory_mb=peak_memory_mb(),
        versions=versions(),
        git_sha=git_sha(),
        details=dict(measured.details),
        benchmark=benchmark,
        confusion=measured.scored.confusion,
        image_names=tuple(dataset.names[int(index)] for index in measured.indices),
        image_indices=measured.indices,
        cluster_maps=measured.cluster_maps,
        class_maps=measured.class_maps,
        heads=measured.heads,
        per_image=measured.scored.per_image,
        objects=measured.objects,
    )


def _dataset_info(
    dataset: SegmentationDataset,
    labels: ClassHistogram,
    measured: Measurement,
) -> DatasetInfo:
    reasons = {**labels.broken, **measured.broken}
    broken = tuple(
        {"name": dataset.names[index], "reason": reasons[index]} for index in sorted(reasons)
    )
    if broken:
        logger.warning("%d of %d samples were left out", len(broken), len(dataset))
    # Of the images that were scored, at full size, where no small object is lost; crops may have
    # been scored at their own size alone.
    scores = measured.scored.scores
    full = next((table for table in scores if table.resolution == "full"), next(iter(scores), None))
    present = [score.id for score in full.per_class if score.pixels] if full else []
    names = tuple(dataset.class_names) or measured.class_names
    return DatasetInfo(
        name=dataset.name,
        split=dataset.split,
        root=str(dataset.root),
        label_set=dataset.label_set.name,
        num_images=len(measured.indices),
        num_classes=len(names),
        classes_present=tuple(present),
        class_names=names,
        broken=broken,
        notes=tuple(dataset.notes),
    )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a figure; the GPU in use, if any."""
    found = {"python": platform.python_version()}
    for package in _LIBRARIES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found | gpu_in_use()


def git_sha() -> str | None:
    """The commit of the clone this package runs from (`+changes` where it was edited)."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        sha = _git(root, "rev-parse", "HEAD")
        return f"{sha}+changes" if _git(root, "status", "--porcelain") else sha
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
