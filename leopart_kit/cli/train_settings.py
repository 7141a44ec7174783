"""Settings of `leopart train`."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, Any, Literal

from pydantic import Field

from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.cli.commands import Accelerator, Precision, Words
from leopart_kit.cli.declared import PACKAGES
from leopart_kit.data import MultiCropSettings
from leopart_kit.evaluation.task import Encoding
from leopart_kit.settings import (
    Count,
    Group,
    Percent,
    Positive,
    Seed,
    Text,
    Whole,
    settings,
    several,
)
from leopart_kit.training import TrainingSettings


@settings
class TrainerSettings(TrainingSettings):
    """Numbers of the training loop, some of which follow from others."""

    max_steps: Count | None = None  # type: ignore[assignment]
    """Steps after which the schedules end and training stops; null: epochs decide."""
    evaluate_every: Count | None = None  # type: ignore[assignment]
    """Steps between evaluations; null: only before and after."""

    def __post_init__(self) -> None:
        """The schedules are checked once it is known how long they are."""


@settings
class TrainEvaluation(Encoding):
    """Measures and pictures that show the effect of the training; all processes share the work."""

    _: KW_ONLY
    dataset: Annotated[Any, Group(PACKAGES["dataset"])] = None
    protocol: Annotated[Any, Group(PACKAGES["protocol"])] = None
    unlabelled_images: Count = 64
    """Training images for pictures, where no labelled set is given."""
    page_images: Whole = 8
    """Images shown on the page."""


@settings
class Reproduce:
    """Evaluations of eval/benchmark at the end, the expected figure beside each."""

    benchmarks: Literal["all"] | several(Text, at_least=0) = ()  # type: ignore[valid-type]
    """Names, or all."""
    roots: dict[str, Text | None] = Field(
        default_factory=lambda: dict.fromkeys(("voc", "coco_stuff", "cityscapes"))
    )
    """Folders of their data sets."""
    expected: dict[str, Percent] = Field(default_factory=dict)
    """mIoU by benchmark: what the paper reports for this recipe."""


@settings
class TrainCommand:
    """Train an encoder without labels, and show what it changed."""

    dataset: Annotated[Any, Group(PACKAGES["dataset"])]
    encoder: Annotated[EncoderSettings, Group()]
    method: Annotated[Any, Group(PACKAGES["method"])]
    output_dir: Text = "outputs/train/${now:%Y-%m-%d_%H-%M-%S}"
    """Folder of everything that the run writes; a run that was broken off goes on in it."""
    cache_dir: Text = "${output_dir}/features"
    """Folder of extracted features."""
    accelerator: Accelerator = "auto"
    """Kind of device; several processes: torchrun --nproc-per-node=N tools/train.py …"""
    precision: Precision = "fp32"
    """Of the training; bf16 by autocast."""
    backbone_precision: Literal["fp32", "fp16"] = "fp32"
    """Of backbone.safetensors; fp16 is half the size."""
    batch_size: Count = 32
    """Images a step in each process."""
    num_workers: Whole | Literal["auto"] = "auto"
    """Processes that read images."""
    seed: Seed = 0
    """Of all that is drawn at random."""
    epochs: Positive = 50
    """Passes over the data set, unless trainer.max_steps says otherwise."""
    logger: str | several(str, at_least=0) = "tensorboard"  # type: ignore[valid-type]
    """Loggers of the curves besides metrics.jsonl: tensorboard, csv, wandb, a list of them, or [];
    package.module:Class is your own."""
    rounds: Count | Annotated[tuple[Words, ...], Field(strict=False, min_length=1)] = 1
    """Trainings one after the other; each starts from what the one before has learned, and has that
    for its teacher. Their number, or what each changes: ["", "recipe=neco_cpu_minutes"]; settings
    method.* hold where the round chooses no method of its own."""
    trainer: TrainerSettings = Field(default_factory=TrainerSettings)
    """Training loop."""
    views: MultiCropSettings = Field(default_factory=MultiCropSettings)
    """Overlapping views of dense methods; image-level methods take the two sizes."""
    evaluation: TrainEvaluation = Field(default_factory=TrainEvaluation)
    """Measures and pictures that show the effect of the training."""
    reproduce: Reproduce = Field(default_factory=Reproduce)
    """Evaluations of papers at the end."""
