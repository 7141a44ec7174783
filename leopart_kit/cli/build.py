"""From configuration nodes to built parts: the only place that reads names."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.cli.commands import read_predictions
from leopart_kit.cli.declared import PACKAGES
from leopart_kit.data import SegmentationDataset
from leopart_kit.data.loading import open_dataset, read_dataset
from leopart_kit.evaluation import Benchmark, EvaluationProtocol, RunSettings
from leopart_kit.evaluation.protocols.predictions.folder import PredictionFolder
from leopart_kit.evaluation.protocols.predictions.protocol import Predictions
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import quiet, rich_progress
from leopart_kit.settings import declared, read_part, read_settings


def build_dataset(config: DictConfig) -> SegmentationDataset:
    """The data set of the group `dataset`."""
    return open_dataset(read_dataset(plain(config)))


def build_encoder(config: DictConfig, precision: str, drop_path_rate: float = 0.0) -> Encoder:
    """The encoder of the group `encoder`."""
    settings = read_settings(EncoderSettings, plain(config), "encoder")
    return settings.load(precision, drop_path_rate)  # type: ignore[arg-type]


def build_protocol(config: DictConfig) -> EvaluationProtocol:
    """The protocol of the group `protocol`.

    Raises:
        ValueError: an unknown protocol, an unknown setting, or a value out of range.
    """
    return read_part(PACKAGES["protocol"], plain(config), "protocol")


def build_predictions(config: DictConfig) -> tuple[PredictionFolder, Predictions]:
    """The folder of the group `predictions` and how it is scored.

    Raises:
        FileNotFoundError: the folder does not exist or holds no prediction.
        ValueError: an unknown setting, or a value out of range.
    """
    folder, protocol = read_predictions(plain(config))
    return PredictionFolder(folder.root, folder.name), protocol


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


def build_benchmark(config: DictConfig | None) -> Benchmark | None:
    """The published figures of the group `benchmark`, if one was chosen."""
    return None if config is None else read_settings(Benchmark, plain(config), "benchmark")


def build_run_settings(config: DictConfig, processes: Processes = ALONE) -> RunSettings:
    """The run's settings, from those beside the groups; bars are drawn by one process."""
    names = [setting.name for setting in declared(RunSettings)]
    options = {name: value for name, value in plain(config).items() if name in names}
    track = rich_progress if processes.first else quiet
    return RunSettings(**options, track=track, processes=processes)


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved values of a node."""
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    if not isinstance(values, dict):
        raise ValueError(f"expected a mapping, got {type(values).__name__}")
    return {str(key): value for key, value in values.items()}
