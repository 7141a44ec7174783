"""What every training method is built from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lightning_fabric import Fabric
from omegaconf import DictConfig

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build_training import build_views
from leopart_kit.data import MultiCropTransform, SegmentationDataset
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.progress import rich_progress
from leopart_kit.training import TrainingSettings, list_checkpoints


@dataclass(frozen=True)
class RunParts:
    """The configuration of a run and what has been built of it so far."""

    config: DictConfig
    encoder: Encoder
    dataset: SegmentationDataset
    settings: TrainingSettings
    fabric: Fabric
    output_dir: Path

    @cached_property
    def views(self) -> MultiCropTransform:
        """The group `views`: overlapping views with their boxes, for dense methods."""
        return build_views(self.config.views, self.encoder)

    @property
    def resumes(self) -> bool:
        """Whether a checkpoint will fill the method."""
        named = self.config.trainer.resume not in ("auto", "never")
        return named or bool(list_checkpoints(self.output_dir / "checkpoints"))

    def steps(self, epochs: float) -> int:
        """Optimiser steps nearest to a number of passes over the images."""
        per_step = self.config.batch_size * self.fabric.world_size * self.settings.accumulate_steps
        return round(epochs * len(self.dataset) / per_step)

    def features(self, dataset: SegmentationDataset, resolution: tuple[int, int]) -> FeatureStore:
        """Patch tokens of the encoder as it was before training; of the same images on resuming."""
        return extract_features(
            self.encoder,
            dataset,
            cache_dir=Path(self.config.cache_dir),
            resolution=resolution,
            device=self.fabric.device,
            retry_broken=not self.resumes,
            track=rich_progress,
        )
