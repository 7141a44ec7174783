"""From configuration nodes to built parts: the only place that reads names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.evaluation import Benchmark, Overclustering, PublishedFigure


def build_dataset(config: DictConfig) -> SegmentationDataset:
    """The data set of the group `dataset`."""
    options = plain(config)
    name, root, split = (options.pop(key) for key in ("name", "root", "split"))
    # The label sets of Cityscapes are called 19 and 27, which YAML reads as numbers.
    label_set = options.pop("label_set", None)
    label_set = None if label_set is None else str(label_set)
    return load_dataset(name, Path(root).expanduser(), split, label_set, **options)


def build_encoder(config: DictConfig, precision: str) -> Encoder:
    """The encoder of the group `encoder`."""
    options: dict[str, Any] = plain(config)
    return load_encoder(options.pop("name"), options.pop("weights"), precision=precision, **options)


def build_protocol(config: DictConfig) -> Overclustering:
    """The protocol of the group `protocol`.

    Raises:
        ValueError: an unknown protocol name.
    """
    options = plain(config)
    name = options.pop("name")
    if name != "overclustering":
        raise ValueError(f"unknown protocol {name!r}; there is: overclustering")
    return Overclustering(
        **{key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    )


def build_benchmark(config: DictConfig | None) -> Benchmark | None:
    """The published figures of the group `benchmark`, if one was chosen."""
    if config is None:
        return None
    options = plain(config)
    published = tuple(PublishedFigure(**row) for row in options.pop("published"))
    return Benchmark(published=published, **options)


def choose_device(device: str) -> str:
    """`auto` is the GPU where there is one."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_num_workers(num_workers: int | str, device: str) -> int:
    """`auto`: none on a CPU, where they would compete with the encoder, else up to 8."""
    if num_workers != "auto":
        return int(num_workers)
    return 0 if device == "cpu" else min(8, os.cpu_count() or 1)


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved values of a node."""
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    if not isinstance(values, dict):
        raise ValueError(f"expected a mapping, got {type(values).__name__}")
    return {str(key): value for key, value in values.items()}
