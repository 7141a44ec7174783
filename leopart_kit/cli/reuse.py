"""When results or a training in a folder stand in for new ones: same settings and data.

Of the data it counts which images there are and when their files were last changed, what their
classes or masks are, and the captions; where the folder lies is one of the settings, as are the
files of weights that a training starts from. An image that was left out and can be read by now is
new data too, though its file may be as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from omegaconf import DictConfig

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import build_dataset
from leopart_kit.data import (
    BrokenSampleError,
    ClassificationDataset,
    SegmentationDataset,
)

Images: TypeAlias = ClassificationDataset | SegmentationDataset

# How a measurement or a training was made, not what came out: other values give the same.
HOW_MEASURED = (
    "output_dir",
    "cache_dir",
    "device",
    "batch_size",
    "num_workers",
    "masks",
    "page_images",
)
HOW_TRAINED = ("output_dir", "cache_dir", "num_workers", "evaluation", "reproduce")


def without(settings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The settings but for some of them."""
    return {key: value for key, value in settings.items() if key not in names}


def measured_on(data: Sequence[Images]) -> dict[str, str]:
    """What to record among the settings of a measurement, so that other data are noticed."""
    return {"dataset_sha256": _sha256(part for images in data for part in _labelled(images))}


def trained_on(config: DictConfig) -> dict[str, str]:
    """`measured_on` of a training: images without classes or masks, and captions if it reads any.

    Args:
        config: of `leopart-train`.
    """
    parts = [build_dataset(config.dataset).fingerprint()]
    captions = config.method.get("captions")
    if captions is not None and Path(captions).is_file():  # training says what is wrong with others
        parts.append(hashlib.sha256(Path(captions).read_bytes()).hexdigest())
    return {"dataset_sha256": _sha256(parts)}


def _sha256(parts: Iterator[str] | Sequence[str]) -> str:
    return hashlib.sha256(repr(tuple(parts)).encode()).hexdigest()


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
    encoder: Encoder,
    settings: Mapping[str, Any],
    data: Sequence[Images],
) -> dict[str, Any] | None:
    """The results in a folder, if the same encoder was measured so on the same data.

    Args:
        read: of the kind of results; raises `OSError` or `ValueError` where there are none.
        settings: with `measured_on(data)` among them.
        data: the images that were scored first; those that were learned from may follow.
    """
    try:
        document = read(folder)
    except (OSError, ValueError):
        return None
    before = without(document["settings"], HOW_MEASURED)
    if before != without(settings, HOW_MEASURED):
        return None
    if document["encoder"]["sha256"] != encoder.fingerprint():
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
