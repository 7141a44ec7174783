"""One vector an image from every layer of an encoder, kept in a feature store.

All layers are pooled and joined into one vector. A single pass over the images fills one store,
which is resumed and reused like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.evaluation.store.features import extract_features
from leopart_kit.evaluation.task import RunSettings
from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.image_level.data.read_images import central_squares
from leopart_kit.image_level.evaluation.settings import Pooling

OUTPUT = "output"
"""The layer name of an encoder's image vector: its CLS token, or the mean of its patch tokens."""


class LayersAsToken(Encoder):
    """An encoder whose single token holds the pooled maps of several layers, one after the other.

    Attributes:
        places: the columns of each layer in the token, in the order of the network.

    Args:
        encoder: the network.
        layers: names of its layers, or `all`, which includes `output`.
        resolution: side of the square images in pixels.
        pooling, max_features: see `pool_map`.

    Raises:
        ValueError: a layer that the encoder does not have; lists those it has.
    """

    def __init__(
        self,
        encoder: Encoder,
        layers: Sequence[str] | Literal["all"],
        resolution: int,
        pooling: Pooling = "global",
        max_features: int = 9600,
    ) -> None:
        parameter = next(encoder.parameters(), None)
        device = torch.device("cpu") if parameter is None else parameter.device
        blank = torch.zeros(1, 3, resolution, resolution, device=device)
        encoder.eval()
        with torch.no_grad():
            maps = encoder.layer_features(blank) if tuple(layers) != (OUTPUT,) else {}
            output = encoder.cls_token(blank)
        known = [*maps, OUTPUT]
        unknown = [] if layers == "all" else [name for name in layers if name not in known]
        if unknown:
            raise ValueError(
                f"{encoder.name} has no layer {unknown[0]!r}; it has {', '.join(known)}"
            )
        chosen = known if layers == "all" else sorted(layers, key=known.index)
        widths = {OUTPUT: output.shape[1]}
        widths |= {k: pool_map(v, pooling, max_features).shape[1] for k, v in maps.items()}
        ends = np.cumsum([widths[name] for name in chosen]).tolist()
        super().__init__(
            name=encoder.name,
            embed_dim=ends[-1],
            patch_size=resolution,
            mean=encoder.mean,
            std=encoder.std,
            weights=encoder.weights,
            settings={
                "encoder": encoder.fingerprint(),
                "layers": chosen,
                "pooling": pooling,
                "max_features": max_features,
            },
        )
        self.encoder = encoder
        self.pooling: Pooling = pooling
        self.max_features = max_features
        self.places = {
            name: slice(end - widths[name], end) for name, end in zip(chosen, ends, strict=True)
        }

    def patch_tokens(self, images: Tensor) -> Tensor:
        """`[B, D, 1, 1]`, see the class."""
        maps = self.encoder.layer_features(images) if set(self.places) != {OUTPUT} else {}
        vectors = [
            self.encoder.cls_token(images)
            if name == OUTPUT
            else pool_map(maps[name], self.pooling, self.max_features)
            for name in self.places
        ]
        return torch.cat([vector.float() for vector in vectors], dim=1)[..., None, None]


def pool_map(features: Tensor, pooling: Pooling, max_features: int) -> Tensor:
    """Maps `[B, C, h, w]` as vectors `[B, C · s²]`.

    `global` is the mean over the map (s = 1). `grid` takes means over s x s cells, s as large as
    `max_features` and the map allow: with 9,600 the features of AlexNet's layers in Zhang et al.
    (CVPR 2017) and Caron et al. (DeepCluster, ECCV 2018).
    """
    channels, height, width = features.shape[1:]
    side = 1
    if pooling == "grid":
        side = max(1, min(height, width, math.isqrt(max_features // channels)))
    return F.adaptive_avg_pool2d(features.float(), side).flatten(1)


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of the readable images of a split.

    Attributes:
        rows: their indices in the data set, `[n]`.
        labels: their classes, int64 `[n]`.
        broken: reason by index of each image that could not be read.
    """

    rows: np.ndarray
    labels: Tensor
    broken: Mapping[int, str]
    _tokens: np.ndarray
    _places: Mapping[str, slice]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers in the order of the network."""
        return tuple(self._places)

    def layer(self, name: str) -> Tensor:
        """Features of one layer, float16 `[n, D]`, in memory."""
        return torch.from_numpy(self._tokens[self.rows, 0, self._places[name]])


def extract_pooled(
    layers: LayersAsToken,
    dataset: ClassificationDataset,
    central_crop: float,
    run: RunSettings,
    cache_dir: Path,
) -> LabelledFeatures:
    """Features of all images of a split, written below `cache_dir` or reused from there.

    Raises: as `extract_features`.
    """
    store = extract_features(
        layers,
        central_squares(dataset.images, central_crop),
        cache_dir=cache_dir,
        resolution=(layers.patch_size, layers.patch_size),
        batch_size=run.batch_size,
        num_workers=run.workers,
        device=run.device,
        strict=run.strict,
        track=run.track,
    )
    labels = torch.from_numpy(dataset.labels[store.indices])
    return LabelledFeatures(store.indices, labels, store.broken, store.tokens, layers.places)
