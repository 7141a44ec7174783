"""`leopart image`: measure an encoder on whole images and their classes."""

from __future__ import annotations

import logging
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated, Any

from omegaconf import DictConfig
from pydantic import Field
from rich.console import Console

from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.cli.build import build_encoder, build_run_settings, plain
from leopart_kit.cli.commands import Precision, read_command
from leopart_kit.cli.config import keep_settings, run_command
from leopart_kit.cli.declared import PACKAGES
from leopart_kit.cli.repeating import repeated_by
from leopart_kit.evaluation.task import Auditing
from leopart_kit.image_level.data.assignments import read_assignments
from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.image_level.data.loading import load_classification
from leopart_kit.image_level.evaluation import (
    ImageLevelResult,
    ImageLevelSettings,
    evaluate_image_level,
)
from leopart_kit.image_level.networks.image_classifier import ImageClassifier, save_classifier
from leopart_kit.image_level.report.console import print_image_level
from leopart_kit.image_level.report.filters import first_convolution
from leopart_kit.image_level.report.json_file import write_image_level
from leopart_kit.image_level.report.page import write_image_level_page
from leopart_kit.report.results_json import RESULTS_NAME, writable_output_dir
from leopart_kit.settings import Count, Group, PathText, Text, read_settings, settings

logger = logging.getLogger(__name__)


@settings
class ImageLevelCommand(Auditing):
    """Measure an encoder on whole images and their classes."""

    _: KW_ONLY
    dataset: Annotated[Any, Group(PACKAGES["dataset"])]
    encoder: Annotated[EncoderSettings, Group()]
    train_split: Text = "train"
    """Split from which classes may be learned, and on which settings are chosen."""
    test_split: Text = "test"
    """Split that is scored; its classes are seen by nothing else."""
    batch_size: Count = 64
    """Images that the encoder sees at once."""
    output_dir: Text = "outputs/image_level/${now:%Y-%m-%d_%H-%M-%S}"
    """Folder of everything that the run writes."""
    cache_dir: Text = "${output_dir}/features"
    """Folder of extracted features; share one between runs to extract an encoder's once."""
    precision: Precision = "fp32"
    """Of the encoder; bf16 by autocast."""
    assignments: PathText | None = None
    """CSV name,cluster of all test images: clusters of DeepCluster or SeLa."""
    protocol: ImageLevelSettings = Field(default_factory=ImageLevelSettings)
    """Evaluations."""


PART = ImageLevelCommand


def eval_image_level(config: DictConfig, output_dir: Path) -> None:
    """Evaluate, then write results.json and report.html into `output_dir`."""
    read_command(ImageLevelCommand, config)
    command = repeated_by("leopart image", "eval_image_level", config)
    print_image_level(run_image_level(config, output_dir, command), Console())
    logger.info("page: %s", output_dir / "report.html")


def run_image_level(config: DictConfig, output_dir: Path, command: str) -> ImageLevelResult:
    """One evaluation with all it leaves on disk; `command` repeats it."""
    writable_output_dir(output_dir)
    settings = build_image_level(config.protocol)
    run = build_run_settings(config)
    train, test = (build_split(config, key) for key in ("train_split", "test_split"))
    assignments = None
    if config.assignments is not None:
        assignments = read_assignments(Path(config.assignments).expanduser(), test)
    encoder = build_encoder(config.encoder, config.precision)
    keep_settings(config, output_dir)

    def keep(classifier: ImageClassifier) -> None:
        files = save_classifier(classifier, output_dir / "fine_tuned", train.class_names)
        logger.info("fine-tuned classifier: %s and %s", *files)

    result = evaluate_image_level(
        encoder,
        train,
        test,
        settings,
        run,
        assignments=assignments,
        recorded=plain(config),
        on_fine_tuned=keep,
    )
    # The results come last: where they are, everything is, however the run ended.
    (output_dir / RESULTS_NAME).unlink(missing_ok=True)
    write_image_level_page(
        result, test, output_dir, filters=first_convolution(encoder), command=command
    )
    write_image_level(result, output_dir)
    return result


def build_image_level(config: DictConfig) -> ImageLevelSettings:
    """The node `protocol`.

    Raises:
        ValueError: an unknown setting, or a value of another type or out of range.
    """
    return read_settings(ImageLevelSettings, plain(config), "protocol")


def build_split(config: DictConfig, key: str) -> ClassificationDataset:
    """The split of the data set that `train_split` or `test_split` names.

    Raises:
        ValueError: there is none of that name; says which setting to change.
    """
    options = plain(config.dataset)
    name, root = options.pop("name"), Path(options.pop("root")).expanduser()
    for unused in ("split", "label_set"):
        options.pop(unused, None)
    try:
        return load_classification(name, root, config[key], **options)
    except (ValueError, OSError) as error:
        raise ValueError(f"{key}={config[key]}: {error}") from error


def main() -> None:
    """Entry point of `leopart image`."""
    run_command("eval_image_level", eval_image_level)
