"""From configuration nodes to built parts: the only place that reads names."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig, OmegaConf

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.evaluation import (
    Benchmark,
    EvaluationProtocol,
    FcnProbe,
    InContext,
    LinearProbe,
    Overclustering,
    PredictionFolder,
    Predictions,
    PublishedFigure,
    RunSettings,
    SearchSpace,
    Unsupervised,
    Unsupervised27,
)
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import quiet, rich_progress

T = TypeVar("T")

_PROTOCOLS: Mapping[str, type[EvaluationProtocol]] = {
    "overclustering": Overclustering,
    "linear": LinearProbe,
    "fcn": FcnProbe,
    "in_context": InContext,
    "unsupervised_27": Unsupervised27,
}


def build_dataset(config: DictConfig) -> SegmentationDataset:
    """The data set of the group `dataset`."""
    options = plain(config)
    name, root, split = (options.pop(key) for key in ("name", "root", "split"))
    # The label sets of Cityscapes are called 19 and 27, which YAML reads as numbers.
    label_set = options.pop("label_set", None)
    label_set = None if label_set is None else str(label_set)
    return load_dataset(name, Path(root).expanduser(), split, label_set, **options)


def build_encoder(config: DictConfig, precision: str, drop_path_rate: float = 0.0) -> Encoder:
    """The encoder of the group `encoder`."""
    run = {"precision": precision, "drop_path_rate": drop_path_rate}
    return build_part(load_encoder, "encoder", {**plain(config), **run})


def build_protocol(config: DictConfig) -> EvaluationProtocol:
    """The protocol of the group `protocol`; `train_split` and `prior` are built elsewhere.

    Raises:
        ValueError: an unknown protocol name, an unknown setting, or a value out of range.
    """
    options = {key: _tuples(value) for key, value in plain(config).items()}
    name = options.pop("name")
    for key in ("train_split", "prior"):
        options.pop(key, None)
    if name == "unsupervised":
        search = build_part(SearchSpace, "protocol.search", options.pop("search"))
        return build_part(Unsupervised, "protocol", {**options, "search": search})
    if name not in _PROTOCOLS:
        known = ", ".join(sorted([*_PROTOCOLS, "predictions", "unsupervised"]))
        raise ValueError(f"unknown protocol {name!r}; there is: {known}")
    return build_part(_PROTOCOLS[name], "protocol", options)


def build_predictions(config: DictConfig) -> tuple[PredictionFolder, Predictions]:
    """The folder of the group `predictions` and how it is scored.

    Raises:
        FileNotFoundError: the folder does not exist or holds no prediction.
        ValueError: an unknown setting, or a value out of range.
    """
    options = {key: _tuples(value) for key, value in plain(config).items()}
    root, name = options.pop("root"), options.pop("name")
    protocol = build_part(Predictions, "predictions", options)
    return PredictionFolder(root, name), protocol


def build_train_split(config: DictConfig) -> SegmentationDataset | None:
    """The split of the data set that the protocol may fit on, where it asks for one.

    Raises:
        ValueError: the data set has no such split.
    """
    split = config.protocol.get("train_split")
    if split is None:
        return None
    try:
        return build_dataset(OmegaConf.merge(config.dataset, {"split": split}))  # type: ignore[arg-type]
    except (ValueError, OSError) as error:
        raise ValueError(
            f"no training images: {error}; set protocol.train_split to another split, or to null "
            "where the protocol can do with the images that are measured"
        ) from error


def build_prior(config: DictConfig) -> Encoder | None:
    """The encoder whose attention marks the foreground, where the protocol names another one."""
    prior = config.protocol.get("prior")
    return None if prior is None else build_encoder(prior, config.precision)


def _tuples(value: Any) -> Any:
    """Lists as tuples, at any depth."""
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def build_benchmark(config: DictConfig | None) -> Benchmark | None:
    """The published figures of the group `benchmark`, if one was chosen."""
    if config is None:
        return None
    options = plain(config)
    published = tuple(
        build_part(PublishedFigure, "benchmark.published", row) for row in options.pop("published")
    )
    return build_part(Benchmark, "benchmark", {"published": published, **options})


def build_run_settings(config: DictConfig, processes: Processes = ALONE) -> RunSettings:
    """How to run, from the settings beside the groups; bars are drawn by one process."""
    device = choose_device(str(config.device))
    return RunSettings(
        cache_dir=Path(config.cache_dir).expanduser(),
        batch_size=config.batch_size,
        num_workers=choose_num_workers(config.num_workers, device),
        device=device,
        strict=config.strict,
        track=rich_progress if processes.first else quiet,
        processes=processes,
    )


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
        raise ValueError(
            f"device={device} cannot be used here ({reason}); set device=auto or device=cpu"
        ) from error
    return device


def choose_num_workers(num_workers: int | str, device: str) -> int:
    """`auto`: none on a CPU, where they would compete with the encoder, else up to 8."""
    if num_workers == "auto":
        return 0 if device == "cpu" else min(8, os.cpu_count() or 1)
    if not isinstance(num_workers, int):
        raise ValueError(f"num_workers must be auto or a whole number, got {num_workers!r}")
    return num_workers


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved values of a node."""
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    if not isinstance(values, dict):
        raise ValueError(f"expected a mapping, got {type(values).__name__}")
    return {str(key): value for key, value in values.items()}


def build_part(make: Callable[..., T], group: str, options: Mapping[str, Any]) -> T:
    """`make(**options)`; an option it does not have is the user's mistake, not a `TypeError`."""
    known = inspect.signature(make).parameters
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ValueError(f"{group} has no setting {unknown[0]!r}; it has {', '.join(known)}")
    return make(**options)
