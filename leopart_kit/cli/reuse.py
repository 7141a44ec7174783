"""Identities of results and trainings, and their reuse in place of new ones."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from omegaconf import DictConfig

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import plain
from leopart_kit.cli.declared import PACKAGES, node_of_value
from leopart_kit.data import BrokenSampleError, SegmentationDataset
from leopart_kit.identity import HOW_MEASURED, HOW_TRAINED, Identity, determining, source_of
from leopart_kit.image_level.data import ClassificationDataset
from leopart_kit.settings import read_part
from leopart_kit.training import TrainingSettings

Images: TypeAlias = ClassificationDataset | SegmentationDataset


def training_identity(
    config: DictConfig,
    settings: TrainingSettings,
    encoder: Encoder,
    dataset: SegmentationDataset,
    num_processes: int = 1,
) -> Identity:
    """All that a training of `leopart train` follows from.

    Args:
        settings: of the loop, as they follow from the configuration.
        encoder: the network that is trained, as it is before.
        num_processes: that train together; they count as the batch of all of them.
    """
    parts = determining(plain(config), HOW_TRAINED)
    parts["batch_size"] *= num_processes
    parts["trainer"] = determining(asdict(settings), HOW_TRAINED, "trainer.")
    # What is no setting comes last, so that a setting that changes it is named first.
    content = {
        "dataset.num_images": len(dataset),
        "dataset.content": dataset.fingerprint(),
        "encoder.weights": encoder.fingerprint(),
    }
    return Identity.of(**parts, **_of_own_code(parts), **content)


def measurement_identity(
    settings: Mapping[str, Any],
    encoder: Encoder,
    data: Sequence[Images],
    prior: Encoder | None = None,
) -> Identity:
    """All that a measurement of an encoder follows from.

    Args:
        settings: plain values, as in the configuration of the evaluation.
        data: the images that are scored first; those that are learned from may follow.
        prior: the encoder whose attention marks the foreground, where the protocol names one.
    """
    labelled = repr([part for images in data for part in _labelled(images)])
    content = {
        "dataset.content": hashlib.sha256(labelled.encode()).hexdigest(),
        "encoder.weights": encoder.fingerprint(),
        "protocol.prior.weights": None if prior is None else prior.fingerprint(),
    }
    parts = determining(settings, HOW_MEASURED)
    return Identity.of(**parts, **_of_own_code(parts), **content)


def _of_own_code(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Identity of the user's own parts: settings that were not given, and their source.

    Encoders tell this by their fingerprints.
    """
    found = {}
    for group in ("method", "protocol"):
        node = parts.get(group, {})
        if node.get("name") == "custom":
            part = read_part(PACKAGES[group], node, group)
            source = source_of(sys.modules[type(part).__module__])
            found[f"{group}.settings"] = node_of_value(part)
            found[f"{group}.source"] = hashlib.sha256(source.encode()).hexdigest()
    return found


def _labelled(images: Images) -> Iterator[str]:
    yield images.fingerprint()
    if isinstance(images, ClassificationDataset):
        yield repr(images.class_names)
        yield hashlib.sha256(images.labels.tobytes()).hexdigest()
    else:
        yield images.mask_fingerprint()


def same_results(
    read: Callable[[Path], dict[str, Any]],
    folder: Path,
    identity: Identity,
    data: Sequence[Images],
) -> dict[str, Any] | None:
    """The results in a folder, if they follow from the same.

    An image that was left out and can be read by now is noticed too, though its file may be as it
    was.

    Args:
        read: of the kind of results; raises `OSError` or `ValueError` where there are none.
        identity: whose `sha256` stands among the settings of results as `identity`.
        data: as of `measurement_identity`.
    """
    try:
        document = read(folder)
    except (OSError, ValueError):
        return None
    if document["settings"].get("identity") != identity.sha256:
        return None
    return None if any(_is_usable(*one) for one in _left_out(document, data)) else document


def _left_out(document: Mapping[str, Any], data: Sequence[Images]) -> Iterator[tuple[Images, str]]:
    """Every image that results do not stand on, by data set and name."""
    of_split = {images.split: images for images in data}
    for image in document["dataset"]["broken"]:
        yield of_split.get(image.get("split"), data[0]), image["name"]
    for image in document.get("details", {}).get("training_images_left_out", ()):
        yield data[-1], image["name"]


def _is_usable(images: Images, name: str) -> bool:
    try:
        images[images.names.index(name)]
    except ValueError as error:  # what else is wrong is for the measurement to say
        return not isinstance(error, BrokenSampleError)
    return True
