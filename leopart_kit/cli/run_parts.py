"""The parts of a training, built from what the command line said: method, samples, numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lightning_fabric import Fabric
from omegaconf import DictConfig, OmegaConf, open_dict

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import build_dataset, plain
from leopart_kit.cli.declared import PACKAGES, node_of_value
from leopart_kit.data import ImagesOf, MultiCropSettings, SegmentationDataset
from leopart_kit.data.least_image import decoded_for
from leopart_kit.data.unfinished_views import finish_view, leave_unfinished
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.methods import Method, MethodSettings, Parts
from leopart_kit.progress import quiet, rich_progress
from leopart_kit.settings import read_part, read_settings
from leopart_kit.training import (
    OrderedImages,
    SeededSamples,
    TrainingLoader,
    TrainingSettings,
    build_fabric,
    default_num_workers,
    list_checkpoints,
    processes_of,
    steps_for_epochs,
)


def fabric_of(config: DictConfig) -> Fabric:
    """The device and the processes of a training, in its precision."""
    precision = "bf16-mixed" if config.precision == "bf16" else "32-true"
    return build_fabric(config.accelerator, precision)


def build_loader(config: DictConfig, samples: SeededSamples, fabric: Fabric) -> TrainingLoader:
    """Batches for this process."""
    return TrainingLoader(
        samples,
        config.batch_size,
        num_workers=choose_workers(config.num_workers, fabric),
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        pin_memory=fabric.device.type == "cuda",
    )


def choose_workers(num_workers: int | str, fabric: Fabric) -> int:
    """`auto` is what suits the machine.

    Raises:
        ValueError: neither `auto` nor a number.
    """
    if num_workers == "auto":
        return default_num_workers(fabric.device.type)
    if not isinstance(num_workers, int):
        raise ValueError(f"num_workers must be auto or a whole number, got {num_workers!r}")
    return num_workers


def build_settings(config: DictConfig, num_images: int, world_size: int) -> TrainingSettings:
    """The loop's numbers; `epochs` decides where `trainer.max_steps` is null."""
    options = plain(config.trainer)
    if options["max_steps"] is None:
        images_per_step = config.batch_size * world_size * options["accumulate_steps"]
        options["max_steps"] = steps_for_epochs(config.epochs, num_images, images_per_step)
    if options["evaluate_every"] is None:
        options["evaluate_every"] = options["max_steps"]
    return replace(read_settings(TrainingSettings, options, "trainer"), seed=config.seed)


def read_method(config: DictConfig) -> MethodSettings:
    """The settings of the group `method`, all of which the configuration then holds.

    Of a class of the user's it knows nothing before, and `epochs` and `trainer` ask it for what the
    method's paper says.

    Raises:
        ValueError: an unknown method, an unknown setting, or a value out of range.
    """
    asked = read_part(PACKAGES["method"], plain(config.method), "method")
    with open_dict(config):
        name = {"name": config.method.name}  # first, as the first thing that two runs differ in
        config.method = OmegaConf.merge(name, node_of_value(asked), config.method)
    return asked


@dataclass(frozen=True)
class RunParts:
    """The configuration of a run and what has been built of it so far."""

    config: DictConfig
    encoder: Encoder
    dataset: SegmentationDataset
    settings: TrainingSettings
    fabric: Fabric
    output_dir: Path

    @classmethod
    def of(cls, config: DictConfig, encoder: Encoder, fabric: Fabric, output_dir: Path) -> RunParts:
        """The data set and the numbers of a run beside its encoder, built in every process.

        Raises:
            ValueError: a setting that does not fit.
            FileNotFoundError: a file of the images is missing.
        """
        dataset = processes_of(fabric).after_first(lambda: build_dataset(config.dataset))
        settings = build_settings(config, len(dataset), fabric.world_size)
        return cls(config, encoder, dataset, settings, fabric, output_dir)

    def build(self, method: MethodSettings) -> tuple[Method, SeededSamples]:
        """The method and what it is trained on.

        Raises:
            ValueError: as `MethodSettings.build`, or as `check_learns`.
        """
        built = method.build(self.parts())
        check_learns(built.method, self.encoder, self.settings)
        images = built.images
        if self.config.views.reduced_decoding:
            images = decoded_for(images, built.transform)
        return built.method, SeededSamples(images, built.transform, self.config.seed)

    def parts(self) -> Parts:
        """The parts that a method may be built from."""
        images = self.config.batch_size * self.fabric.world_size * self.settings.accumulate_steps
        workers = choose_workers(self.config.num_workers, self.fabric)
        return Parts(
            encoder=self.encoder,
            dataset=self.dataset,
            views=read_settings(MultiCropSettings, plain(self.config.views), "views"),
            seed=self.config.seed,
            max_steps=self.settings.max_steps,
            images_per_step=images,
            batch_size=self.config.batch_size,
            first=self.fabric.is_global_zero,
            resumes=self.resumes,
            features=self.features,
            in_order=lambda see: OrderedImages(ImagesOf(self.dataset), see, num_workers=workers),
            # Beside an accelerator cores are scarce; on the CPU alone nothing is gained.
            end_view=finish_view if self.fabric.device.type == "cpu" else leave_unfinished,
        )

    @property
    def resumes(self) -> bool:
        """True if a checkpoint will fill the method."""
        named = self.config.trainer.resume not in ("auto", "never")
        return named or bool(list_checkpoints(self.output_dir / "checkpoints"))

    def features(self, dataset: SegmentationDataset, resolution: tuple[int, int]) -> FeatureStore:
        """Patch tokens of the encoder as it was before training; of the same images on resuming.

        Every process calls it and writes its share.
        """
        processes = processes_of(self.fabric)
        return processes.together(
            lambda: extract_features(
                self.encoder,
                dataset,
                cache_dir=Path(self.config.cache_dir),
                resolution=resolution,
                device=self.fabric.device,
                retry_broken=not self.resumes,
                track=rich_progress if processes.first else quiet,
                processes=processes,
            )
        )


def check_learns(method: Method, start: Encoder, settings: TrainingSettings) -> None:
    """Raise `ValueError` for a training that would leave the encoder as it is.

    That is one of an encoder without parameters, and one that gives out a teacher which never
    moves.
    """
    trained = {id(p) for group in method.parameter_groups() for p in group.parameters}
    given_out = [*method.encoder.parameters()]
    if trained.isdisjoint(map(id, (*start.parameters(), *given_out))):
        raise ValueError(
            f"encoder {start.name} has no parameter that is trained: choose another one; your own "
            "encoder.factory must return an nn.Module, or Encoder.from_module of one, since a "
            "function around a network hides its parameters"
        )
    still = settings.momentum == settings.final_momentum == 1
    if still and given_out and trained.isdisjoint(map(id, given_out)):
        raise ValueError(
            "trainer.momentum=1: this method gives out its teacher, which would stay as it is; set "
            "trainer.momentum or trainer.final_momentum below 1"
        )
