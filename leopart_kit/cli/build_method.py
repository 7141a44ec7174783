"""From a run's parts to its method and the samples that it is trained on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric
from omegaconf import DictConfig

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build_training import build_anchored, build_leopart, check_head
from leopart_kit.data import AnchoredTransform, MultiCropTransform, SegmentationDataset
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.methods import Method
from leopart_kit.progress import rich_progress
from leopart_kit.training import ImagesOf, ImagesWithTokens, SeededSamples, list_checkpoints

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunParts:
    """What every method is built from."""

    config: DictConfig
    encoder: Encoder
    dataset: SegmentationDataset
    views: MultiCropTransform
    fabric: Fabric
    output_dir: Path

    @property
    def resumes(self) -> bool:
        """Whether a checkpoint will fill the method."""
        named = self.config.trainer.resume not in ("auto", "never")
        return named or bool(list_checkpoints(self.output_dir / "checkpoints"))

    def features(self, dataset: SegmentationDataset, resolution: tuple[int, int]) -> FeatureStore:
        """Patch tokens of the encoder as it was before training."""
        return extract_features(
            self.encoder,
            dataset,
            cache_dir=Path(self.config.cache_dir),
            resolution=resolution,
            device=self.fabric.device,
            track=rich_progress,
        )


def build_method(parts: RunParts) -> tuple[Method, SeededSamples]:
    """The method that the group `method` names.

    Raises:
        ValueError: an unknown method, or settings that do not fit it.
    """
    builders = {"leopart": _leopart, "anchored_leopart": _anchored_leopart}
    name = parts.config.method.name
    if name not in builders:
        raise ValueError(f"unknown method {name!r}; there is {', '.join(builders)}")
    return builders[name](parts)


def _leopart(parts: RunParts) -> tuple[Method, SeededSamples]:
    config = parts.config
    check_head(config.method)
    tokens = None
    # One process fits the head, the others receive it; a resumed run's checkpoint has it.
    if config.method.warm_start and parts.fabric.is_global_zero and not parts.resumes:
        sample = parts.dataset.spread(config.method.warm_start_images)
        tokens = parts.features(sample, (448, 448)).chunks
    num_global = parts.views.num_global
    method = build_leopart(config.method, parts.encoder, num_global, tokens, config.seed)
    return method, SeededSamples(ImagesOf(parts.dataset), parts.views, config.seed)


def _anchored_leopart(parts: RunParts) -> tuple[Method, SeededSamples]:
    config, dataset = parts.config, parts.dataset
    resolution = tuple(config.method.anchor_resolution)
    if parts.fabric.is_global_zero:
        parts.features(dataset, resolution)
    parts.fabric.barrier()  # the others read what the first process has written
    store = parts.features(dataset, resolution)
    tokens = None if parts.resumes or not parts.fabric.is_global_zero else store.chunks
    method = build_anchored(config.method, parts.encoder, tokens, config.seed)
    broken = len(dataset) - len(store.indices)
    if broken:
        logger.warning("%d of %d images are left out, their files are broken", broken, len(dataset))
    images = ImagesWithTokens(dataset, store.tokens, store.indices.tolist(), store.grid)
    return method, SeededSamples(images, AnchoredTransform(parts.views), config.seed)
