"""The method of a run with its samples, built from what the command line said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric
from omegaconf import DictConfig, OmegaConf, open_dict

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import plain
from leopart_kit.cli.build_training import choose_workers
from leopart_kit.cli.declared import PACKAGES, node_of_value
from leopart_kit.data import ImagesOf, MultiCropSettings, SegmentationDataset
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.methods import Method, MethodSettings, Parts
from leopart_kit.progress import rich_progress
from leopart_kit.settings import read_part, read_settings
from leopart_kit.training import OrderedImages, SeededSamples, TrainingSettings, list_checkpoints


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

    def build(self, method: MethodSettings) -> tuple[Method, SeededSamples]:
        """The method and what it is trained on; raises as `MethodSettings.build`."""
        built = method.build(self.parts())
        return built.method, SeededSamples(built.images, built.transform, self.config.seed)

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
            first=self.fabric.is_global_zero,
            resumes=self.resumes,
            features=self.features,
            in_order=lambda see: OrderedImages(ImagesOf(self.dataset), see, num_workers=workers),
        )

    @property
    def resumes(self) -> bool:
        """True if a checkpoint will fill the method."""
        named = self.config.trainer.resume not in ("auto", "never")
        return named or bool(list_checkpoints(self.output_dir / "checkpoints"))

    def features(self, dataset: SegmentationDataset, resolution: tuple[int, int]) -> FeatureStore:
        """Patch tokens of the encoder as it was before training; of the same images on resuming.

        Every process calls it: the first writes them, the others read what it wrote.
        """
        place: tuple = ()
        if self.fabric.is_global_zero:
            written = extract_features(
                self.encoder,
                dataset,
                cache_dir=Path(self.config.cache_dir),
                resolution=resolution,
                device=self.fabric.device,
                retry_broken=not self.resumes,
                track=rich_progress,
            )
            place = (written.folder, written.grid)
        return FeatureStore(*self.fabric.broadcast(place))
