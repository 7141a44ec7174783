"""Arrays in, arrays out: for people with images, tokens and maps of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from leopart_kit.backbones import EncoderLike, as_encoder
from leopart_kit.backbones.encoder import whole_patches
from leopart_kit.clustering.kmeans import KMeans
from leopart_kit.clustering.projection import TokenProjection
from leopart_kit.data.pixels import as_pixels
from leopart_kit.evaluation.scores.resizing import resize_image
from leopart_kit.evaluation.task import choose_device
from leopart_kit.metrics import ConfusionMatrix, Match, match_counts
from leopart_kit.metrics.scores import RuleFamily

Array = TypeVar("Array", bound=Tensor | np.ndarray)

_IMAGES_AT_ONCE = 32


def extract(
    encoder: EncoderLike,
    images: Array | Sequence[object],
    *,
    resolution: tuple[int, int] | None = None,
    batch_size: int = 8,
    device: str = "auto",
) -> Array:
    """Patch tokens of images, for `cluster` or for work of your own.

    >>> images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    >>> tokens = extract("handcrafted", images)
    >>> tokens.shape, cluster(tokens, num_clusters=2).shape
    ((2, 4, 6, 30), (2, 4, 6))

    Args:
        encoder: a name, an encoder or a network of your own, see `as_encoder`.
        images: a stack `[N, H, W, 3]` (array) or `[N, 3, H, W]` (tensor) or a list of images, each
            in a form of `as_pixels`.
        resolution: `(H, W)` to which they are resized (bilinear, antialiased), rounded up to whole
            patches; images of different sizes need it.
        batch_size: images that the encoder sees at once.
        device: of the encoder while it runs, and afterwards; auto: a GPU where there is one.

    Returns:
        float32 `[N, h, w, D]`, a tensor on the CPU for a tensor, an array for all else.

    Raises:
        ValueError: an unknown encoder, or what is no stack or list of images of one size; see also
            `as_encoder`.
    """
    if isinstance(images, (np.ndarray, Tensor)) and images.ndim != 4:
        raise ValueError(f"images must be [N, H, W, 3] or [N, 3, H, W], got {list(images.shape)}")
    if batch_size < 1 or len(images) == 0:
        raise ValueError(f"{len(images)} images in batches of {batch_size}: both must be 1 or more")
    place = choose_device(device)
    network = as_encoder(encoder).to(place).eval()
    size = None if resolution is None else whole_patches(resolution, network.patch_size)
    tokens = []
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            batch = range(start, min(start + batch_size, len(images)))
            pixels = _stack([as_pixels(images[i], f"image {i}") for i in batch], size)
            tokens.append(network(pixels.to(place)).cpu().permute(0, 2, 3, 1))
    if len({part.shape[1:] for part in tokens}) > 1:
        raise ValueError("the images differ in size: set resolution=(H, W)")
    found = torch.cat(tokens).contiguous()
    return cast(Array, found if isinstance(images, Tensor) else found.numpy())


def _stack(images: Sequence[Tensor], resolution: tuple[int, int] | None) -> Tensor:
    if resolution is not None:
        images = [resize_image(image, resolution) for image in images]
    if len({image.shape for image in images}) > 1:
        raise ValueError("the images differ in size: set resolution=(H, W)")
    return torch.stack(list(images))


def cluster(
    tokens: Array,
    num_clusters: int,
    *,
    standardize: bool = True,
    pca_dim: int | None = 50,
    l2_normalize: bool = False,
    metric: Literal["euclidean", "spherical"] = "euclidean",
    num_restarts: int = 5,
    seed: int = 0,
) -> Array:
    """Cluster ids of patch tokens, by k-means over all images together as Leopart evaluates.

    >>> tokens = torch.randn(8, 14, 14, 384)
    >>> cluster(tokens, num_clusters=5).shape
    torch.Size([8, 14, 14])

    Args:
        tokens: `[N, h, w, D]`, an array or a tensor.
        num_clusters: K.
        standardize: zero mean and unit variance of each dimension.
        pca_dim: dimensions kept by PCA; `None` keeps all.
        l2_normalize: scale every token to length 1 before anything else.
        metric: of the k-means.
        num_restarts: starts of the k-means.
        seed: of the k-means.

    Returns:
        int64 `[N, h, w]`, an array for an array, on the device of the tokens for a tensor.

    Raises:
        ValueError: tokens of another shape or not finite, or fewer of them than clusters.
    """
    given = torch.as_tensor(tokens)
    if given.ndim != 4 or not given.is_floating_point():
        raise ValueError(f"tokens must be real [N, h, w, D], got {given.dtype} {list(given.shape)}")

    def chunks() -> Iterator[Tensor]:
        return (part.float().flatten(0, 2) for part in given.split(_IMAGES_AT_ONCE))

    projection = TokenProjection.fit(
        chunks, l2_normalize=l2_normalize, standardize=standardize, pca_dim=pca_dim
    )
    points = torch.cat(list(projection.apply(chunks())))
    kmeans = KMeans(num_clusters, metric=metric, num_restarts=num_restarts, seed=seed).fit(points)
    ids = kmeans.predict(points).to(given.device).reshape(given.shape[:3])
    return cast(Array, ids if isinstance(tokens, Tensor) else ids.numpy())


def match(
    target: Tensor | np.ndarray,
    prediction: Tensor | np.ndarray,
    num_classes: int,
    *,
    num_clusters: int | None = None,
    rule: RuleFamily | None = None,
    unmatched: int = 0,
    ignore_index: int = 255,
) -> Match:
    """Classes for clusters, and the scores, of two stacks of maps.

    >>> target = np.array([[[0, 0], [1, 1]]])
    >>> match(target, np.array([[[3, 3], [0, 3]]]), num_classes=2).cluster_to_class.tolist()
    [1, 0, 0, 0]

    Args:
        target: integer class ids `[N, H, W]`, `ignore_index` where a pixel does not count.
        prediction: integer cluster ids of the same shape.
        num_classes: C.
        num_clusters: K; the largest id plus one by default.
        rule, unmatched: see `match_counts`.

    Raises:
        ValueError: shapes that differ, ids out of range, or no pixel that counts.
    """
    found = torch.as_tensor(prediction)
    if found.numel() == 0:
        raise ValueError("there is no pixel to match: the maps are empty")
    number = int(found.max()) + 1 if num_clusters is None else num_clusters
    confusion = ConfusionMatrix(num_classes, number, ignore_index)
    confusion.update(target, prediction)
    return match_counts(confusion.counts, rule, unmatched)
