"""A result's segmentation, image by image at full size: for masks on disk and for pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder import whole_patches
from leopart_kit.data import LARGE, SegmentationDataset
from leopart_kit.evaluation.result import Result, Sample
from leopart_kit.evaluation.scores.resizing import resize_image, resize_labels

_PICTURE_SIDE = 2048  # pixels


def _check_view(result: Result, dataset: SegmentationDataset) -> None:
    """Raise `ValueError` unless a result is of these very samples and this view of them."""
    if result.dataset.notes != tuple(dataset.notes):
        raise ValueError(
            f"the result is of {dataset.name} with the notes {list(result.dataset.notes)}, and not "
            f"{list(dataset.notes)}: give the data set that was evaluated, for protocols of crops "
            "view_of(protocol, dataset)"
        )


def iter_clusters(result: Result, dataset: SegmentationDataset) -> Iterator[tuple[str, np.ndarray]]:
    """`(name, clusters int64 [H, W])` of each image at its own size, for the first seed."""
    if result.cluster_maps is None:
        raise ValueError("this result holds no cluster maps; evaluate again to have masks")
    return _iter_maps(result, dataset, result.cluster_maps)


def _iter_maps(
    result: Result, dataset: SegmentationDataset, maps: Sequence[np.ndarray] | np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    _check_view(result, dataset)
    indices = () if result.image_indices is None else result.image_indices.tolist()
    for row, index in enumerate(indices):
        labels = torch.from_numpy(np.array(maps[row])).long()
        yield result.image_names[row], resize_labels(labels, dataset.image_size(index)).numpy()


def classes_of_clusters(result: Result, ignore_index: int) -> np.ndarray | None:
    """Class of each cluster `[K]` for the first seed, `ignore_index` for none.

    None where nothing was matched.
    """
    if result.matching is None:
        return None
    classes = np.array(next(iter(result.matching.cluster_to_class.values())), dtype=np.int64)
    return np.where(classes < 0, ignore_index, classes)


def iter_masks(result: Result, dataset: SegmentationDataset) -> Iterator[tuple[str, np.ndarray]]:
    """`(name, int64 [H, W])` of each image: classes, or clusters where nothing was matched."""
    if result.class_maps is not None:
        yield from _iter_maps(result, dataset, result.class_maps)
        return
    classes = classes_of_clusters(result, dataset.ignore_index)
    for name, clusters in iter_clusters(result, dataset):
        yield name, clusters if classes is None else classes[clusters]


def picture_of(dataset: SegmentationDataset, index: int) -> tuple[Tensor, Tensor | None]:
    """Image uint8 `[3, H, W]` and mask `[H, W]` for a picture; what is very large is made small.

    More than `LARGE` pixels become a longer side of 2048; a page or a sheet shows fewer. Raises as
    the data set does.
    """
    height, width = dataset.image_size(index)
    if height * width <= LARGE:
        image, target, _ = dataset[index]
        return image, target
    scale = _PICTURE_SIDE / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    target = dataset.load_mask(index)
    if target is not None:
        target = resize_labels(target, size)
    return resize_image(dataset.load_reduced(index, size), size), target


def collect_samples(result: Result, dataset: SegmentationDataset, num_samples: int) -> list[Sample]:
    """Images spread evenly over the set, with ground truth, prediction and clusters."""
    maps = result.cluster_maps if result.class_maps is None else result.class_maps
    if maps is None or result.image_indices is None:
        return []
    _check_view(result, dataset)
    rows = np.linspace(0, len(result.image_indices) - 1, num_samples).round().astype(int)
    classes = classes_of_clusters(result, dataset.ignore_index)
    samples = []
    for row in np.unique(rows).tolist():
        image, target = picture_of(dataset, int(result.image_indices[row]))
        labels = torch.from_numpy(np.array(maps[row])).long()
        full = resize_labels(labels, (image.shape[1], image.shape[2])).numpy()
        prediction = None if classes is None else classes[full]
        clusters = full
        if result.class_maps is not None:
            prediction, clusters = full, None
        samples.append(
            Sample(
                name=result.image_names[row],
                image=image.permute(1, 2, 0).numpy(),
                target=None if target is None else target.numpy(),
                prediction=prediction,
                clusters=clusters,
            )
        )
    return samples


@torch.inference_mode()
def collect_tokens(
    encoder: Encoder,
    samples: Sequence[Sample],
    resolution: tuple[int, int],
    device: str | torch.device = "cpu",
) -> list[np.ndarray]:
    """Patch tokens of the images of samples at a resolution, float32 `[h, w, D]` each."""
    training = encoder.training
    encoder = encoder.to(device).eval()
    size, found = whole_patches(resolution, encoder.patch_size), []
    for sample in samples:
        image = resize_image(torch.from_numpy(sample.image).permute(2, 0, 1), size)
        tokens = encoder.patch_tokens(encoder.preprocess(image[None].to(device)))
        found.append(tokens[0].permute(1, 2, 0).float().cpu().numpy())
    encoder.train(training)
    return found
