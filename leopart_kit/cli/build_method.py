"""From a run's parts to its method and the samples that it is trained on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from leopart_kit.cli.build_image_method import IMAGE_METHODS, build_image_method
from leopart_kit.cli.build_training import build_anchored, build_leopart, check_head
from leopart_kit.cli.run_parts import RunParts
from leopart_kit.data import AnchoredTransform
from leopart_kit.evaluation import FeatureStore
from leopart_kit.methods import Method
from leopart_kit.training import ImagesOf, ImagesWithTokens, SeededSamples

logger = logging.getLogger(__name__)


def build_method(parts: RunParts) -> tuple[Method, SeededSamples]:
    """The method that the group `method` names.

    Raises:
        ValueError: an unknown method, or settings that do not fit it.
    """
    builders: dict[str, Callable[[RunParts], tuple[Method, SeededSamples]]] = {
        "leopart": _leopart,
        "anchored_leopart": _anchored_leopart,
        **dict.fromkeys(IMAGE_METHODS, build_image_method),
    }
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
        tokens = parts.features(sample, tuple(config.method.warm_start_resolution)).chunks
    num_global = parts.views.num_global
    method = build_leopart(config.method, parts.encoder, num_global, tokens, config.seed)
    return method, SeededSamples(ImagesOf(parts.dataset), parts.views, config.seed)


def _anchored_leopart(parts: RunParts) -> tuple[Method, SeededSamples]:
    config, dataset = parts.config, parts.dataset
    resolution = tuple(config.method.anchor_resolution)
    place: tuple = ()
    if parts.fabric.is_global_zero:
        written = parts.features(dataset, resolution)
        place = (written.folder, written.grid)
    store = FeatureStore(*parts.fabric.broadcast(place))  # the others read what the first wrote
    tokens = None if parts.resumes or not parts.fabric.is_global_zero else store.chunks
    method = build_anchored(config.method, parts.encoder, tokens, config.seed)
    broken = len(dataset) - len(store.indices)
    if broken:
        logger.warning("%d of %d images are left out, their files are broken", broken, len(dataset))
    images = ImagesWithTokens(dataset, store.tokens, store.indices.tolist(), store.grid)
    return method, SeededSamples(images, AnchoredTransform(parts.views), config.seed)
