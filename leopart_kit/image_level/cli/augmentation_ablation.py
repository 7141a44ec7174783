"""`leopart ablation`: what each augmentation is worth to SeLa or Leopart.

The method is trained with crops, mirroring, colour jitter, grey images and blur. Then each is left
out once, from the same seed. SeLa is measured by linear accuracy on whole images, Leopart by a
dense protocol. What is done is kept in the output folder and not done again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markdown import Markdown

from leopart_kit.cli.build import (
    build_encoder,
    build_protocol,
    build_run_settings,
    plain,
)
from leopart_kit.cli.cells import merge_settings, run_cell
from leopart_kit.cli.commands import Words, read_command
from leopart_kit.cli.config import compose_command, keep_settings, run_command
from leopart_kit.cli.isolated import reason_of_failure
from leopart_kit.cli.repeating import command_for
from leopart_kit.cli.reuse import measurement_identity, same_results
from leopart_kit.cli.trained import train_once
from leopart_kit.image_level.cli.eval_image_level import (
    build_image_level,
    build_split,
    run_image_level,
)
from leopart_kit.image_level.report import read_image_level
from leopart_kit.image_level.report.ablation import (
    Ablation,
    Variant,
    ablation_markdown,
    write_ablation,
)
from leopart_kit.report import read_results, writable_output_dir
from leopart_kit.report.page import PAGE_NAME
from leopart_kit.settings import Seeds, Text, settings, several

logger = logging.getLogger(__name__)

Augmentation = Literal["crop", "flip", "jitter", "grey", "blur"]


@dataclass(frozen=True)
class Study:
    """Training and measurement of a method.

    Attributes:
        everything: settings of `leopart train` that turn all augmentations on.
        without: by augmentation, what turns it off.
        metric: what `measure` returns, in words.
        measured_by: the configuration of the evaluation.
        measure: evaluates a configuration into a folder and returns a figure in percent; the last
            argument is what the configuration was composed from.
        check: raises `ValueError` for an evaluation that does not give that figure.
    """

    everything: tuple[str, ...]
    without: Mapping[str, tuple[str, ...]]
    metric: str
    measured_by: str
    measure: Callable[[DictConfig, Path, Sequence[str]], float]
    check: Callable[[DictConfig], None]


@settings
class AblationCommand:
    """Train with all augmentations and without each of them in turn."""

    study: Literal["sela", "leopart"] = "sela"
    """sela: linear accuracy of whole images; leopart: mIoU of a dense protocol."""
    train: Words = ""  # type: ignore[assignment]
    """Settings of every leopart train, as "recipe=cifar10_sela dataset.root=CIFAR/train"."""
    evaluate: Words = ""  # type: ignore[assignment]
    """Settings of every leopart image (sela) or leopart eval (leopart)."""
    without: several(Augmentation, at_least=0) = get_args(Augmentation)  # type: ignore[valid-type]
    """Augmentations that are left out, one at a time."""
    seeds: Seeds = (0,)
    """Of the trainings; each variant is trained once from each."""
    output_dir: Text = "outputs/augmentation_ablation/${study}"
    """Always the same, so that the next call goes on where this one stopped."""


PART = AblationCommand


def augmentation_ablation(config: DictConfig, output_dir: Path) -> None:
    """Do every cell that is not there yet, and write table and chart after each."""
    asked = read_command(AblationCommand, config)
    writable_output_dir(output_dir)
    study, names, seeds = STUDIES[asked.study], ["all", *asked.without], asked.seeds
    study.check(compose_command(study.measured_by, asked.evaluate))
    keep_settings(config, output_dir)
    variants = {name: Variant(name, {}, {}) for name in names}
    ablation = Ablation(f"{asked.study}: augmentations", study.metric, tuple(variants.values()))
    for seed in seeds:
        for name, variant in variants.items():
            logger.info("%s, seed %d", variant.title, seed)
            folder = output_dir / variant.title.replace(" ", "_") / f"seed_{seed}"

            def cell(
                name: str = name, variant: Variant = variant, seed: int = seed, to: Path = folder
            ) -> None:
                variant.figures[seed] = run_variant(asked, name, seed, to)

            reason = reason_of_failure(cell)
            if reason is not None:
                logger.warning("%s, seed %d failed: %s", variant.title, seed, reason)
                variant.reasons[seed] = reason
            write_ablation(ablation, output_dir)
    Console().print(Markdown(ablation_markdown(ablation)))
    if not any(variant.figures for variant in variants.values()):
        raise ValueError(f"no training came through; {variants['all'].reasons[seeds[0]]}")
    logger.info("chart: %s", output_dir / "ablation.svg")


def run_variant(asked: AblationCommand, name: str, seed: int, folder: Path) -> float:
    """Train and measure one variant in `folder`, as far as that is not done.

    Raises:
        ValueError: the folder holds a training with other settings or on other images.
    """
    study = STUDIES[asked.study]
    words = [
        *study.everything, *asked.train, *study.without.get(name, ()),
        f"method={asked.study}", f"seed={seed}", f"output_dir={folder / 'training'}",
    ]  # fmt: skip
    training = compose_command("train", words)
    if not any("encoder.seed=" in word for word in words):
        merge_settings(training.encoder, {"seed": seed})  # of the weights at the start too
    backbone = train_once(training, folder / "training", words)
    words = list(asked.evaluate)
    evaluation = compose_command(study.measured_by, words)
    node = {**plain(training.encoder), "weights": str(backbone)}
    results = folder / "evaluation"
    merge_settings(evaluation, {"encoder": OmegaConf.create(node), "output_dir": str(results)})
    return study.measure(evaluation, results, words)


def linear_accuracy(config: DictConfig, folder: Path, words: Sequence[str]) -> float:
    """Accuracy of a linear classifier on the last layer that the evaluation names."""
    data = [build_split(config, key) for key in ("test_split", "train_split")]
    encoder = build_encoder(config.encoder, config.precision)
    identity = measurement_identity(plain(config), encoder, data)
    merge_settings(config, {"identity": identity.sha256})
    document = same_results(read_image_level, folder, identity, data)
    if document is not None and (folder / PAGE_NAME).is_file():
        logger.info("reused %s", folder)
        return [s["mean"] for s in document["scores"] if s["evaluation"] == "linear"][-1]
    command = command_for("leopart image", "eval_image_level", words, config)
    return run_image_level(config, folder, command).of("linear")[-1].mean


def dense_miou(config: DictConfig, folder: Path, words: Sequence[str]) -> float:
    """mIoU of a dense protocol."""
    encoder = build_encoder(config.encoder, config.precision)
    run_cell(config, encoder, folder, build_run_settings(config), words)
    return read_results(folder)["metrics"]["miou"]["mean"]


def _check_linear(config: DictConfig) -> None:
    if "linear" not in build_image_level(config.protocol).evaluations:
        raise ValueError("evaluate must measure linear accuracy: add linear to its evaluations")


def _check_dense(config: DictConfig) -> None:
    build_protocol(config.protocol)


_OF_VIEWS: dict[str, tuple[str, ...]] = {
    "flip": ("views.flip_probability=0.0",),
    "jitter": ("views.jitter=0.0",),
    "grey": ("views.grey_probability=0.0",),
    "blur": ("views.blur_probability=0.0",),
}

STUDIES = {
    "sela": Study(
        everything=("++method.views.image.blur_probability=0.5",),
        without={
            "crop": ("method.views.image.scale=[1.0,1.0]",),
            "flip": ("method.views.image.flip_probability=0.0",),
            "jitter": ("method.views.image.jitter=0.0",),
            "grey": ("method.views.image.grey_probability=0.0",),
            "blur": ("++method.views.image.blur_probability=0.0",),
        },
        metric="linear accuracy, %",
        measured_by="eval_image_level",
        measure=linear_accuracy,
        check=_check_linear,
    ),
    "leopart": Study(
        everything=("views.flip_probability=0.5",),
        without={
            "crop": ("views.global_scale=[1.0,1.0]", "views.local_scale=[1.0,1.0]"),
            **_OF_VIEWS,
        },
        metric="mIoU, %",
        measured_by="eval_segmentation",
        measure=dense_miou,
        check=_check_dense,
    ),
}


def main() -> None:
    """Entry point of `leopart ablation`."""
    run_command("augmentation_ablation", augmentation_ablation)
