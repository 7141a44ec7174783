"""The model that makes parts of patch tokens: saved, it finds the same parts in other images."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from leopart_kit.backbones import Encoder
from leopart_kit.clustering import KMeans
from leopart_kit.clustering.kmeans import Metric
from leopart_kit.clustering.projection import TokenProjection, Tokens
from leopart_kit.masks.part_model_file import FORMAT_VERSION, read_fields
from leopart_kit.masks.part_names import PartNames
from leopart_kit.progress import Track, quiet
from leopart_kit.whole_file import whole_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PartModel:
    """From patch tokens to parts, with all that gives a part its identity.

    Attributes:
        encoder, encoder_sha256: name and fingerprint of the encoder whose tokens were clustered.
        resolution: `(H, W)` in pixels to which images are resized for it.
        projection: what is done to tokens before the centroids.
        centroids: float32 `[K, d]`.
        metric: `euclidean`, or `spherical` (by cosine).
        foreground: bool `[K]`; the other clusters are background.
        communities: int64 `[K]`, the object that each part belongs to, -1 for none; or None.
        names: what users call the parts and objects.
    """

    encoder: str
    encoder_sha256: str
    resolution: tuple[int, int]
    projection: TokenProjection
    centroids: Tensor
    metric: Metric
    foreground: np.ndarray
    communities: np.ndarray | None = None
    names: PartNames = field(default_factory=PartNames)

    def __post_init__(self) -> None:
        for name, value in (("foreground", self.foreground), ("communities", self.communities)):
            if value is not None and value.shape != (self.num_clusters,):
                raise ValueError(
                    f"{name} must have one value for each of {self.num_clusters} clusters, got "
                    f"shape {list(value.shape)}"
                )
        self.names.check(self.num_clusters, self.num_communities)

    @classmethod
    def fit(
        cls,
        tokens: Tokens,
        num_clusters: int,
        *,
        encoder: Encoder,
        resolution: tuple[int, int],
        standardize: bool = True,
        pca_dim: int | None = 50,
        l2_normalize: bool = False,
        metric: Metric = "euclidean",
        num_iterations: int = 100,
        num_restarts: int = 5,
        max_points_per_cluster: int | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
        track: Track = quiet,
    ) -> PartModel:
        """Standardise, reduce and cluster tokens.

        Args:
            tokens: gives the tokens of all images anew at each call, in chunks `[n, D]`.
            encoder, resolution: what they were made with.
            standardize, pca_dim, l2_normalize: see `TokenProjection.fit`.
            metric, num_iterations, num_restarts, max_points_per_cluster, seed: see `KMeans`.
            device: where k-means computes.

        Raises:
            ValueError: fewer tokens than clusters, a setting out of range, or a token that is not
                finite.
        """
        projection = TokenProjection.fit(
            tokens, l2_normalize=l2_normalize, standardize=standardize, pca_dim=pca_dim
        )
        kmeans = KMeans(
            num_clusters,
            metric=metric,
            num_iterations=num_iterations,
            num_restarts=num_restarts,
            max_points_per_cluster=max_points_per_cluster,
            seed=seed,
            device=device,
            track=track,
        )
        num_tokens = sum(len(chunk) for chunk in tokens())
        kmeans.fit(projection.on_disk(tokens, num_tokens, Path(tempfile.gettempdir())))
        return cls(
            encoder=encoder.name,
            encoder_sha256=encoder.fingerprint(),
            resolution=resolution,
            projection=projection,
            centroids=kmeans.centroids.cpu(),
            metric=metric,
            foreground=np.ones(num_clusters, dtype=bool),
        )

    @property
    def num_clusters(self) -> int:
        return len(self.centroids)

    @property
    def num_communities(self) -> int:
        """Communities, 0 if none were sought."""
        return 0 if self.communities is None else int(self.communities.max(initial=-1)) + 1

    def scores(self, tokens: Tensor) -> Tensor:
        """Likeness of tokens `[..., D]` to every centroid: float32 `[..., K]`, highest nearest.

        Euclidean: twice the inner product less the squared length of the centroid, in coordinates
        centred at the mean centroid. The difference of two clusters' scores is linear in the
        projected token, so a score interpolated between two patches is that of the interpolated
        token. Spherical: the cosine.
        """
        points = self.projection(tokens)
        if self.metric == "spherical":
            return F.normalize(points, dim=-1) @ F.normalize(self.centroids, dim=1).T
        shift = self.centroids.mean(dim=0)
        centred = self.centroids - shift
        return 2 * (points - shift) @ centred.T - centred.square().sum(dim=1)

    def assign(self, tokens: Tensor) -> Tensor:
        """Cluster of each token: `[..., D]` → int64 `[...]`.

        Raises:
            ValueError: a token that is not finite.
        """
        kmeans = KMeans(self.num_clusters, metric=self.metric)
        kmeans.centroids = self.centroids
        clusters = kmeans.predict(self.projection(tokens).flatten(0, -2))
        return clusters.view(tokens.shape[:-1])

    def assign_with_margin(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Cluster of each token, and by how much it is nearer than the second: 1 − d₁ / d₂.

        Args:
            tokens: `[..., D]`.

        Returns:
            int64 and float32 `[...]`; the margin is 1 where there is one cluster only.
        """
        points = self.projection(tokens)
        if self.metric == "spherical":
            unit = F.normalize(self.centroids, dim=1)
            distances = 1 - F.normalize(points, dim=-1) @ unit.T
        else:
            distances = torch.cdist(points.flatten(0, -2), self.centroids)
            distances = distances.view(*points.shape[:-1], -1)
        nearest = distances.topk(min(2, self.num_clusters), dim=-1, largest=False)
        if self.num_clusters == 1:
            return nearest.indices[..., 0], torch.ones(points.shape[:-1])
        first, second = nearest.values.unbind(dim=-1)
        return nearest.indices[..., 0], 1 - first / second.clamp(min=1e-12)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over what gives parts and objects their identity; names are no part."""
        digest = hashlib.sha256(f"{self.encoder_sha256} {self.metric}".encode())
        arrays = {"centroids": self.centroids.numpy(), "foreground": self.foreground}
        arrays |= self.projection.to_arrays()
        if self.communities is not None:
            arrays["communities"] = self.communities
        for name in sorted(arrays):
            digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
        return digest.hexdigest()

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise `ValueError` unless the tokens of `encoder` are those that were clustered."""
        sha256 = encoder.fingerprint()
        if sha256 != self.encoder_sha256:
            raise ValueError(
                f"the model's parts were found with the encoder {self.encoder} (fingerprint "
                f"{self.encoder_sha256[:12]}), this is {encoder.name} ({sha256[:12]}): choose the "
                "same encoder, weights, block and facet, or make a new model"
            )

    def with_names(self, names: PartNames) -> PartModel:
        """The same model with other names.

        Raises:
            ValueError: a name for a cluster or community that does not exist.
        """
        return replace(self, names=names)

    def save(self, path: Path) -> None:
        """Write everything into one `.npz` file without pickles.

        Raises:
            OSError: the file cannot be written.
        """
        header = {
            "format_version": FORMAT_VERSION,
            "encoder": self.encoder,
            "encoder_sha256": self.encoder_sha256,
            "resolution": list(self.resolution),
            "metric": self.metric,
        }
        arrays = {
            "header": np.array(json.dumps(header)),
            "names": np.array(self.names.to_json()),
            "centroids": self.centroids.numpy(),
            "foreground": self.foreground,
            **self.projection.to_arrays(),
        }
        if self.communities is not None:
            arrays["communities"] = self.communities
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> PartModel:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is no such model, or of another format; names it.
        """
        fields = read_fields(path)
        try:
            return cls(**fields)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
