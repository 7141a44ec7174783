"""`leopart-eval-image`: measure an encoder on whole images and their classes."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from leopart_kit.cli.assignments import read_assignments
from leopart_kit.cli.build import build_encoder, build_part, build_run_settings, plain
from leopart_kit.cli.config import keep_settings, run_command
from leopart_kit.cli.saved_networks import save_classifier
from leopart_kit.data.classification import ClassificationDataset, load_classification
from leopart_kit.evaluation.image_level import (
    ClusterSettings,
    FineTuningSettings,
    ImageLevelResult,
    ImageLevelSettings,
    KnnSettings,
    LinearSettings,
    evaluate_image_level,
)
from leopart_kit.methods import ImageClassifier
from leopart_kit.report.filters import first_convolution
from leopart_kit.report.image_level_console import print_image_level
from leopart_kit.report.image_level_json import write_image_level
from leopart_kit.report.image_level_page import write_image_level_page
from leopart_kit.report.output import writable_output_dir

logger = logging.getLogger(__name__)

_GROUPS = {
    "knn": KnnSettings,
    "linear": LinearSettings,
    "fine_tuning": FineTuningSettings,
    "clusters": ClusterSettings,
}


def eval_image_level(config: DictConfig, output_dir: Path) -> None:
    """Evaluate, then write results.json and report.html into `output_dir`."""
    command = shlex.join(["leopart-eval-image", *HydraConfig.get().overrides.task])
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
    write_image_level(result, output_dir)
    write_image_level_page(
        result, test, output_dir, filters=first_convolution(encoder), command=command
    )
    return result


def build_image_level(config: DictConfig) -> ImageLevelSettings:
    """The node `protocol`.

    Raises:
        ValueError: an unknown setting, or a value out of range.
    """
    options = {key: _tuples(value) for key, value in plain(config).items()}
    for name, group in _GROUPS.items():
        options[name] = build_part(group, f"protocol.{name}", options[name])
    return build_part(ImageLevelSettings, "protocol", options)


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


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def main() -> None:
    """Entry point of `leopart-eval-image`."""
    run_command("eval_image_level", eval_image_level)
